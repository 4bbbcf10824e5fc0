import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.Path
import nextflow.exception.AbortOperationException
import nextflow.file.FileHelper

/**
 * The paths that a person gives. What a task is told of them is quoted, and shards are only values (Shards.groovy). But some
 * paths Nextflow itself writes into shell commands, and it quotes by half: those are checked here, before any task.
 */
class Paths {

    /** What has a meaning in double quotes, and what Nextflow leaves bare. */
    private static final String SHELL = /\p{Cntrl}$`"\\!*?\[\]{}/

    /** What also goes wrong where a command is read twice (a container, --scratch, a job array), or in a list of mounts. */
    private static final String TWICE = SHELL + / '()&|<>;:,%/

    /** A path just as it is written, where Nextflow's file() would take some for patterns. */
    static Path of(Object text) {
        FileHelper.toCanonicalPath(text.toString())
    }

    /** The folder of results on this machine: --outdir, or for an address the folder that nextflow.config chose. */
    static String outdir() {
        System.getProperty('pycurate.outdir')
    }

    /** The folder on this machine that nextflow.config makes of an --outdir. */
    static String local(Object outdir) {
        outdir.toString().replaceFirst('://', '/')
    }

    /** Stop with every path that cannot be used. */
    static void check(Map params) {
        def session = nextflow.Global.session
        def executor = session.config.navigate('process.executor') ?: 'local'
        def set = Mounts.engine() || params.scratch || executor != 'local' ? TWICE : SHELL
        def faults = unfit('--outdir', params.outdir, /\p{Cntrl}/, 'in its name', 'choose another folder')
        if (params.outdir != params.outdir.trim() || params.outdir =~ /^\/.*:\//) {
            faults << "--outdir ${shown(params.outdir)}: Nextflow does not accept a folder that begins or ends with a blank or contains :/; choose another"
        }
        faults += unfit('the work folder', session.workDir, set, 'in shell commands', 'choose another with -work-dir')
        if (session.workDir.fileSystem == FileSystems.default && !Files.isWritable(session.workDir)) {
            faults << "the work folder ${shown(session.workDir)} is not writable; choose another with -work-dir"
        }
        faults += unfit('the project folder', session.baseDir, set + ':', 'in shell commands', 'move the project')
        if (!faults) {
            faults += unfit('--model_dir', of(params.model_dir), set, 'in shell commands', 'choose another folder')
            faults += params.balance_words ? unfit('--balance_words', of(params.balance_words), set, 'in shell commands', 'rename it, or give a link to it') : []
            faults += References.folders(params).findAll { folder -> References.embedded(folder) }.collectMany { folder ->
                unfit(References.option(params, folder.toString()), folder, set, 'in shell commands', 'rename it, or give a link to it')
            }
            faults += Blocklists.files(params).collectMany { file -> unfit('--blocklist', file, set, 'in shell commands', 'rename it, or give a link to it') }
        }
        if (Mounts.engine()) {
            faults += unfit('--container', params.container, TWICE.replace(':', ''), 'in shell commands', 'choose another image')
        }
        if (faults) {
            throw new AbortOperationException(faults.join('\n'))
        }
    }

    /** Text as one line that a terminal shows and does not obey. */
    static String shown(Object text) {
        "'" + text.toString().replaceAll(/[\p{Cntrl}\p{Cf}\p{Zl}\p{Zp}\u0080-\u009f\ufffd]/) { found -> String.format('\\u%04x', (int) found[0]) } + "'"
    }

    private static List<String> unfit(String what, Object place, String characters, String where, String remedy) {
        if (place instanceof Path && place.fileSystem != FileSystems.default) {
            return []
        }
        def found = place.toString().findAll("[${characters}]").unique().collect { one -> shown(one) }
        found ? ["${what} ${shown(place)}: contains ${found.join(' ')}, which Nextflow cannot handle ${where}; ${remedy}".toString()] : []
    }
}
