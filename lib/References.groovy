import groovy.json.JsonException
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.nio.file.Files
import java.nio.file.Path
import nextflow.exception.AbortOperationException

/**
 * Sets of images that options name beside the input: by --reference as folders, by the others as NAME=FOLDER.
 *
 * A folder is the results of an earlier run or embeddings, or it holds shards, which are embedded as the input is, once
 * however many options name it.
 */
class References {

    /** Options whose values are NAME=FOLDER; of --concept a value with a | has words and no folder. */
    private static final List<String> NAMED = ['similar', 'concept', 'leakage']

    /** What an option may call a set, so that it can be part of a column and of a command. */
    private static final String NAME = /[a-z][a-z0-9_]*/

    /** Every folder that an option names, once. Stop where one is missing, or has results that lack partitions. */
    static List<Path> folders(Map params) {
        all(params).collect { set -> existing(set.option, Paths.of(set.folder)) }.unique()
    }

    static boolean embedded(Path folder) {
        Files.isDirectory(folder.resolve('samples')) && Files.isDirectory(folder.resolve('img_emb'))
    }

    /** The first option that names a folder, such as --reference. */
    static String option(Map params, String folder) {
        "--${all(params).find { set -> set.folder == folder || (set.folder && !Stores.isAddress(set.folder) && Paths.of(set.folder).toString() == folder) }.option}"
    }

    /** What is wrong with the values of options that name sets. */
    static List<String> faults(Map params) {
        NAMED.collectMany { option ->
            def entries = (params[option] ?: '').tokenize(',')
            def names = entries.collect { entry -> entry.tokenize('=')[0] }
            def form = option == 'concept' ? "NAME=FOLDER or NAME='PROMPT|OTHER PROMPT', without commas in prompts and" : 'NAME=FOLDER'
            def addresses = sets(option, params[option] ?: '').findResults { set -> Stores.fault(option, set.folder) }
            addresses + entries.findAll { entry -> !(entry ==~ /${NAME}=.+/) }
                .collect { entry -> "--${option} ${Paths.shown(entry)}: is not ${form} with a name of lower-case letters, digits and underscores".toString() } +
                (names.size() > names.toSet().size() ? ["--${option} ${params[option]}: names two sets alike; choose another name for one".toString()] : [])
        }
    }

    /** The texts of all folders that options name, as they were given. */
    static List<String> given(Map params) {
        all(params)*.folder
    }

    /** The parameters with each of these folders as it is found from elsewhere. */
    static Map absolute(Map params, Path launchDir) {
        params.collectEntries { option, value ->
            def sets = option in ['reference', *NAMED] && value ? sets(option, value.toString()) : []
            def parts = sets.collect { set -> [set.name, set.folder == null ? set.text : from(launchDir, set.folder)].findAll().join('=') }
            [option, sets ? parts.join(',') : value]
        }
    }

    /** Where the tables of each folder are: [folder: tables], with those that were `made` of shards, as [folder, tables]. */
    static Map<String, Path> tables(List<Path> folders, List<List> made) {
        folders.findAll { folder -> embedded(folder) }.collectEntries { folder -> [folder.toString(), folder] } + made.collectEntries()
    }

    /**
     * The sets that these options name, in order: [text that says all of each, folders of their tables], the latter without
     * those of sets that have words in place of a folder; a folder that is named twice, twice.
     *
     * The text is for Nextflow's cache. By itself it takes the files of an input for a set without order, in which names do not
     * belong to folders, and a folder for the same as long as nothing is added to its top.
     */
    static List of(Map params, List<String> options, Map<String, Path> tables) {
        def sets = named(params, options).collect { set -> set + [tables: set.folder == null ? null : tables[Paths.of(set.folder).toString()]] }
        def said = sets.collect { set -> [option: set.option, name: set.name, words: set.tables ? null : set.text, tables: set.tables?.toString(), state: set.tables ? state(set.tables) : null] }
        [JsonOutput.toJson(said), sets.findResults { set -> set.tables }]
    }

    /** The options that tell a script of these sets, of which the folders are staged. */
    static String options(String said, List staged) {
        def folders = staged.iterator()
        new JsonSlurper().parseText(said).collect { set ->
            "--${set.option} " + Shell.quote([set.name, set.words ?: folders.next()].findAll().join('='))
        }.join(' ')
    }

    /** The partitions of folders of shards, from [folder, its partition files], for EMBED: [KEY:00000, text, mounts]. */
    static List<List> shards(List<List> found) {
        found.collectMany { folder, files ->
            [files].flatten().collect { tsv -> ["${key(folder)}:${Shards.number(tsv)}".toString(), *Shards.mounted(Files.readString(tsv))] }
        }
    }

    /** What EMBED made of them, folder by folder: [folder, samples, img_emb, dedup_emb, how many partitions]. */
    static List<List> gathered(List<List> found, List<List> embedded) {
        found.collect { folder, _files ->
            def here = embedded.findAll { row -> row[0].startsWith("${key(folder)}:") }.sort { row -> row[0] }
            [folder, *(1..3).collect { entry -> here.collectMany { row -> [row[entry]].flatten() } }, here.size()]
        }
    }

    /** Which of [folder, ...] are there when all of the raw folders are; else none: a task has refused one. */
    static List<List> complete(List<List> found, int count) {
        found.size() == count ? [found.sort { row -> row[0] }] : []
    }

