import java.nio.file.Files
import java.nio.file.Path
import nextflow.exception.AbortOperationException
import nextflow.util.PathTrie

/** What tasks in a container read that is a value to Nextflow, which mounts nothing for it: shards, and files of the user's own. */
class Mounts {

    /** What an engine's option cannot carry in a path. */
    private static final Map<String, String> MEANING = [
        docker: ':', podman: ':', apptainer: ':,\\', singularity: ':,\\', charliecloud: ':',
    ]

    /** Options that mount what a partition file names, links' targets too; none where no container is used. */
    static String ofShards(String partition) {
        if (!engine()) {
            return ''
        }
        def named = partition.tokenize('\n').collect { line -> line.split('\t')[1] }.findAll { place -> !Stores.isAddress(place) }
        def files = named.collectMany { place -> places(Path.of(place)) }.unique()
        // docker and podman refuse a second mount of one folder, and Nextflow may have mounted it on the way to one of its own.
        options(files.groupBy { file -> file.parent }.collectMany { folder, those -> strict() && onTheWay(folder) ? those : [folder] })
    }

    /** Options that mount what --input and --blocklist name, for PARTITION, which looks what is there. */
    static String ofInput(String input) {
        if (!engine()) {
            return ''
        }
        def given = Stores.isAddress(input) ? null : Path.of(input)
        def isList = given && Files.isRegularFile(given) && !input.toLowerCase().endsWith('.tar')
        def named = [given].findAll() + (isList ? listed(given) : [])
        def mounted = new PathTrie() // what Nextflow mounts for a task without files
        [nextflow.Global.session.baseDir.resolve('bin'), nextflow.Global.session.workDir.resolve('00/0')].each { path -> mounted.add(path) }
        def taken = strict() ? mounted.longest() : []
        options((named + Blocklists.files(nextflow.Global.session.params)).collectMany { path -> folders(path) }.unique().findAll { folder -> !(folder.toString() in taken) })
    }

    /** Options that mount the user's own checkpoints and files of classes. */
    static String ofOwn() {
        if (!engine()) {
            return ''
        }
        def named = Checkpoints.named(Parameters.given())
        def files = named.findAll { file -> Files.exists(file) }.collectMany { file -> places(file) }
        // Charliecloud makes a folder of a file that the image lacks. A whole folder, a home say, docker would close to writing.
        options((engine() == 'charliecloud' ? files*.parent : files).unique())
    }

    /** The container engine of this run, or null. */
    static String engine() {
        def config = nextflow.Global.session.containerConfig
        config?.isEnabled() ? config.engine : null
    }

    /** The paths in a list of shards, as pycurate/shards/listing.py reads it, which says what is wrong with a list; none of what is no text. */
    private static List<Path> listed(Path listing) {
        try {
            Files.lines(listing).withCloseable { lines ->
                def entries = lines.toList()*.replaceFirst(/^\uFEFF/, '')*.trim() // without a byte order mark
                entries.findAll { line -> line && !line.startsWith('#') && !Stores.isAddress(line) }.collect { line -> listing.resolveSibling(line) }
            }
        }
        catch (UncheckedIOException ignored) {
            []
        }
    }

    private static boolean strict() {
        engine() in ['docker', 'podman']
    }

    private static String options(Collection<Path> places) {
        places*.toString().sort().collect { place ->
            def found = MEANING[engine()]?.toList()?.findAll { one -> place.contains(one) }
            if (found) {
                throw new AbortOperationException(
                    "${Paths.shown(place)}: contains ${found.join(' ')}, which ${engine()} cannot mount; rename it"
                )
            }
            def text = Shell.quote(place)
            [docker: "-v ${text}:${text}:ro", podman: "-v ${text}:${text}:ro", charliecloud: "-b ${text}"].get(engine(), "-B ${text}:${text}:ro")
        }.join(' ')
    }

    private static boolean onTheWay(Path folder) {
        def session = nextflow.Global.session
        [session.workDir, session.baseDir, Paths.of(session.params.model_dir)].any { place -> place.startsWith(folder) }
    }

    /** The file, what each link on the way from it names, and what it is in the end: a container follows them one by one. */
    private static List<Path> places(Path file) {
        if (!Files.exists(file)) { // PARTITION and check_unchanged say so
            return [file]
        }
        def next = Files.isSymbolicLink(file) ? file.parent.toRealPath().resolve(Files.readSymbolicLink(file)).normalize() : file.toRealPath()
        file == next ? [file] : [file, *places(next)]
    }

    /** The folders that hold what a path or pattern names, and those to which links within lead. */
    private static Collection<Path> folders(Path path) {
        if (Files.isRegularFile(path)) {
            return places(path)*.parent
        }
        def top = path
        while (!Files.isDirectory(top)) {
            top = top.parent
        }
        def deep = top == path || path.toString().contains('**')
        def depth = deep ? Integer.MAX_VALUE : path.nameCount - top.nameCount
        def found = new LinkedHashSet<Path>(places(top))
        def ahead = new ArrayDeque<Path>(found)
        while (ahead) {
            def links = Files.find(ahead.pop(), depth, { one, about -> about.symbolicLink && Files.exists(one) }).toList()
            links.collectMany { link -> places(link).tail() }.each { place ->
                if (!found.any { one -> place.startsWith(one) }) {
                    found << (Files.isDirectory(place) ? place : place.parent)
                    if (Files.isDirectory(place)) {
                        ahead << place
                    }
                }
            }
        }
        found
    }
}
