import groovy.json.JsonSlurper
import java.nio.file.Path

/** pycurate/nextflow_schema.json, which says what each parameter means and of what type it is. */
class Schema {

    /** The groups of parameters in their order: [title, properties: [name: property]]. */
    static Collection<Map> groups() {
        read(nextflow.Global.session.baseDir.resolve('pycurate/nextflow_schema.json')).values()
    }

    /** Every parameter: [name: its type, range, description, ...]. */
    static Map<String, Map> properties() {
        groups().collectEntries { group -> group.properties }
    }

    @groovy.transform.Memoized
    private static Map read(Path file) {
        def groups = (Map) new JsonSlurper().parse(file)['$defs']
        groups.values()*.properties*.values().flatten().findAll { property -> property.enumOf }.each { property ->
            property.enum = ((Map) new JsonSlurper().parse(file.resolveSibling(property.enumOf))).keySet().toList()
        }
        groups
    }
}
