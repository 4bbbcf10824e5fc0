import java.nio.file.Files
import java.nio.file.Path

/** Shards as main.nf hands them on: maps of name (relative to the input root), path and bytes. */
class Shards {

    /** What --input names, for a task, which runs in another folder than the one that a relative path starts from. */
    static String input(String text, Path launchDir) {
        text.startsWith('/') ? text : "${launchDir}/${text}"
    }

    /** The number in a file name such as partitions_00000.tsv. */
    static String number(Path file) {
        file.baseName.tokenize('_').last()
    }

    /** The shards that a partition file lists. */
    static List<Map> read(Path tsv) {
        Files.readAllLines(tsv).collect { line ->
            def (name, path, bytes) = line.split('\t')
            [name: name, path: nextflow.Nextflow.file(path, glob: false), bytes: bytes as long]
        }
    }

    /** A channel of [number, shards, paths] of each partition, from PARTITION's. */
    static Object partitions(Object files) {
        files.flatten().map { tsv ->
            def shards = read(tsv)
            [number(tsv), shards, shards*.path]
        }
    }

    static Map<String, Map> byName(List<List<Map>> groups) {
        groups.flatten().collectEntries { shard -> [shard.name, shard] }
    }

    /** The shards whose names a file lists, one a line. */
    static List<Map> pick(Path names, Map<String, Map> byName) {
        Files.readAllLines(names).collect { name -> byName[name] }
    }

    /** Shell lines that write the partition file of shards that are staged into a task's folder. */
    static String stage(String number, List<Map> shards, Object tars) {
        def paths = tars instanceof Collection ? tars : [tars]
        def lines = [shards, paths].transpose().collect { shard, path -> "${shard.name}\t${path}\t${shard.bytes}\n" }
        """mkdir -p partitions
cat > partitions/partitions_${number}.tsv <<'END OF PARTITION'
${lines.join()}END OF PARTITION"""
    }
}
