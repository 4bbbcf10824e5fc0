import groovy.transform.Memoized
import java.nio.file.Files
import java.nio.file.Path

/** Encoders in files of the user's own: torchscript:FILE, local-dir:FOLDER and MODEL/FILE, the latter two of open_clip. */
class Checkpoints {

    private static final String SCRIPT = 'torchscript:'
    private static final String FOLDER = 'local-dir:'

    /** Whether an encoder is named as a file of torch.jit.save. */
    static boolean isScript(Object encoder) {
        encoder instanceof CharSequence && encoder.startsWith(SCRIPT)
    }

    /** The file of such an encoder. */
    static Path script(String encoder) {
        Paths.of(encoder.substring(SCRIPT.length()))
    }

    /**
     * The name with the hash of its files, so that a task of other files is not answered from the cache, nor runs on them;
     * a name without files as it is.
     */
    @Memoized
    static String pinned(String encoder) {
        def files = files(encoder)
        files ? "${encoder}#${hash(files)}" : encoder
    }

    /** The files that say what an encoder is, as ClipSource.files of pycurate/models/builtin/openclip.py has them. */
    private static List<Path> files(String encoder) {
        if (isScript(encoder)) {
            return [script(encoder)]
        }
        if (encoder.startsWith(FOLDER)) {
            def inside = Paths.of(encoder.substring(FOLDER.length())).toFile().listFiles() ?: []
            return inside.findAll { file -> file.name ==~ /.+\.(safetensors|bin|pt|pth)|open_clip_config\.json/ }*.toPath()
        }
        def path = encoder.contains('/') && !encoder.contains(':') ? encoder.split('/', 2)[1] : ''
        path.startsWith('/') && Files.isRegularFile(Paths.of(path)) ? [Paths.of(path)] : []
    }

    /** One SHA-256 for files, as sha256_of_files of pycurate/models/identity.py makes it. */
    private static String hash(List<Path> files) {
        def each = files.collect { file -> Published.sha256(file) }.sort()
        each.size() == 1 ? each[0] : each.join('\n').sha256()
    }
}
