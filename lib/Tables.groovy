import groovy.json.JsonSlurper
import java.nio.file.Path

/** Tables gathered for a task that reads all of them. */
class Tables {

    /** A value channel with the list of files sorted by name, so that the order of arrival changes no task's hash. */
    static Object sorted(Object channel) {
        channel.toSortedList { a, b -> a.name <=> b.name }
    }

    /** How many readable samples EMBED's stats count. */
    static long readable(Path stats) {
        new JsonSlurper().parse(stats).readable
    }
}
