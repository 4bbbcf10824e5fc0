import groovy.transform.Memoized
import java.nio.file.Files
import java.nio.file.Path

/**
 * What options name in files of the user's own: encoders as torchscript:FILE, local-dir:FOLDER and MODEL/FILE, the latter
 * two of open_clip, and classes as FILE:CLASS.
 */
class Checkpoints {

    /** The options that name an encoder each. */
    static final List<String> ENCODERS = ['encoder', 'dedup_encoder']

    /** The options that name classes, separated by commas. */
    static final List<String> CLASSES = [*ENCODERS, 'scorer', 'pixel_scorer', 'filter']

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

    /** The files of all encoders and classes that options name. */
    static List<Path> named(Map options) {
        def classes = options.subMap(CLASSES).values().findAll()*.toString()*.tokenize(',').flatten()
            .collect { part -> part =~ /(\/.*\.py):[^:]*/ }
            .findAll { found -> found.matches() }
            .collect { found -> Paths.of(found.group(1)) }
        classes + options.subMap(ENCODERS).values().findAll().collectMany { encoder -> files(encoder.toString()) }
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
