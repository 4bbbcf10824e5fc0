import groovy.json.JsonOutput
import java.nio.file.Files
import java.nio.file.Path
import nextflow.extension.Bolts
import nextflow.util.Duration
import nextflow.util.MemoryUnit
import nextflow.util.RateUnit

/**
 * The parameters, typed (Typing.groovy), as nextflow_schema.json describes them: checked before any task starts, and shown
 * by --help. The plugin nf-schema does as much, but is fetched at run time, and a run of pycurate needs no network.
 */
class Parameters {

    /** Text that Nextflow reads, but not before a task is submitted, and then it tells of a fault by a trace: by what, and an example. */
    private static final Map<String, List> QUANTITIES = [
        slurm_max_memory  : [MemoryUnit, '250.GB'],
        slurm_max_time    : [Duration, '24.h'],
        slurm_poll        : [Duration, '30sec'],
        slurm_exit_timeout: [Duration, '270sec'],
        slurm_submit_rate : [RateUnit, '10/1sec'],
    ]

    /** Stop with every fault of the call, if there is one. `args` is what stood on the command line beside options. */
    static void check(Map params, List args) {
        def known = Schema.properties()
        def faults = args ? ["'${args.first()}' is not an option; quote patterns, as in --input 'shards/*.tar'"] : []
        // Nextflow turns --images-per-tar into a second parameter, imagesPerTar; one fault is enough.
        def unknown = params.keySet() - known.keySet()
        def twins = unknown.findAll { name -> name.contains('-') }.collect { name -> camel(name) }
        (unknown - twins).each { name ->
            faults << "there is no parameter --${name}${nearest(name, known.keySet(), '--')}"
        }
        // Only what is set is looked at: Nextflow warns of the parameters of profiles that are not chosen.
        def set = params.findAll { name, value -> known.containsKey(name) && value != null }
        set.each { name, value ->
            fault(value, known[name])?.with { text -> faults << "--${name} ${value}: ${text}" }
        }
        // As `outdir:` in a file has it. What else is null has no default, or is left to its script.
        params.findAll { name, value -> value == null && isRequired(known[name]) && (name != 'model_dir' || System.getenv('HOME')) }.each { name, _value ->
            faults << "--${name}: is empty; give a value, or leave it out"
        }
        if (!params.input && !params.testset) {
            faults << "--input is missing: ${known.input.description}"
        }
        if (!params.model_dir && !System.getenv('HOME')) {
            faults << '--model_dir is missing: HOME is not set, so there is no ~/.cache/pycurate; give a folder for the weights'
        }
        // What is of another type, as the true that Nextflow makes of an option without a value, says nothing further.
        def strange = set.findAll { name, value -> !isOfType(value, known[name]) }.keySet()
        set = set.findAll { name, _value -> !(name in strange) }
        params = params + strange.collectEntries { name -> [name, null] }
        set.findAll { _name, value -> value instanceof CharSequence && value =~ /[\t\r\n]/ }.each { name, value ->
            faults << "--${name} ${Paths.shown(value)}: contains a tab or a line break"
        }
        def folders = [[params.input, '--input'], [params.model_dir, '--model_dir']] + References.given(params).collect { folder -> [folder, References.option(params, folder)] }
        folders.findAll { folder, _option -> folder ==~ '~(/.*)?' }.each { folder, option ->
            faults << "${option} ${Paths.shown(folder)}: ~ was not expanded by the shell; write the full path"
        }
        set.subMap(['model_dir', 'reference']).each { name, value ->
            parts(value).collect { part -> Stores.fault(name, part) }.findAll().each { text -> faults << text }
        }
        faults.addAll(References.faults(params))
        faults.addAll(Blocklists.faults(params))
        if (set.scratch && !(set.scratch ==~ /[\w\/.+=@,:\u0024{}-]+/)) {
            faults << "--scratch ${Paths.shown(set.scratch)}: is not a folder with a plain name, such as /local or '\$TMPDIR'"
        }
        set.subMap(QUANTITIES.keySet()).each { name, value ->
            def (kind, example) = QUANTITIES[name]
            if (!isRead(kind, value.toString())) {
                faults << "--${name} ${Paths.shown(value)}: cannot be read; write it as ${example}"
            }
        }
        def scores = known*.value.with.findAll().unique()
        if (params.encoder && !params.scorer && !params.pixel_scorer && scores.any { score -> params[score] }) {
            faults << "--encoder has no scorers: add ${scores.findAll { score -> params[score] }.collect { score -> "--${score} false" }.join(' ')}, or a --scorer for each"
        }
        def named = params.dedup_encoder
        if (named && !(named =~ /[:\/]/) && !(named in Presets.descriptors())) {
            faults << "--dedup_encoder ${named}: is none of ${Presets.descriptors().join(', ')}${nearest(named, Presets.descriptors())}, and no torchscript:FILE or module:Class"
        } else if ((params.dedup || params.leakage) && params.dedup_threshold == null && !Presets.hasThreshold(named)) {
            faults << "--dedup_encoder ${named}: has no threshold of its own; add --dedup_threshold 0.9, say"
        }
        set.subMap(Checkpoints.ENCODERS).findAll { _name, value -> Checkpoints.isScript(value) }.each { name, value ->
            if (!(value ==~ /torchscript:\/.*/)) {
                faults << "--${name} ${value}: write the absolute path, since tasks run in their own folders"
            } else if (!Files.isRegularFile(Checkpoints.script(value))) {
                faults << "--${name} ${Paths.shown(value)}: there is no such file"
            }
        }
        if (scoresCaptions(params) && !params.encoder && !Presets.readsText(params.preset)) {
            def asked = params.clip_score_threshold != null ? '--clip_score_threshold' : comparesCaptions(params) ? 's_clip_loss' : masksText(params) ? 'clip_score_masked' : 'clip_score'
            faults << "${asked} requires a CLIP model: add for example --preset clip-b32"
        }
        def words = References.wanted(params).find { _option, _name, prompts -> prompts }
        if (words && !params.encoder && !Presets.readsText(params.preset)) {
            faults << "--concept ${words[1]}: words require a CLIP model: add for example --preset clip-b32, or name a folder of examples"
        }
        known.findAll { name, property -> property.with && property.default == null && params[name] != null && !params[property.with] }.each { name, property ->
            faults << "--${name} has no effect without --${property.with} true"
        }
        if (params.partition_minutes && !params.images_per_second) {
            faults << '--partition_minutes requires --images_per_second: see the report of an earlier run'
        }
        if (params.reference && !params.dedup) {
            faults << '--reference has no effect without --dedup true'
        }
        faults.addAll(balance(params))
        Checkpoints.CLASSES.each { name ->
            parts(set[name]).findAll { part -> part ==~ /[^\/].*\.py:[^:]*/ }.each { part ->
                faults << "--${name} ${part}: write the absolute path, since tasks run in their own folders"
            }
        }
        parts(set.min_score).findAll { part -> !(part ==~ /[^=]+=.+/ && isNumber(part.split('=', 2)[1])) }.each { part ->
            faults << "--min_score ${part}: is not COLUMN=NUMBER"
        }
        def concepts = References.wanted(params).findAll { option, _name, _prompts -> option == 'concept' }.collect { _option, name, _prompts -> name }
        parts(set.concept_threshold).findAll { part -> !(part ==~ /[^=]+=.+/ && isNumber(part.split('=', 2)[1]) && part.split('=', 2)[0] in concepts) }.each { part ->
            faults << "--concept_threshold ${part}: is not NAME=NUMBER with a NAME of --concept"
        }
        if (faults) {
            throw new nextflow.exception.AbortOperationException(faults.join('\n') + '\nSee --help.')
        }
    }

