import groovy.json.JsonSlurper
import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.Path

/** The output folder when a run begins and when it is over. */
class Results {

    /**
     * When a call is known to be good: without summary and manifest nobody takes what it leaves unfinished for the results
     * of a run. A stub leaves nothing, so they stay. Gives `found`, for which the run has waited.
     */
    static Object begin(String outdir, Object found) {
        // Notes that this run may not leave, and reports that Nextflow leaves at its end, if at all; Call.accept replaces a trace.
        def session = nextflow.Global.session
        def names = ['parameters.yaml', 'report.html', 'timeline.html'] + (session.config.navigate('trace.enabled') ? [] : ['trace.txt'])
        def notes = names.collect { name -> "pipeline_info/${name}".toString() }
        def old = session.stubRun ? [] : ['summary.json', 'manifest.tsv', *notes]
        old.each { name -> Files.deleteIfExists(Paths.of(outdir).resolve(name)) }
        Call.accept(outdir)
        found
    }

    /**
     * Publish the files of a run as they come, and see at its end that they are all that there is of a run's.
     *
     * @param records a channel of what costs.py leaves for each task: the files that it made, with their hashes
     * @param files a channel of small files that stand in no record
     * @param last a channel of the file that says that all is there
     * @param kinds a channel of a list of regular expressions in JSON: the names of a run's files
     * @return a channel of the output folder, once all is there
     */
    static Object publish(Published published, Object records, Object files, Object last, Object kinds) {
        def handed = records.map { record -> published.task(record) }
            .mix(files.flatten().map { file -> published.file(file) })
            .count()
        last.combine(kinds).combine(handed).map { file, json, _count ->
            published.finish(file, (List<String>) Published.read(json))
        }
    }

    /** After a run that succeeded: print what was kept, and the `address` that it went to, if any. After one that failed: name the folders whose disk is full. */
    static void finish(boolean success, String outdir, String address) {
        if (!success) {
            [('--outdir'): Paths.of(outdir), 'the work folder': nextflow.Global.session.workDir].each { what, place ->
                if (full(place)) {
                    println "${what} ${Paths.shown(place)}: no space is left on its disk; free some space, then run again with -resume"
                }
            }
        }
        def file = Paths.of(outdir).resolve('summary.json')
        if (success && file.exists()) {
            print((Map) new JsonSlurper().parse(file), outdir, address)
        }
    }

    /** Whether not even a small file finds space. */
    private static boolean full(Path place) {
        Files.isDirectory(place) && place.fileSystem == FileSystems.default && Files.getFileStore(place).usableSpace < 65536
    }

    /** Why nothing was kept, and what to do. */
    private static String nothingKept(Map summary, String outdir) {
        if (!summary.inputs) {
            return 'The shards hold no sample; see that --input names the right ones.'
        }
        def largest = summary.dropped.max { entry -> entry.value }
        def (most, count) = [largest.key, largest.value]
        if (count == summary.inputs && most == 'unreadable') {
            def codes = summary.unreadable.collect { code, samples -> "${code} ${samples}" }.join(', ')
            return "No sample could be read (${codes}); docs/output.md tells what these codes mean, samples/ in the results which sample has which."
        }
        "Nothing was kept: ${most} dropped most, ${count} of ${summary.inputs}; " +
            "try other thresholds with pycurate refilter ${Shell.quote(outdir)}, then run again with -resume."
    }

    private static void print(Map summary, String outdir, String address) {
        def rows = [inputs: summary.inputs, kept: summary.kept] + summary.dropped
        rows.each { name, count -> println "${name.toString().padRight(20)} ${count.toString().padLeft(12)}" }
        ((List<String>) (summary.selection ?: [])).each { sentence -> println sentence }
        if (!summary.kept) {
            println nothingKept(summary, outdir)
        }
        ((List<String>) (summary.advice ?: [])).each { sentence -> println sentence } // on a threshold that dropped nearly everything
        println((summary.written.shards ? "Curated shards: ${address ?: outdir}/curated   " : '') + "Report: ${outdir}/report.html")
    }
}
