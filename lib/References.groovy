import java.nio.file.Files
import java.nio.file.Path

/** Reference sets: folders that an earlier run left, whose kept samples outrank everything and are never written. */
class References {

    /** What --reference names, separated by commas. A folder of shards has no tables yet: it has to be embedded first. */
    static List<Path> folders(String text) {
        def found = (text ?: '').tokenize(',').collect { name -> existing(Paths.of(name)) }
        if (found.count { folder -> !embedded(folder) } > 1) {
            throw new nextflow.exception.AbortOperationException(
                '--reference names several folders of shards; put them beneath one, or embed each in a run of its own'
            )
        }
        found
    }

    private static Path existing(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new nextflow.exception.AbortOperationException("--reference ${Paths.shown(folder)}: this folder does not exist")
        }
        folder
    }

    static boolean embedded(Path folder) {
        Files.isDirectory(folder.resolve('samples')) && Files.isDirectory(folder.resolve('img_emb'))
    }

    /** The options that tell dedup.py of the staged folders. */
    static String options(List staged) {
        staged.collect { folder -> "--reference ${folder}" }.join(' ')
    }

    /** Every partition of the folders, in the shape of DEDUP_ASSIGN's input: [1:00000, [], [], [], []], ... */
    static List<List> partitions(List<Path> folders) {
        folders.withIndex().collectMany { folder, index ->
            def names = folder.resolve('samples').toFile().list().findAll { name -> name ==~ /samples_\d+\.parquet/ }.sort()
            names.collect { name -> ["${index + 1}:${(name =~ /\d+/)[0]}".toString(), [], [], [], []] }
        }
    }
}