    /** The parameters as text for --help, the seldom needed ones too if wanted. */
    static String help(boolean hidden) {
        def lines = ["nextflow run main.nf --input 'shards/*.tar' --outdir results [--NAME VALUE ...]"]
        Schema.groups().each { part ->
            def shown = part.properties.findAll { _name, property -> hidden || !property.hidden }
            lines.addAll(shown ? ['', part.title] : [])
            shown.each { name, property ->
                def values = property.enum ? " (${property.enum.join(', ')})" : ''
                def standard = property.default in [null, ''] ? '' : " [${property.default}]"
                lines << "  --${name.padRight(20)} ${property.description}${values}${standard}"
            }
        }
        lines.addAll(hidden ? [] : ['', 'More parameters: --help --show_hidden, and docs/usage.md.'])
        lines.join('\n')
    }

    /** The parameters as JSON, in the order of their names, and other files so that they are found from elsewhere. */
    static String json(Map params, Path launchDir) {
        JsonOutput.toJson(new TreeMap(Blocklists.absolute(References.absolute(params, launchDir)).findAll { _name, value -> value != null }))
    }

    /** Whether the CLIP score is computed: it has a threshold or is named where scores are, or captions are compared. */
    static boolean scoresCaptions(Map params) {
        params.clip_score_threshold != null || names(params, 'clip_score') || comparesCaptions(params) || masksText(params)
    }

