// What the classes of lib/ answer: lib.groovy FILE prints a line, '= ' and JSON, for each entry of the JSON list that FILE holds, which is
// [settings, expression]; instead of a value {"fault": its message}. The settings are those of a run, beside `params` and `workDir`.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.nio.file.Path
import nextflow.Global
import nextflow.Session

def project = Path.of(getClass().protectionDomain.codeSource.location.toURI()).parent.parent.parent
def shell = new GroovyShell(getClass().classLoader)
def sessions = [:].withDefault { settings ->
    def session = new Session(settings - settings.subMap(['params', 'workDir']))
    session.baseDir = project
    session.workDir = Path.of(settings.workDir)
    session.binding.setParams(settings.params)
    session
}
new JsonSlurper().parse(new File(args[0])).each { settings, expression ->
    Global.session = sessions[settings]
    def said = null
    try {
        said = shell.evaluate(expression)
    }
    catch (Exception fault) {
        said = [fault: fault.message]
    }
    println '= ' + JsonOutput.toJson(said instanceof CharSequence ? said.toString() : said)
}
System.exit(0) // a session has threads
