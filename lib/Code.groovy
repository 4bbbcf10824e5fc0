import java.nio.file.Files
import java.nio.file.Path
import java.security.MessageDigest

/** The content of the Python package, as one hash; pycurate/fingerprint.py computes the same. */
class Code {

    static String hash(String folder) {
        def root = Path.of(folder)
        def digest = MessageDigest.getInstance('SHA-256')
        Files.walk(root)
            .filter { file -> Files.isRegularFile(file) && file.toString() ==~ /.*\.(py|html|css|js|jpg)/ }
            .map { file -> root.relativize(file).toString() }
            .sorted()
            .forEach { name ->
                digest.update("${name}\0".getBytes('UTF-8'))
                digest.update(MessageDigest.getInstance('SHA-256').digest(Files.readAllBytes(root.resolve(name))))
            }
        digest.digest().encodeHex().toString()
    }
}
