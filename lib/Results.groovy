import groovy.json.JsonSlurper
import java.nio.file.Files
import java.nio.file.Path

/** The output folder when a run is over. */
class Results {

    /** After a run that succeeded: remove what an earlier one left there beyond it, and print what was kept. */
    static void finish(boolean success, String outdir) {
        def file = nextflow.Nextflow.file("${outdir}/summary.json")
        if (success && file.exists()) {
            def summary = (Map) new JsonSlurper().parse(file)
            removeOld(nextflow.Nextflow.file(outdir), summary)
            print(summary, outdir)
        }
    }

    /**
     * Files are numbered from zero on, so whatever has a higher or a differently written number is an older run's; so is
     * an index of a tar where none was asked for.
     */
    private static void removeOld(Path outdir, Map summary) {
        def indexed = summary.parameters?.dali_index
        def counts = ['partitions', 'samples', 'measures', 'img_emb', 'metadata', 'stats', 'scores']
            .collectEntries { kind -> [kind, summary.partitions] } + [curated: summary.written.shards]
        counts.each { kind, count ->
            def folder = outdir.resolve(kind.toString())
            def width = Math.max(5, "${count - 1}".length())
            def old = Files.isDirectory(folder) ? folder.toFile().list().findAll { name ->
                def found = name =~ (kind == 'curated' ? /^(\d+)(\.tar|\.parquet|\.idx|_stats\.json)$/ : /^${kind}_(\d+)\D/)
                def stray = name.endsWith('.idx') && !indexed
                found && (stray || found[0][1].length() != width || found[0][1].toLong() >= count)
            } : []
            old.each { name -> Files.delete(folder.resolve(name)) }
        }
    }

    private static void print(Map summary, String outdir) {
        def rows = [inputs: summary.inputs, kept: summary.kept] + summary.dropped
        rows.each { name, count -> println "${name.toString().padRight(20)} ${count.toString().padLeft(12)}" }
        println "Curated shards: ${outdir}/curated   Report: ${outdir}/report.html"
    }
}
