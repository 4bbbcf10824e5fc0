import groovy.json.JsonSlurper
import java.nio.file.Files
import java.nio.file.Path
import nextflow.exception.AbortOperationException

/** Reference sets: folders that an earlier run left, whose kept samples outrank everything and are never written. */
class References {

    /** What --reference names, separated by commas. A folder of shards has no tables yet: it has to be embedded first. */
    static List<Path> folders(String text) {
        def found = (text ?: '').tokenize(',').collect { name -> existing(Paths.of(name)) }
        if (found.count { folder -> !embedded(folder) } > 1) {
            throw new AbortOperationException(
                '--reference names several folders of shards; put them beneath one, or embed each in a run of its own'
            )
        }
        found
    }

    private static Path existing(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new AbortOperationException("--reference ${Paths.shown(folder)}: this folder does not exist")
        }
        if (embedded(folder)) {
            checkWhole(folder)
        }
        folder
    }

    static boolean embedded(Path folder) {
        Files.isDirectory(folder.resolve('samples')) && Files.isDirectory(folder.resolve('img_emb'))
    }

    /** Stop where results lack partitions. pycurate/dedup/sets.py looks closer, but not before the input is embedded. */
    private static void checkWhole(Path folder) {
        def summary = folder.resolve('summary.json')
        def count = Files.exists(summary) ? new JsonSlurper().parse(summary).partitions : null
        def expected = numbers(folder, 'partitions', 'tsv')*.toInteger() ?: (0..<(count ?: 1)).toList()
        [samples: 'parquet', img_emb: 'npy'].each { kind, extension ->
            def missing = expected - numbers(folder, kind, extension)*.toInteger()
            if (missing) {
                def shown = missing.take(3).collect { number -> String.format('%05d', number) }.join(', ') + (missing.size() > 3 ? ', ...' : '')
                throw new AbortOperationException(
                    "--reference ${Paths.shown(folder)}: lacks ${missing.size()} of its ${expected.size()} partitions: no ${kind} file for ${shown}; " +
                        'let the run that writes it finish, or copy all of it'
                )
            }
        }
    }

    /** The numbers of the partitions that have a file of this kind, as they stand in its name. */
    private static List<String> numbers(Path folder, String kind, String extension) {
        def names = folder.resolve(kind).toFile().list() ?: []
        names.findAll { name -> name ==~ /${kind}_\d+\.${extension}/ }.collect { name -> (name =~ /\d+/)[0].toString() }.sort()
    }

    /** The options that tell dedup.py of the staged folders. */
    static String options(List staged) {
        staged.collect { folder -> "--reference ${folder}" }.join(' ')
    }

    /** Every partition of the folders, in the shape of DEDUP_ASSIGN's input: [1:00000, [], [], [], []], ... */
    static List<List> partitions(List<Path> folders) {
        folders.withIndex().collectMany { folder, index ->
            numbers(folder, 'samples', 'parquet').collect { number -> ["${index + 1}:${number}".toString(), [], [], [], []] }
        }
    }
}
