import java.nio.file.DirectoryNotEmptyException
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import nextflow.BuildInfo
import nextflow.exception.AbortOperationException
import nextflow.exception.AbortSignalException
import nextflow.util.VersionNumber

/**
 * One call of the workflow, from the first line of main.nf to the end of its process.
 *
 * Nextflow opens its trace before main.nf begins, and writes report and timeline whatever comes of the call. So they have
 * temporary names (nextflow.config) and get their own only if the call turns out to be good: one that is refused changes
 * nothing of what an earlier run left.
 */
class Call {

    /** Nextflow has a strict parser from PARSER on, which leaves task.ext, and with it every option, out of what tasks depend on till STRICT. */
    private static final VersionNumber PARSER = new VersionNumber('25.02')
    private static final VersionNumber STRICT = new VersionNumber('26.04')
    private static final List<Lock> LOCKS = []
    private static volatile boolean good

    /** See to the end of the process, however it comes: by the end of the run, a fault or a signal. */
    static void begin() {
        def session = nextflow.Global.session
        def version = new VersionNumber(BuildInfo.version)
        if (System.getenv('NXF_SYNTAX_PARSER') == 'v2' && version >= PARSER && version < STRICT) {
            throw new AbortOperationException("NXF_SYNTAX_PARSER=v2 with Nextflow ${BuildInfo.version}: -resume would not see that options changed; unset it, or use Nextflow ${STRICT} or newer")
        }
        def fault = System.getProperty('pycurate.outdir.fault') // nextflow.config found it
        if (fault) {
            forget(session.runName)
            throw new AbortOperationException("--outdir ${fault}")
        }
        def notes = notes(session)
        Runtime.runtime.addShutdownHook(new Thread({ end(session, notes) }))
        if (Paths.local(session.params.outdir) != Paths.outdir()) { // which nextflow.config took, before it was set
            throw new AbortOperationException("--outdir ${Paths.shown(session.params.outdir)}: is set in a configuration file, which is read too late for it; give it on the command line or in a -params-file")
        }
    }

    /** Take --outdir and the launch folder. Stop where a run has one of them that is not over. */
    static void take(String outdir, Path launchDir) {
        def results = Paths.of(outdir)
        def notes = System.getenv('NXF_CACHE_DIR') ? Path.of(System.getenv('NXF_CACHE_DIR')) : launchDir.resolve('.nextflow')
        def launch = "pycurate-${launchDir.toString().sha256().take(16)}.lock"
        LOCKS << new Lock(results.resolve('.pycurate.lock'), "--outdir ${Paths.shown(nextflow.Global.session.params.outdir)}", 'name another folder').take()
        LOCKS << new Lock(notes.resolve(launch), "the launch folder ${Paths.shown(launchDir)}", 'start in another folder').take()
        def renewal = Executors.newSingleThreadScheduledExecutor { job -> new Thread(job).tap { daemon = true } }
        renewal.scheduleAtFixedRate({ renew() }, Lock.RENEWAL.toSeconds(), Lock.RENEWAL.toSeconds(), TimeUnit.SECONDS)
    }

    /** From here on the call counts as good. */
    static void accept(String outdir) {
        good = true
        notes(nextflow.Global.session).each { name, file -> place(file, name) }
        if (System.getenv('PYCURATE_PARAMETERS')) { // of `pycurate run`: the file that it made of its options
            def info = Files.createDirectories(Paths.of(outdir).resolve('pipeline_info')) // not there where all notes are elsewhere
            Files.copy(Path.of(System.getenv('PYCURATE_PARAMETERS')), info.resolve('parameters.yaml'))
        }
    }

    /** Stop for what a task says that looked at the call, or at what `option` names. */
    static void refuse(Path said, String option = '') {
        throw new AbortOperationException(option + (Files.readString(said).trim() - ~/^\w+\.py: /))
    }

    /** The temporary file of each note on a run, by the name that it is to have; those aside that a user has placed elsewhere. */
    private static Map<String, Path> notes(Object session) {
        def config = session.config
        def files = ['trace.txt': config.trace?.file, 'report.html': config.report?.file, 'timeline.html': config.timeline?.file]
        files.findAll { _name, file -> file }
            .collectEntries { name, file -> [name, Paths.of(file)] }
            .findAll { _name, file -> file.fileName.toString() ==~ Published.TEMPORARY }
    }

    private static void place(Path file, String name) {
        if (Files.exists(file)) {
            Files.move(file, file.resolveSibling(name), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
        }
    }

    private static void renew() {
        try {
            LOCKS*.renew()
        }
        catch (AbortOperationException fault) {
            println fault.message
            nextflow.Global.session.abort(fault)
        }
        catch (IOException ignored) { // the file system may answer again
        }
    }

    private static void end(Object session, Map<String, Path> notes) {
        try {
            notes.each { name, file -> good ? place(file, name) : Files.deleteIfExists(file) }
            if (!good) {
                forget(session.runName)
            }
        }
        finally {
            LOCKS*.release()
            if (!good) {
                removeMade(Paths.of(Paths.outdir()).resolve('pipeline_info'))
            }
            if (session.error instanceof AbortSignalException) { // of which Nextflow makes 1
                Runtime.runtime.halt(128 + new sun.misc.Signal(session.error.message - 'SIG').number)
            }
        }
    }

    /** Take the call out of Nextflow's history: -resume goes on with the last one there, and so would do all again. */
    private static void forget(String name) {
        def history = nextflow.util.HistoryFile.DEFAULT
        def entry = history.getByName(name)
        if (entry) {
            history.deleteEntry(entry)
        }
    }

    /** Remove a folder and its parents as far as the call made them and they are empty; nextflow.config noted what was there. */
    private static void removeMade(Path folder) {
        def before = System.getProperty('pycurate.outdir.before')?.with { path -> Path.of(path).normalize() }
        while (before && folder != before && folder.startsWith(before)) {
            try {
                Files.deleteIfExists(folder)
            }
            catch (DirectoryNotEmptyException ignored) {
                return
            }
            folder = folder.parent
        }
    }
}
