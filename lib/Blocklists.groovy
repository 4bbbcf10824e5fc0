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

    /** The options that tell a script of lists of these kinds in these files. */
    static String options(List<String> kinds, List files) {
        [kinds, files].transpose().collect { kind, file -> "--blocklist ${Shell.quote("${kind}:${file}".toString())}" }.join(' ')
    }

    /** The same for the lists where they lie. */
    static String own() {
        def params = Typing.typed(nextflow.Global.session.params)
        options(kinds(params), files(params))
    }

    /** The parameters with each list as it is found from elsewhere. */
    static Map absolute(Map params) {
        params.blocklist ? params + [blocklist: [kinds(params), files(params)].transpose()*.join(':').join(',')] : params
    }

    private static List<List<String>> entries(Map params) {
        (params.blocklist ?: '').toString().tokenize(',').collect { entry ->
            def parts = entry.split(':', 2).toList()
            [parts[0], parts[1] ?: '']
        }
    }
}
