import groovy.json.JsonSlurper
import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.Path

/** The output folder when a run begins and when it is over. */
class Results {

    /** Before a run: without a summary nobody takes what it leaves unfinished for the results of a run. */
    static void begin(String outdir) {
        Files.deleteIfExists(Paths.of(outdir).resolve('summary.json'))
    }

    /**
     * After a run that succeeded: remove what an earlier one left there beyond it, and print what was kept. After one that
     * failed: name the folders whose disk is full, which Nextflow does not.
     */
    static void finish(boolean success, String outdir) {
        if (!success) {
            [('--outdir'): Paths.of(outdir), 'the work folder': nextflow.Global.session.workDir].each { what, place ->
                if (full(place)) {
                    println "${what} ${Paths.shown(place)}: no space is left on its disk; free some, then go on with -resume"
                }
            }
        }
        def file = Paths.of(outdir).resolve('summary.json')
        if (success && file.exists()) {
            def summary = (Map) new JsonSlurper().parse(file)
            removeOld(Paths.of(outdir), summary)
            print(summary, outdir)
        }
    }

    /** Whether not even a small file finds space. */
    private static boolean full(Path place) {
        Files.isDirectory(place) && place.fileSystem == FileSystems.default && Files.getFileStore(place).usableSpace < 65536
    }

    /** What this run has not left, by what its summary says. */
    private static void removeOld(Path outdir, Map summary) {
        def counts = ['partitions', 'samples', 'measures', 'img_emb', 'metadata', 'stats', 'scores']
            .collectEntries { kind -> [kind, summary.partitions] } + [curated: summary.written.shards]
        if (!summary.parameters.write) {
            counts.plan = 0
        }
        if (!summary.dedup) {
            counts += [pairs: 0, cells: 0, assigned: 0]
        }
        counts.each { kind, count ->
            def folder = outdir.resolve(kind.toString())
            def names = Files.isDirectory(folder) ? folder.toFile().list().toList() : []
            names.findAll { name -> isOld(name, kind.toString(), count, summary) }.each { name -> Files.delete(folder.resolve(name)) }
        }
        if (!summary.dedup) {
            ['duplicates.parquet', 'dedup.json'].each { name -> Files.deleteIfExists(outdir.resolve(name)) }
        }
    }

    /**
     * Files are numbered from zero on, so whatever has a higher or a differently written number is an older run's; so is
     * an index where none was asked for: it is not this tar's.
     */
    private static boolean isOld(String name, String kind, int count, Map summary) {
        def found = name =~ (kind == 'curated' ? /^(\d+)(\.tar|\.parquet|\.idx|_stats\.json)$/ : /^${kind}_(\d+)\D/)
        if (!found) {
            return false
        }
        def number = found[0][1]
        def unasked = name.endsWith('.idx') && !summary.parameters.dali_index
        unasked || number.length() != Math.max(5, "${count - 1}".length()) || number.toLong() >= count
    }

    private static void print(Map summary, String outdir) {
        def rows = [inputs: summary.inputs, kept: summary.kept] + summary.dropped
        rows.each { name, count -> println "${name.toString().padRight(20)} ${count.toString().padLeft(12)}" }
        println((summary.written.shards ? "Curated shards: ${outdir}/curated   " : '') + "Report: ${outdir}/report.html")
    }
}
