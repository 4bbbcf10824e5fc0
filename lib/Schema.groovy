import groovy.json.JsonSlurper
import java.nio.file.Path

/** nextflow_schema.json, which says what each parameter means and of what type it is. */
class Schema {

    /** The groups of parameters in their order: [title, properties: [name: property]]. */
    static Collection<Map> groups() {
        read(nextflow.Global.session.baseDir.resolve('nextflow_schema.json')).values()
    }

    /** Every parameter: [name: its type, range, description, ...]. */
    static Map<String, Map> properties() {
        groups().collectEntries { group -> group.properties }
    }

    @groovy.transform.Memoized
    private static Map read(Path file) {
        (Map) new JsonSlurper().parse(file)['$defs']
    }
}
