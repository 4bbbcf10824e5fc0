import java.time.Duration
import nextflow.executor.local.LocalExecutor
import nextflow.processor.LocalPollingMonitor
import nextflow.processor.TaskPollingMonitor

/**
 * Nextflow's count of the free cores of this machine, on which two of its threads work without regard for each other.
 *
 * Where a start and an end of tasks meet, one of the two is lost (in all versions up to 26.08). Tasks of many cores may never
 * start any more then: the run stands still and says nothing.
 */
class Cores {

    private static final Duration INTERVAL = Duration.ofSeconds(5)

    /** From now on, put the count right where it is wrong at two looks between which no task started or ended. */
    static void watch() {
        def session = nextflow.Global.session
        def before = null
        new Timer('cores', true).schedule({
            // There is no such monitor before the first local task, nor at the end.
            def monitor = session.executorFactory?.@executors?.get(LocalExecutor)?.monitor
            def seen = monitor?.@availCpus instanceof Integer ? [running(monitor), lost(monitor)] : null // else mended in Nextflow
            if (seen && seen[1] && seen == before) {
                monitor.@availCpus = monitor.@availCpus + seen[1]
            }
            before = seen
        } as TimerTask, INTERVAL.toMillis(), INTERVAL.toMillis())
    }

    private static int lost(LocalPollingMonitor monitor) {
        monitor.@maxCpus - monitor.@availCpus - (running(monitor).sum { handler -> handler.task.config.cpus } ?: 0)
    }

    private static List running(LocalPollingMonitor monitor) {
        def queue = TaskPollingMonitor.getDeclaredField('runningQueue')
        queue.accessible = true
        queue.get(monitor).toList()
    }
}
