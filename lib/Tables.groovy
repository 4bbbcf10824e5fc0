/** Tables gathered for a task that reads all of them. */
class Tables {

    /** A value channel with the list of files sorted by name, so that the order of arrival changes no task's hash. */
    static Object sorted(Object channel) {
        channel.toSortedList { a, b -> a.name <=> b.name }
    }
}
