import groovy.json.JsonSlurper
import java.nio.file.Path

/** Selections that were published, as values of parameters, out of the file in which Python reads them. */
class Recipes {

    /** The parameters with those that --recipe sets and that are not given. */
    static Map<String, Object> applied(Map params) {
        def recipe = all()[params.recipe] ?: [:]
        params + recipe.findAll { name, _value -> params[name] == null }
    }

    private static Map<String, Map> all() {
        (Map) new JsonSlurper().parse(Path.of(nextflow.Global.session.baseDir.toString(), 'pycurate', 'recipes.json'))
    }
}
