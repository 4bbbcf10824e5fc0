// What Nextflow's strict parser refuses or warns of: strict_syntax.groovy LIB FILE... prints a line for each fault, tab-separated:
// file, line, message. Scripts (.nf) may name the classes of the folder LIB, as in a run. Of configurations only the syntax is
// looked at: the names in them cannot be told without a run.
import nextflow.config.control.ConfigParser
import nextflow.script.control.ResolveIncludeVisitor
import nextflow.script.control.ScriptParser
import nextflow.script.control.ScriptResolveVisitor
import nextflow.script.control.TypeCheckingVisitor
import nextflow.script.types.Types
import org.codehaus.groovy.ast.ClassHelper
import org.codehaus.groovy.control.messages.SyntaxErrorMessage

def lib = new File(args[0]).listFiles().collect { source -> ClassHelper.makeWithoutCaching(source.name - '.groovy') }
def scripts = new ScriptParser().compiler()
def configurations = new ConfigParser().compiler()
args.drop(1).each { name ->
    def compiler = name.endsWith('.nf') ? scripts : configurations
    def source = compiler.createSourceUnit(new File(name))
    compiler.addSource(source)
    compiler.compile(source)
}
scripts.sources.values().each { source -> // ScriptParser.analyze does the same and knows no classes of ours
    def includes = new ResolveIncludeVisitor(source, scripts)
    includes.visit()
    includes.errors.each { error -> source.errorCollector.addErrorAndContinue(error) }
    new ScriptResolveVisitor(source, scripts.compilationUnit(), Types.DEFAULT_SCRIPT_IMPORTS, lib).visit()
    new TypeCheckingVisitor(source, false).visit()
}
(scripts.sources.values() + configurations.sources.values()).each { source ->
    def errors = source.errorCollector.errors.collect { error ->
        error instanceof SyntaxErrorMessage ? [error.cause.startLine, error.cause.originalMessage] : [0, error.cause.toString()]
    }
    def warnings = source.errorCollector.warnings.collect { warning -> [warning.context.startLine, warning.message] }
    (errors + warnings).each { line, message -> println([source.name, line, message.readLines().first()].join('\t')) }
}
