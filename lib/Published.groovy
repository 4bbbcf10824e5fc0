import groovy.json.JsonException
import groovy.json.JsonSlurper
import java.nio.file.FileSystemException
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.security.MessageDigest
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import nextflow.exception.AbortOperationException

/**
 * The files of a run on their way from the folders of its tasks to --outdir, and the manifest that lists them.
 *
 * Nextflow's own publishDir leaves alone what lies there already under the name of a cached task's file, be it another
 * run's or cut (nextflow#1189, #4460). Here a file is left alone only if it is the one that is meant: a link to it, or a copy
 * with its size and time. Anything else is replaced, by a rename, so that none is ever half there.
 */
class Published {

    /** The name of what is being written; nextflow.config, pycurate/files.py and pycurate/review/refilter.py make names like it. */
    static final TEMPORARY = ~/\.pycurate-[0-9a-f-]{16,36}\.tmp/

    private final Path outdir
    private final String mode // link, copy, symlink, rellink, or null: a link where there can be one
    private final ExecutorService copying = Executors.newFixedThreadPool(8, { job -> new Thread(job).tap { daemon = true } })
    private final AtomicInteger waiting = new AtomicInteger()
    private final Queue<Path> records = new ConcurrentLinkedQueue<>()
    private final Queue<Map> others = new ConcurrentLinkedQueue<>() // entries of files that stand in no record
    private final Queue<AbortOperationException> faults = new ConcurrentLinkedQueue<>()

    Published(String outdir, String mode) {
        this.outdir = Paths.of(outdir)
        this.mode = mode
    }

    /** Publish what a task left by its record, times/X.json, which lies in the task's folder. */
    void task(Path record) {
        records << record
        def folder = record.parent.parent
        def ended = modified(folder.resolve('.exitcode'))
        entries(record).each { entry ->
            submit(entry.name) {
                def source = folder.resolve(entry.name)
                check(source, entry, ended, folder)
                publish(source, entry.name)
            }
        }
    }

    /** Publish a small file that a task left, whose hash is computed here. */
    void file(Path source) {
        def name = nameOf(source)
        submit(name) {
            checkUntouched(source)
            others << entryOf(source)
            publish(source, name)
        }
    }

