import groovy.json.JsonException
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.FileAlreadyExistsException
import java.nio.file.FileSystemException
import java.nio.file.Files
import java.nio.file.NoSuchFileException
import java.nio.file.Path
import java.nio.file.StandardOpenOption
import java.time.Duration
import java.time.Instant
import java.time.ZoneId
import java.time.format.DateTimeFormatter
import nextflow.exception.AbortOperationException

/**
 * A folder taken by one run: a file in it that says by which process, and that the process removes when it ends.
 *
 * The file is made exclusively, which holds across hosts on NFS and Lustre too, where locks of the system need not. That its
 * process is dead is seen in the list of processes where that is this machine's. Elsewhere it is seen by the file's time,
 * which a living process renews, held against the time of a new file beside it: clocks of hosts differ.
 */
class Lock {

    static final Duration RENEWAL = Duration.ofSeconds(30)
    private static final Duration DEATH = Duration.ofMinutes(5)

    /** Processes are those of one boot of one machine, and of one container. */
    private static final String SYSTEM = system()
    private static final byte[] MINE = JsonOutput.toJson([
        host: hostName(), process: ProcessHandle.current().pid(), since: start(ProcessHandle.current()).toString(), system: SYSTEM,
    ]).getBytes('UTF-8')

    private final Path file
    private final String folder // in words: which one is taken
    private final String remedy
    private FileChannel open

    Lock(Path file, String folder, String remedy) {
        this.file = file
        this.folder = folder
        this.remedy = remedy
    }

    /** Take the folder. Stop, and say by whom, where another run has it, or where it cannot be written. */
    Lock take() {
        try {
            Files.createDirectories(file.parent)
            while (!make()) {
                if (isLeft()) {
                    removeLeft()
                }
            }
        }
        catch (FileSystemException | IOException fault) {
            throw new AbortOperationException("${folder} cannot be written (${cause(fault)}); free some space, or ${remedy}", fault)
        }
        this
    }

    /** Show that the process lives. Stop where it was taken for dead, as one that slept for long is, and the folder was taken. */
    void renew() {
        def held = content()
        if (held == null) {
            make()
        }
        else if (held == MINE) {
            open.write(ByteBuffer.wrap(MINE), 0)
        }
        else {
            throw new AbortOperationException("${folder} has been taken by another run, since this one showed no sign of life for ${DEATH.toMinutes()} minutes")
        }
    }

    void release() {
        open?.close()
        if (content() == MINE) {
            Files.deleteIfExists(file)
        }
    }

    private boolean make() {
        try {
            open = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)
        }
        catch (FileAlreadyExistsException ignored) {
            return false
        }
        try {
            open.write(ByteBuffer.wrap(MINE))
        }
        catch (IOException fault) {
            Files.delete(file)
            throw fault
        }
        true
    }

    /** Remove a dead run's file, and no other: one at a time, since what was dead a moment ago may be a new run's now. */
    private void removeLeft() {
        def removal = new Lock(file.resolveSibling("${file.fileName}.removal"), folder, remedy).take()
        try {
            if (isLeft()) {
                Files.delete(file)
            }
        }
        finally {
            removal.release()
        }
    }

    /** Whether there is a file whose run is dead. Stop, and say whose it is, where the run lives. */
    private boolean isLeft() {
        def held = content()
        if (held == null) {
            return false
        }
        def holder = named(held)
        def here = holder.system == SYSTEM
        def left = here ? null : DEATH - age()
        if (here ? !isAlive(holder) : left.negative) {
            return true
        }
        def whose = holder ? "a run on ${holder.host} (process ${holder.process}, started ${local(Instant.parse(holder.since))})" : 'another run'
        def free = here ? '' : "; if that run is dead, the folder is free in ${left.toSeconds()} s"
        throw new AbortOperationException("${folder} is in use by ${whose}; wait for its end, or ${remedy}${free}")
    }

    /** Whom it names: nobody where it was just made, or where its machine lost power before its disk had it. */
    private static Map named(byte[] held) {
        try {
            held ? (Map) new JsonSlurper().parse(held) : [:]
        }
        catch (JsonException ignored) {
            [:]
        }
    }

    /** What the file holds; null where there is none. */
    private byte[] content() {
        try {
            Files.readAllBytes(file)
        }
        catch (NoSuchFileException ignored) {
            null
        }
    }

    /** How long ago it was renewed, by the clock of its file system. */
    private Duration age() {
        def now = Published.temporary(file.parent)
        Files.write(now, MINE, StandardOpenOption.CREATE_NEW)
        try {
            Duration.between(Files.getLastModifiedTime(file).toInstant(), Files.getLastModifiedTime(now).toInstant())
        }
        catch (NoSuchFileException ignored) {
            Duration.ZERO // its run ended this moment
        }
        finally {
            Files.delete(now)
        }
    }

    private static boolean isAlive(Map holder) {
        def process = ProcessHandle.of(holder.process as long)
        if (!process.present || new File("/proc/${holder.process}/status").with { file -> file.exists() && file.text.contains('\nState:\tZ') }) {
            return false
        }
        // A start is counted from the boot, whose time moves when the clock is set.
        Duration.between(start(process.get()), Instant.parse(holder.since)).abs() < Duration.ofMinutes(1)
    }

    private static Instant start(ProcessHandle process) {
        process.info().startInstant().orElse(Instant.EPOCH)
    }

    private static String hostName() {
        ['uname', '-n'].execute().text.trim()
    }

    private static String system() {
        try {
            [new File('/proc/sys/kernel/random/boot_id').text.trim(), Files.readSymbolicLink(Path.of('/proc/self/ns/pid'))].join(' ')
        }
        catch (IOException ignored) {
            hostName()
        }
    }

    private static String local(Instant time) {
        DateTimeFormatter.ofPattern('yyyy-MM-dd HH:mm:ss').withZone(ZoneId.systemDefault()).format(time)
    }

    private static String cause(IOException fault) {
        fault instanceof java.nio.file.AccessDeniedException ? 'Permission denied' : fault instanceof FileSystemException ? fault.reason ?: fault.message : fault.message
    }
}
