import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.Path
import nextflow.exception.AbortOperationException

/** The folders of weights in --model_dir. */
class Models {

    /** The name of the folder for the models that see pixels: light, clip-l14, ViT-B-16_openai, ... */
    static String folder(Map params) {
        folderName(params.encoder ?: params.preset, params.pixel_scorer, descriptor(params))
    }

    /** The name of the folder for these and the scorers that read embeddings; without such scorers, the same. */
    static String wider(Map params) {
        folderName(params.encoder ?: params.preset, params.pixel_scorer, descriptor(params), params.scorer)
    }

    /** --model_dir, made if it is not there. Stop where weights are missing and it cannot be written. */
    static Path home(Map params) {
        def place = Paths.of(params.model_dir)
        if (place.fileSystem == FileSystems.default) {
            [folder(params), wider(params)].collect { name -> place.resolve(name) }
                .findAll { weights -> !Files.exists(weights.resolve('fetched.sha256')) }
                .each { weights -> checkWritable(weights, params.model_dir) }
        }
        if (!place.exists() && !place.mkdirs()) {
            throw new AbortOperationException("--model_dir ${Paths.shown(params.model_dir)}: cannot be made; choose another folder")
        }
        place
    }

    /** Whether the user names a model. A preset's own need no check before their weights are fetched. */
    static boolean named(Map params) {
        params.subMap(['encoder', 'dedup_encoder', 'scorer', 'pixel_scorer']).any { _name, value -> value }
    }

    private static String descriptor(Map params) {
        params.dedup_encoder == 'same' ? null : params.dedup_encoder
    }

    private static void checkWritable(Path folder, String given) {
        def place = folder
        while (!Files.exists(place)) {
            place = place.parent
        }
        if (!Files.isDirectory(place) || !Files.isWritable(place)) {
            def cause = Files.isDirectory(place) ? 'is not writable' : 'is a file'
            throw new AbortOperationException(
                "--model_dir ${Paths.shown(given)}: ${Paths.shown(place)} ${cause}, and the weights are missing; " +
                    'use a folder of your own, or let its owner fetch them'
            )
        }
    }

    private static String folderName(String... names) {
        def name = names.findAll().join('_').replaceAll(/[^\w.-]+/, '_')
        // Classes may be named by long paths, and file systems take 255 bytes.
        name.length() <= 120 ? name : "${name.take(80)}_${name.sha256().take(16)}"
    }
}
