import nextflow.exception.AbortOperationException

/** Addresses of object stores and web servers, beside paths. pycurate/stores reads what they name. */
class Stores {

    private static final List<String> READ = ['s3', 'gs', 'az', 'https', 'http', 'hf']

    static boolean isAddress(Object text) {
        text ==~ '[A-Za-z][A-Za-z0-9+.-]*://.*'
    }

    /** --outdir without the slash at its end, where it is an address; else null. */
    static String destination() {
        def text = nextflow.Global.session.params.outdir.toString()
        isAddress(text) ? text - ~'/$' : null
    }

    /** Stop for an address of another kind, and for one with a password or a query, which would be in every log and table. */
    static void check(String what, String text) {
        def (scheme, rest) = text.split('://', 2)
        if (!(scheme in READ)) {
            throw new AbortOperationException("${what} ${Paths.shown(shown(text))}: addresses with ${scheme}:// are not read; give a path, or one of ${READ.collect { one -> one + '://' }.join(', ')}")
        }
        if (rest.tokenize('/')[0]?.contains('@') || (scheme.startsWith('http') && rest.contains('?'))) {
            throw new AbortOperationException("${what} ${Paths.shown(shown(text))}: contains a password or a query, which would be written to tables and logs; give credentials by environment variables (docs/stores.md), and revoke these")
        }
    }

    /** What is wrong with a parameter that names a folder, or null. */
    static String fault(String name, Object value) {
        isAddress(value) ? "--${name} ${Paths.shown(shown(value.toString()))}: is an address; give a folder, since only --input is read from a store" : null
    }

    /** The address without user, password and query. */
    private static String shown(String text) {
        text.replaceAll('(://)[^/@]*@', '$1').replaceAll('(https?://[^?#]*)[?#].*', '$1')
    }
}
