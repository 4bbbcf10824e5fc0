import com.google.common.hash.HashCode
import java.nio.file.FileSystems
import java.util.regex.Pattern
import nextflow.BuildInfo
import nextflow.cache.CacheDB
import nextflow.trace.TraceRecord
import nextflow.util.KryoHelper
import nextflow.util.VersionNumber

/**
 * Task folders of earlier runs that Nextflow's cache does not know, since their tasks had not ended when Nextflow was killed.
 *
 * The jobs of those tasks may be running or queued still. Nextflow before 24.10.4 gives their folders to the same tasks of a
 * resumed run: two jobs write there at a time, and the exit code of the first is taken for that of both. From that version
 * on it leaves every folder alone that it finds.
 */
class Orphans {

    private static final VersionNumber MENDED = new VersionNumber('24.12') // of the edge releases, the first without it
    private static final Pattern BUCKET = ~/[0-9a-f]{2}/
    private static final Pattern FOLDER = ~/[0-9a-f]{30}/

    /** Let the cache know those folders as taken, by tasks that did not complete, so that resumed tasks get new ones. */
    static void avoid() {
        def session = nextflow.Global.session
        if (!session.resumeMode || new VersionNumber(BuildInfo.version) >= MENDED || session.workDir.fileSystem != FileSystems.default) {
            return
        }
        named(session.workDir.toFile(), BUCKET).each { bucket ->
            named(bucket, FOLDER).each { folder -> note(folder, session.cache) }
        }
    }

    private static void note(File folder, CacheDB cache) {
        def hash = HashCode.fromString(folder.parentFile.name + folder.name)
        def known = cache.getTraceRecord(hash)?.workDir
        if (known != folder.toString() && !(known && new File(known).exists())) { // or in another work folder, which is gone
            def record = new TraceRecord(workdir: folder.toString(), status: 'ABORTED')
            cache.@store.putEntry(hash, KryoHelper.serialize([record.serialize(), null, 1]))
        }
    }

    /** What has such a name in a folder; nothing where it is none, or is being removed. */
    private static List<File> named(File folder, Pattern name) {
        (folder.list() ?: []).findAll { entry -> entry ==~ name }.collect { entry -> new File(folder, entry) }
    }
}
