import groovy.json.JsonSlurper
import java.nio.file.Path

/** The presets, out of the file in which Python reads them. */
class Presets {

    /** Whether an encoder of this preset has a text tower; of one that is not known it may have. */
    static boolean readsText(String preset) {
        all().getOrDefault(preset, [text: true]).text
    }

    /**
     * The parameters as they concern a process. EMBED measures only what is read from pixels: of a preset whose scorers read
     * embeddings, a score that is switched off embeds nothing anew. Another encoder brings no scorer, so there is none to
     * be switched off.
     */
    static Map asEmbedded(String process, Map params) {
        def idle = process in ['EMBED', 'SCORE']
            ? all()[params.preset].scorers.findAll { _score, scorer -> params.encoder || (process == 'EMBED' && scorer.reads == 'embeddings') }
            : [:]
        params + idle.collectEntries { score, _scorer -> [score, null] }
    }

    /** The names of the duplicate descriptors, and what stands for the encoder that scores. */
    static List<String> descriptors() {
        ['same'] + read('descriptors.json').keySet()
    }

    /** Whether it is known from which cosine on embeddings of --dedup_encoder are duplicates. */
    static boolean hasThreshold(String descriptor) {
        descriptor == null || descriptor in descriptors() || descriptor in all()*.value.encoder
    }

    private static Map<String, Map> all() {
        read('presets.json')
    }

    private static Map<String, Map> read(String file) {
        (Map) new JsonSlurper().parse(Path.of(nextflow.Global.session.baseDir.toString(), 'pycurate', 'models', file))
    }
}
