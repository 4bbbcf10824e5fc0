import groovy.transform.Memoized
import java.nio.file.Path

/** Encoders in files of torch.jit.save, which are named torchscript:FILE. */
class TorchScript {

    private static final String PREFIX = 'torchscript:'

    static boolean isNamed(Object encoder) {
        encoder instanceof CharSequence && encoder.startsWith(PREFIX)
    }

    static Path file(String encoder) {
        Paths.of(encoder.substring(PREFIX.length()))
    }

    /** The name with the file's hash, so that a task of another file is not answered from the cache, nor runs on one. */
    @Memoized
    static String pinned(String encoder) {
        "${encoder}#${Published.sha256(file(encoder))}"
    }
}
