import groovy.json.JsonSlurper
import java.nio.file.Files
import java.nio.file.Path
import java.security.MessageDigest

/** What tasks are told of the Python package, so that an edit of it repeats what it can change and nothing else. */
class Code {

    /**
     * For each script of bin/, what it can reach of the package (conf/code.json), as HASH:PART:PART...
     *
     * The task computes the hash again from these parts of its own package: pycurate/fingerprint.py.
     */
    static Map<String, String> keys(Path project) {
        def reach = new JsonSlurper().parse(project.resolve('conf/code.json'))
        def root = project.resolve('pycurate')
        // Each file once: most scripts reach most of the large ones.
        def digests = [:].withDefault { name -> MessageDigest.getInstance('SHA-256').digest(Files.readAllBytes(root.resolve(name))) }
        reach.scripts.collectEntries { script, own ->
            def parts = reach.shared + own
            [script, [hash(root, parts, digests), *parts].join(':')]
        }
    }

    private static String hash(Path root, List<String> parts, Map<String, byte[]> digests) {
        def files = parts.collectMany { part -> Files.walk(root.resolve(part).normalize()).toList() }
            .findAll { file -> file.toString() ==~ /.*\.(py|json|html|css|js|jpg|npz)/ && Files.isRegularFile(file) }
        def digest = MessageDigest.getInstance('SHA-256')
        files.collect { file -> root.relativize(file).toString() }.toSet().sort().each { name ->
            digest.update("${name}\0".getBytes('UTF-8'))
            digest.update(digests[name])
        }
        digest.digest().encodeHex().toString()
    }
}