    /** What EMBED leaves out for a partition of such a folder: nobody asks for its scores, which take longer than the embeddings. */
    static Map unread(String partition) {
        partition.contains(':') ? [aesthetic: false, nsfw: false, text_area: false, clip_score_masked: false, pixel_scorer: null] : [:]
    }

    /** The number of a partition without the folder that it is of. */
    static String number(String partition) {
        partition.tokenize(':').last()
    }

    /** What COMPARE is to compare with, in order: [option, name, prompts or null where a folder stands]. */
    static List<List> wanted(Map params) {
        named(params, ['similar', 'concept']).collect { set -> [set.option, set.name, set.folder == null ? set.text : null] }
    }

    /** Every partition of the folders, in the shape of DEDUP_ASSIGN's input: [1:00000, [], [], [], []], ... */
    static List<List> partitions(List<Path> folders) {
        folders.withIndex().collectMany { folder, index ->
            numbers(folder, 'samples', 'parquet').collect { number -> ["${index + 1}:${number}".toString(), [], [], [], []] }
        }
    }

    /** Every set with a folder. */
    private static List<Map> all(Map params) {
        named(params, ['reference', *NAMED]).findAll { set -> set.folder != null }
    }

    private static List<Map> named(Map params, List<String> options) {
        options.collectMany { option -> sets(option, (params[option] ?: '').toString()) }
    }

    /** The entries of one option, in order; `folder` is null where words stand in its place. */
    private static List<Map> sets(String option, String text) {
        text.tokenize(',').collect { entry ->
            def (name, value) = option == 'reference' ? [null, entry] : entry.split('=', 2) + ['']
            [option: option, name: name, text: value, folder: option == 'concept' && value.contains('|') ? null : value]
        }
    }

    /** What changes when a file of the tables does, as far as names, sizes and times tell. */
    private static String state(Path tables) {
        def files = ['samples', 'img_emb', 'dedup_emb'].collectMany { kind -> [*(tables.resolve(kind).toFile().listFiles() ?: [])].sort() }
        [*files, tables.resolve('decisions.parquet').toFile()].collect { file -> [file.name, file.length(), file.lastModified()] }.toString().sha256()
    }

    private static String from(Path launchDir, String folder) {
        folder.contains('://') ? folder : launchDir.resolve(folder).toString()
    }

    private static String key(String folder) {
        folder.sha256().take(12)
    }

    private static Path existing(String option, Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new AbortOperationException("--${option} ${Paths.shown(folder)}: this folder does not exist")
        }
        if (embedded(folder)) {
            checkApart(option, folder)
            checkWhole(option, folder)
        }
        folder
    }

    /** Stop where results are those that this run replaces: what it finds in them would depend on when it looks. */
    private static void checkApart(String option, Path folder) {
        def outdir = Paths.of(Paths.outdir())
        if (Files.exists(outdir) && Files.isSameFile(folder, outdir)) {
            throw new AbortOperationException("--${option} ${Paths.shown(folder)}: is --outdir, whose files this run replaces; choose another --outdir")
        }
    }

    /**
     * Stop where results lack partitions, or where a run goes on or did not end well: what it kept is not known then.
     * pycurate/dedup/sets.py looks closer, but not before the input is embedded.
     */
    private static void checkWhole(String option, Path folder) {
        def summary = folder.resolve('summary.json')
        if (!Files.exists(summary) && Files.isDirectory(folder.resolve('partitions'))) {
            throw new AbortOperationException(
                "--${option} ${Paths.shown(folder)}: has no summary.json, since the run that writes it has not ended well; " +
                    'let it finish, or copy all of it'
            )
        }
        def count = Files.exists(summary) ? stated(option, folder, summary) : null
        def expected = numbers(folder, 'partitions', 'tsv')*.toInteger() ?: (0..<(count ?: 1)).toList()
        [samples: 'parquet', img_emb: 'npy'].each { kind, extension ->
            def missing = expected - numbers(folder, kind, extension)*.toInteger()
            if (missing) {
                def shown = missing.take(3).collect { number -> String.format('%05d', number) }.join(', ') + (missing.size() > 3 ? ', ...' : '')
                throw new AbortOperationException(
                    "--${option} ${Paths.shown(folder)}: lacks ${missing.size()} of its ${expected.size()} partitions: no ${kind} file for ${shown}; " +
                        'let the run that writes it finish, or copy all of it'
                )
            }
        }
    }

    /** How many partitions a summary says that there are; null for one of an earlier version, which does not say it. */
    private static Integer stated(String option, Path folder, Path summary) {
        try {
            new JsonSlurper().parse(summary).partitions
        }
        catch (JsonException ignored) {
            throw new AbortOperationException("--${option} ${Paths.shown(folder)}: its summary.json is no JSON, so it was cut or changed; copy it again")
        }
    }

    /** The numbers of the partitions that have a file of this kind, as they stand in its name. */
    private static List<String> numbers(Path folder, String kind, String extension) {
        def names = folder.resolve(kind).toFile().list() ?: []
        names.findAll { name -> name ==~ /${kind}_\d+\.${extension}/ }.collect { name -> (name =~ /\d+/)[0].toString() }.sort()
    }
}