    /** Whether the CLIP score without text is computed: it is switched on, or named where scores are. */
    static boolean masksText(Map params) {
        params.clip_score_masked || names(params, 'clip_score_masked')
    }

    /** The parameters of this run, of their types, with those of a recipe. */
    static Map given() {
        Recipes.applied(Typing.typed(nextflow.Global.session.params))
    }

    /** The parameters, with what the CLIP score without text takes where that is computed. */
    static Map masked(Map params) {
        params + (masksText(params) ? [clip_score_masked: true, text_area: true] : [:])
    }

    /** Whether s-CLIPLoss is computed: it is switched on, or named where scores are. */
    static boolean comparesCaptions(Map params) {
        params.s_clip_loss || names(params, 's_clip_loss')
    }

    private static boolean names(Map params, String score) {
        ['min_score', 'score', 'keep_top', 'balance_by'].any { name -> (params[name] ?: '') =~ /\b${score}\b/ }
    }

    /** What is wrong with the parameters of --balance, as DECIDE would say it. */
    private static List<String> balance(Map params) {
        def own = [cells: ['target', 'balance_by', 'balance_seed'], captions: ['cap', 'balance_words', 'balance_seed']]
        def used = own[params.balance] ?: []
        def required = used - ['balance_by', 'balance_seed']
        def missing = required.findAll { name -> params[name] == null }
        def idle = own.values().flatten().unique().findAll { name -> params[name] != null && !(name in used) }
        def file = params.balance_words && !Files.isRegularFile(Paths.of(params.balance_words)) ? [Paths.shown(params.balance_words)] : []
        missing.collect { name -> "--balance ${params.balance} requires --${name}".toString() } +
            idle.collect { name -> "--${name} has no effect ${params.balance ? "with --balance ${params.balance}" : 'without --balance'}".toString() } +
            file.collect { name -> "--balance_words ${name}: there is no such file".toString() }
    }

    /** What a parameter names, separated by commas. */
    private static List<String> parts(Object value) {
        value instanceof CharSequence ? value.tokenize(',') : []
    }

    /** What is wrong with a value, or null. */
    private static String fault(Object value, Map property) {
        if (!isOfType(value, property)) {
            def remedy = property.type == 'string' && value instanceof Number ? "; write ./${value} if it is a path, '${value}' in a file of parameters" : ''
            return "is not of type ${property.type}${remedy}"
        }
        if (property.enum && !(value.toString() in property.enum)) {
            return "is not one of ${property.enum.join(', ')}${nearest(value.toString(), property.enum)}"
        }
        if (value instanceof Number && !inRange(value.toDouble(), property)) {
            return property.maximum == null ? "is not ${property.minimum} or more" : "is not in the range ${property.minimum} to ${property.maximum}"
        }
        if (property.minLength && !value.toString()) {
            return 'is empty'
        }
        null
    }

    private static boolean isOfType(Object value, Map property) {
        switch (property.type) {
            case 'string': return value instanceof CharSequence
            case 'boolean': return value instanceof Boolean
            case 'integer': return value instanceof Integer || value instanceof Long
            default: return value instanceof Number
        }
    }

    /** Whether a class of Nextflow's can be made of a text. */
    private static boolean isRead(Class kind, String text) {
        try {
            kind.of(text) != null
        }
        catch (IllegalArgumentException ignored) {
            false
        }
    }

    /** Whether a parameter is text that has a default and cannot do without. */
    private static boolean isRequired(Map property) {
        property?.default && (property.enum || property.minLength)
    }

    /** Whether a text is a number that JSON, which the results state it in, can state: no NaN and no infinity. */
    private static boolean isNumber(String text) {
        text.isDouble() && Double.isFinite(text.toDouble())
    }

    private static boolean inRange(double value, Map property) {
        // Written so that NaN, which compares false, is out of every range.
        value >= (property.minimum == null ? Double.NEGATIVE_INFINITY : property.minimum) && value <= (property.maximum == null ? Double.POSITIVE_INFINITY : property.maximum)
    }

    private static String camel(String name) {
        name.replaceAll(/-(.)/) { all -> all[1].toUpperCase() }
    }

    /** What to say of the candidate that is nearest to a name; nothing where none is near. */
    private static String nearest(String name, Collection<String> candidates, String prefix = '') {
        def near = name ? Bolts.closest(candidates, name.replace('-', '_').toLowerCase()) : []
        near ? "; did you mean ${prefix}${near.first()}?" : ''
    }
}
