/**
 * Parameters in the types of nextflow_schema.json. Nextflow's strict parser, the default from 26.04 on, leaves whatever
 * stands on the command line as text, and the text 'false' is true in Groovy: nothing may read a parameter before it is typed.
 *
 * Text is read by the rules by which Nextflow 24.10 reads it, so that a call means the same on every version. What cannot be
 * read stays text, and Parameters.check says what is wrong with it. What has a type already (of a -params-file) is left alone.
 */
class Typing {

    private static final Map<String, Closure> READ = [
        boolean: { text -> text.equalsIgnoreCase('true') ? true : text.equalsIgnoreCase('false') ? false : text },
        integer: { text -> text ==~ /-?\d+/ ? whole(text, text) : text },
        number : { text -> text ==~ /-?\d+(\.\d+)?/ ? whole(text, text.toDouble()) : text },
    ]

    /** All parameters, in a map of their own: Nextflow's cannot be changed. */
    static Map<String, Object> typed(Map params) {
        params.collectEntries { name, value -> [name, typed(name.toString(), value)] }
    }

    /** One value; null, and what the schema does not know, as they are. */
    static Object typed(String name, Object value) {
        def read = value instanceof CharSequence ? READ[Schema.properties()[name]?.type] : null
        read ? read(value.toString()) : value
    }

    /** A whole number of as many bits as it takes, or else what is given for it. */
    private static Object whole(String text, Object otherwise) {
        text.isInteger() ? text.toInteger() : text.isLong() ? text.toLong() : otherwise
    }
}
