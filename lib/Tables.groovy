import java.nio.file.Path

/** Tables gathered for a task that reads all of them. */
class Tables {

    /** A value channel with the list of files sorted by name, so that the order of arrival changes no task's hash. */
    static Object sorted(Object channel) {
        channel.toSortedList { a, b -> a.name <=> b.name }
    }

    /** The same of one entry of each [number, file, ...], where some may be []. */
    static Object column(Object channel, int entry) {
        sorted(channel.map { all -> all[entry] }.flatten())
    }

    /** A channel of [number, parquet, tsv] of each plan, from DECIDE's. */
    static Object plans(Object files) {
        files.flatten()
            .map { file -> [Shards.number(file), file] }
            .groupTuple(size: 2, sort: { a, b -> a.name <=> b.name })
            .map { number, both -> [number, both[0], both[1]] }
    }

    /** How many readable samples EMBED's stats count. */
    static long readable(Path stats) {
        Published.read(stats).readable
    }
}
