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
    private static final Duration MOMENT = Duration.ofMillis(200)

    /** From now on, put the count right where it is wrong at two looks, a moment apart, between which no task started or ended. */
    static void watch() {
        def session = nextflow.Global.session
        new Timer('cores', true).schedule({
            // There is no such monitor before the first local task, nor at the end.
            def monitor = session.executorFactory?.@executors?.get(LocalExecutor)?.monitor
            if (monitor?.@availCpus instanceof Integer) { // it is not in a Nextflow in which this is mended
                def before = [running(monitor), lost(monitor)]
                sleep(MOMENT.toMillis())
                if (before[1] && before == [running(monitor), lost(monitor)]) {
                    monitor.@availCpus = monitor.@availCpus + before[1]
                }
            }
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