    /**
     * When all has been handed over: wait until it is published, remove what an earlier run left beyond it, and write the
     * manifest; then publish the last file, which says that all is there. `kinds` are regular expressions of names.
     * Gives the folder.
     */
    Path finish(Path last, List<String> kinds) {
        await()
        checkUntouched(last)
        others << entryOf(last)
        def manifest = temporary(outdir)
        def names = list(manifest)
        if (removeOld(names, kinds) < names.size() - 1) { // the last is still to come
            def gone = names.findAll { name -> name != nameOf(last) && !Files.exists(outdir.resolve(name)) }
            throw new AbortOperationException(
                "of the files that this run published, ${gone.size()} are gone, such as ${outdir}/${gone.min()}; " +
                    'let nothing else write to --outdir, and run again with -resume'
            )
        }
        Files.move(manifest, outdir.resolve('manifest.tsv'), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
        publish(last, nameOf(last))
        outdir
    }

    /** The file's name in the output folder: its path in its task's folder. */
    private static String nameOf(Path source) {
        folderOf(source).relativize(source.toRealPath()).toString()
    }

    /** The folder of the task that left a file. That of a cached one may lie in another work folder than this run's. */
    private static Path folderOf(Path source) {
        def folder = source.toRealPath().parent
        while (!Files.exists(folder.resolve('.exitcode'))) {
            folder = folder.parent
        }
        folder
    }

    private static List<Map> entries(Path record) {
        (List<Map>) ((Map) read(record)).files
    }

    /** What a task left as JSON. Stop if the file was cut since, which no hash tells of a record. */
    static Object read(Path source) {
        try {
            new JsonSlurper().parse(source)
        }
        catch (JsonException ignored) {
            refuse(source, folderOf(source), ': it is no JSON')
        }
    }

    private static Map entryOf(Path source) {
        [name: nameOf(source), bytes: Files.size(source), sha256: sha256(source)]
    }

    static Path temporary(Path folder) {
        folder.resolve(".pycurate-${UUID.randomUUID()}.tmp")
    }

    private void submit(String name, Closure<?> job) {
        stopAfterFault()
        waiting.incrementAndGet()
        copying.submit {
            try {
                faults ?: job()
            }
            catch (AbortOperationException fault) {
                faults << fault
            }
            catch (Throwable fault) {
                faults << new AbortOperationException(
                    "${outdir}/${name} cannot be published (${fault.class.simpleName}: ${fault.message}); fix the cause and run again with -resume",
                    fault,
                )
            }
            finally {
                waiting.decrementAndGet()
            }
        }
    }

    /** Raise what happened in another thread in one of Nextflow's, which then ends the run. */
    private void stopAfterFault() {
        if (faults) {
            throw faults.peek()
        }
    }

    private void await() {
        copying.shutdown()
        while (!copying.awaitTermination(60, TimeUnit.SECONDS)) {
            println "Copying results to ${outdir}: ${waiting} files to go"
        }
        stopAfterFault()
    }

    /** Stop if a task's file is not what its task left. It is read only if its time says that it may have been changed. */
    private static void check(Path source, Map entry, long ended, Path folder) {
        if (!Files.exists(source)) {
            refuse(source, folder, ': it is gone')
        }
        def size = Files.size(source)
        def cut = size != (entry.bytes as long)
        if (cut || (modified(source) > ended && sha256(source) != entry.sha256)) {
            refuse(source, folder, cut ? ": it has ${size} bytes of ${entry.bytes}" : '')
        }
    }

    /** The same of a file that stands in no record, by its time alone; there are file systems that keep whole seconds only. */
    private static void checkUntouched(Path source) {
        def folder = folderOf(source)
        def (time, ended) = [modified(source), modified(folder.resolve('.exitcode'))]
        if (time > ended && time - time % 1000000 != ended) {
            refuse(source, folder)
        }
    }

    private static void refuse(Path source, Path folder, String how = '') {
        throw new AbortOperationException(
            "${source} was changed after its task ended${how}; remove the folder ${folder} and run again with -resume"
        )
    }

    private void publish(Path source, String name) {
        def target = outdir.resolve(name)
        if (isThere(source, target)) {
            return
        }
        Files.createDirectories(target.parent)
        def made = temporary(target.parent)
        try {
            put(source, made, target)
            Files.move(made, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
        }
        finally {
            Files.deleteIfExists(made)
        }
    }

    private boolean isThere(Path source, Path target) {
        if (!Files.exists(target)) {
            return false
        }
        def link = Files.isSymbolicLink(target) ? Files.readSymbolicLink(target) : null
        if (mode in ['symlink', 'rellink'] || link) {
            return link == linkTo(source, target)
        }
        def same = Files.isSameFile(source, target)
        mode == 'copy' ? !same && isCopy(source, target) : same || isCopy(source, target)
    }

    /** By size and time, as rsync does; there are file systems that keep whole seconds only. */
    private static boolean isCopy(Path source, Path target) {
        def (from, to) = [modified(source), modified(target)]
        Files.size(source) == Files.size(target) && (from == to || from - from % 1000000 == to)
    }

    /** What a symbolic link to a file holds; null where no such link is asked for. */
    private Path linkTo(Path source, Path target) {
        switch (mode) {
            case 'symlink': return source
            case 'rellink': return target.parent.toRealPath().relativize(source)
            default: return null
        }
    }

    private void put(Path source, Path made, Path target) {
        def link = linkTo(source, target)
        if (link) {
            Files.createSymbolicLink(made, link)
            return
        }
        if (mode != 'copy') {
            try {
                Files.createLink(made, source)
                return
            }
            catch (FileSystemException | UnsupportedOperationException fault) { // another file system, or one without links
                if (mode == 'link') {
                    throw fault
                }
            }
        }
        Files.copy(source, made)
        Files.setLastModifiedTime(made, Files.getLastModifiedTime(source)) // by which the copy is known again
    }

    /**
     * Remove what looks like a file of a run and is none of this one; what a person put there has other names. Gives how
     * many files of this run are there.
     */
    private int removeOld(Set<String> names, List<String> kinds) {
        def ours = kinds.collect { kind -> ~kind }
        def tops = kinds.collect { kind -> kind.contains('/') ? kind.tokenize('/').first() : '' }.toUnique()
        tops.sum { top ->
            def folder = outdir.resolve(top)
            if (!Files.isDirectory(folder)) {
                return 0
            }
            def found = folder.toFile().list().toList()
            def (own, others) = found.split { file -> names.contains(nameIn(top, file)) }
            def old = others.findAll { file -> file ==~ TEMPORARY || ours.any { kind -> nameIn(top, file) ==~ kind } }
            old.each { file -> remove(folder.resolve(file)) }
            if (top && old.size() == found.size()) {
                Files.delete(folder)
            }
            own.size()
        }
    }

    private static String nameIn(String top, String file) {
        top ? "${top}/${file}".toString() : file
    }

    /** Remove a file, or the folder of a `pycurate refilter` that was killed, with all in it; what its links lead to stays. */
    private static void remove(Path place) {
        Files.walk(place).withCloseable { all -> all.toList() }.reverse().each { one -> Files.delete(one) }
    }

    /** Write the lines of the manifest, and return the names. Their order is that of the tasks: there may be millions. */
    private Set<String> list(Path manifest) {
        def names = [manifest.fileName.toString()] as Set<String>
        manifest.withWriter('UTF-8') { out ->
            out << 'name\tbytes\tsha256\n'
            def add = { entry ->
                names << entry.name
                out << "${entry.name}\t${entry.bytes}\t${entry.sha256}\n"
            }
            others.toSorted { a, b -> a.name <=> b.name }.each(add)
            records.toSorted { a, b -> a.name <=> b.name }.each { record -> entries(record).each(add) }
        }
        names
    }

    private static long modified(Path file) {
        Files.getLastModifiedTime(file).to(TimeUnit.MICROSECONDS)
    }

    static String sha256(Path file) {
        def digest = MessageDigest.getInstance('SHA-256')
        file.withInputStream { input -> input.eachByte(1 << 20) { block, count -> digest.update(block, 0, count) } }
        digest.digest().encodeHex().toString()
    }
}
