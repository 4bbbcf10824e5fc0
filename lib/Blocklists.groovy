import java.nio.file.Files
import java.nio.file.Path

/** Lists of hashes of images that must not be in the set, as --blocklist names them: KIND:FILE, separated by commas. */
class Blocklists {

    /** What EMBED can compute beside SHA-256. */
    private static final List<String> DIGESTS = ['md5', 'sha1', 'pdq']

    private static final List<String> KINDS = ['sha256', *DIGESTS]

    /** The kind of each list, in order. */
    static List<String> kinds(Map params) {
        entries(params).collect { kind, _file -> kind }
    }

    /** The file of each list, likewise, as it is found from elsewhere. */
    static List<Path> files(Map params) {
        entries(params).collect { _kind, file -> Paths.of(file) }
    }

    /**
     * Each list as KIND:FILE, in order. It goes with the files into a task, since Nextflow's cache takes the files of an input for
     * a set without order, in which kinds do not belong to files.
     */
    static List<String> named(Map params) {
        [kinds(params), files(params)].transpose()*.join(':')
    }

    /** What is wrong with --blocklist and --digests. */
    static List<String> faults(Map params) {
        def strange = (params.digests ?: '').tokenize(',') - DIGESTS
        def faults = strange.collect { name -> "--digests ${name}: is none of ${DIGESTS.join(', ')}".toString() }
        faults + entries(params).findResults { kind, file ->
            def shown = "--blocklist ${Paths.shown([kind, file].findAll().join(':'))}"
            if (!file || !(kind in KINDS)) {
                return "${shown}: is not KIND:FILE with a kind of ${KINDS.join(', ')}".toString()
            }
            if (Stores.isAddress(file)) {
                return "${shown}: is an address; give a file, since only --input is read from a store".toString()
            }
            Files.isRegularFile(Paths.of(file)) ? null : "${shown}: there is no such file".toString()
        }
    }

    /** The digests that EMBED computes: those that are asked for, and those that lists are compared by. */
    static String digests(Map params) {
        def wanted = (params.digests ?: '').tokenize(',') + kinds(params)
        DIGESTS.findAll { name -> name in wanted }.join(',') ?: null
    }

    /** The options that tell a script of these lists, of which the files are staged. */
    static String options(List<String> named, List staged) {
        [named, staged].transpose().collect { entry, file -> option("${entry.split(':')[0]}:${file}") }.join(' ')
    }

    /** The same for the lists where they lie. */
    static String own() {
        named(Typing.typed(nextflow.Global.session.params)).collect { entry -> option(entry) }.join(' ')
    }

    /** The parameters with each list as it is found from elsewhere. */
    static Map absolute(Map params) {
        params.blocklist ? params + [blocklist: named(params).join(',')] : params
    }

    private static String option(String entry) {
        "--blocklist ${Shell.quote(entry)}"
    }

    private static List<List<String>> entries(Map params) {
        (params.blocklist ?: '').toString().tokenize(',').collect { entry ->
            def parts = entry.split(':', 2).toList()
            [parts[0], parts[1] ?: '']
        }
    }
}
