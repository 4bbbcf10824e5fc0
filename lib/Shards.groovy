import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.Path
import nextflow.exception.AbortOperationException

/**
 * Shards on their way between stages: as text, lines of a partition file, which a task gets on its standard input.
 *
 * No shard is ever a `path` of a process. Nextflow would name it in a shell command that it quotes by half, and would
 * stage `a[1].tar` and `a1.tar` under one name. A line holds a shard's time stamp, so a changed shard changes the task's hash.
 */
class Shards {

    /**
     * What --input names, for a task, which runs in another folder than the one that a relative path starts from.
     *
     * Stop where even the folder is not there in which a pattern would look. What the pattern finds, PARTITION sees.
     */
    static String input(String text, Path launchDir) {
        if (Stores.isAddress(text)) {
            Stores.check('--input', text)
            return text
        }
        def whole = text.startsWith('/') ? text : "${launchDir}/${text}".toString()
        def sure = Path.of(whole.split('/').takeWhile { part -> !(part =~ /[*?\[{]/) }.join('/') ?: '/')
        if (!Files.exists(Path.of(whole)) && !Files.exists(sure)) {
            throw new AbortOperationException(
                "--input ${Paths.shown(text)}: there is no ${Paths.shown(sure)}, or you may not see it; check the path"
            )
        }
        whole
    }

    /** The options that name the folders of this run, and its place in a store, so that what it makes is not taken for input. */
    static String own() {
        def session = nextflow.Global.session
        def folders = [outdir: Paths.of(Paths.outdir()), 'work-dir': session.workDir].findAll { _name, folder -> folder.fileSystem == FileSystems.default }
        def store = Stores.destination() ? [upload: Stores.destination()] : [:]
        (folders + store).collect { name, place -> "--${name} ${Shell.quote(place.toString())}" }.join(' ')
    }

    /** The number in a file name such as partitions_00000.tsv. */
    static String number(Path file) {
        file.baseName.tokenize('_').last()
    }

    /** A channel of [number, text, options that mount the shards] of each partition file, from PARTITION's. */
    static Object partitions(Object files) {
        files.flatten().map { tsv -> [number(tsv), *mounted(Files.readString(tsv))] }
    }

    /** [name of a shard: its line] of partition files. */
    static Map<String, String> byName(List<String> texts) {
        texts.collectMany { text -> lines(text) }.collectEntries { line -> [line.substring(0, line.indexOf('\t')), line] }
    }

    /** A partition file of the shards whose names a file lists, one a line, and the options that mount them. */
    static List<String> pick(Path names, Map<String, String> byName) {
        mounted(lines(Files.readString(names)).collect { name -> "${byName[name]}\n" }.join())
    }

    /** The shell command that leaves a task's standard input as its partition file. */
    static String receive(String number) {
        "mkdir -p partitions && cat > partitions/partitions_${number}.tsv"
    }

    /** A partition file as a value, and the options that mount its shards. */
    static List<String> mounted(String text) {
        [text, Mounts.ofShards(text)]
    }

    /** Names may hold every other character at which Java would end a line. */
    private static List<String> lines(String text) {
        text.tokenize('\n')
    }
}
