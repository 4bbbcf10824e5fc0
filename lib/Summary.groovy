import groovy.json.JsonSlurper
import java.nio.file.Files
import java.nio.file.Path

/** The last words of a run. */
class Summary {

    /** Print what was kept and dropped by reason, from summary.json. */
    static void print(Object run, String outdir) {
        def file = Path.of(outdir, 'summary.json')
        if (!run.success || !Files.exists(file)) {
            return
        }
        def summary = new JsonSlurper().parse(file)
        def rows = [['inputs', summary.inputs], ['kept', summary.kept]] + summary.dropped.collect { reason, count -> [reason, count] }
        rows.each { name, count -> println "${name.toString().padRight(20)} ${count.toString().padLeft(12)}" }
        println "Curated shards: ${outdir}/curated   Report: ${outdir}/report.html"
    }
}
