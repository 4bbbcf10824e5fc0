/**
 * What a task's script is told of the parameters: those that pycurate/nextflow_schema.json says are for its process.
 *
 * A process has it as `ext options`, since Nextflow's key of a task covers what its script names, `task.ext.options`, and not
 * the text that comes of it.
 */
class Options {

    /** As options of a shell command: `--batch-size 100 --no-nsfw --filter 'mine:Mine=3'`. What is not set is left out; `instead` outranks the user. */
    static String of(String process, Map instead = [:]) {
        def given = Parameters.masked(Parameters.given()) + instead
        def params = Presets.asEmbedded(process, given) + [digests: Blocklists.digests(given)]
        Schema.properties().findAll { name, entry -> process in entry.tasks && params[name] != null && params[entry.with] != false }
            .collect { name, _entry -> option(name, params[name]) }
            .join(' ')
    }

    private static String option(String name, Object value) {
        def words = name.replace('_', '-')
        if (value instanceof Boolean) {
            return value ? "--${words}" : "--no-${words}"
        }
        def text = name in Checkpoints.ENCODERS ? Checkpoints.pinned(value.toString()) : value.toString()
        "--${words} ${value instanceof Number ? plain(value) : Shell.quote(text)}"
    }

    /** A number as it is written shortest. `pycurate run` makes 1.0 of a 1, and Nextflow's cache knows tasks by their options. */
    private static String plain(Number value) {
        new BigDecimal(value.toString()).stripTrailingZeros().toPlainString()
    }
}
