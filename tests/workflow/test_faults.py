"""What goes wrong on a cluster goes wrong here, in the middle of real runs on a real one; docs/faults.md tells of it.

Every fault ends with the bytes of the undisturbed run, at most after `-resume`; where it takes that, the run that met
the fault fails and names the cause.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from flows import LIMIT, ROOT, Flow, environment, site_file, wait_until
from slurm.cluster import Cluster

AGAIN = "retried automatically, and the run succeeds"
RESUMES = "`-resume` succeeds"
FAULTS = {  # test: the fault, its result. docs/faults.md holds this table.
    "kill_task": ("The process of a task is killed", f"The task is {AGAIN}."),
    "cancel_job": ("A job is cancelled (`scancel`)", f"The task is {AGAIN}."),
    "take_node_down": ("A node is set to DOWN during a task, and returns", f"Its task is {AGAIN}."),
    "kill_slurmd": ("A node crashes together with its slurmd, and returns", f"Its task is {AGAIN}."),
    "restart_controller": ("slurmctld is restarted", "Jobs continue, submissions wait, and the run succeeds."),
    "memory": (
        "A task exceeds the memory that it requested",
        "It is retried automatically with more memory, and the run succeeds.",
    ),
    "nextflow": (
        "Nextflow is killed",
        "`-resume` continues where the run stopped, even if its jobs are still running.",
    ),
    "disk": (
        "The disk of the work folder fills up",
        f"The run fails and names the cause; once there is space, {RESUMES}.",
    ),
    "shard": ("An input shard disappears", f"The run fails and names it; once the shard is back, {RESUMES}."),
    "output": (
        "A task's output file is truncated after the task has ended",
        f"The stage that reads it fails and names it; once its task folder is removed, {RESUMES}.",
    ),
    # Those of test_results.py:
    "going_back_to_earlier_settings_leaves_what_they_left": (
        "A run with other settings, then `-resume` with the earlier ones",
        "The results are those of the earlier settings; nothing is left of the other run.",
    ),
    "a_run_killed_while_it_publishes_copies_ends_whole": (
        "Nextflow is killed while it copies results; later a copy is truncated or modified",
        "`pycurate verify` names the files that differ; `-resume` publishes those again and no others.",
    ),
    "a_task_s_file_that_was_cut_later_is_named": (
        "A result that is a hard link to its task's file is truncated",
        f"The run fails and names it; once its task folder is removed, {RESUMES}.",
    ),
    "an_image_that_changed_since_it_was_embedded_is_named": (
        "An image in a shard is altered before it is copied, while size and modification time stay the same",
        f"The run fails and names the shard and the sample; once the shard is restored, {RESUMES}.",
    ),
    "what_a_run_makes_beneath_its_input_is_no_input": (
        "The output or work folder lies inside the input",
        "Shards in them are left out, and the run says so; another run gives the same results.",
    ),
    "a_reference_that_is_not_whole_or_of_another_encoder_is_named": (
        "A reference lacks partitions or its summary, or was embedded by another encoder",
        "The run fails and names it; with partitions or the summary missing, before any task starts.",
    ),
    # Those of test_calls.py:
    "a_refused_call_leaves_every_file_as_it_was": (
        "A call with a typing error, an incomplete class or a reference without shards, into earlier results",
        "It is refused in one sentence; every file of the results stays as it was.",
    ),
    "a_folder_has_one_run_at_a_time_and_signals_end_it": (
        "A second run in the same `--outdir` or launch folder; Ctrl-C or SIGTERM for the first",
        "The second is refused and told who is running there; "
        f"the first ends its tasks, exits with 130 or 143, and {RESUMES}.",
    ),
}


def table() -> str:
    """The faults as a table in Markdown."""
    rows = [("Fault", "Result"), ("---", "---"), *FAULTS.values()]
    return "\n".join(f"| {fault} | {end} |" for fault, end in rows)


@dataclass(frozen=True)
class Scene:
    """A run on the cluster, in a folder of its own, that is going to meet a fault."""

    cluster: Cluster
    flow: Flow
    options: tuple[str, ...]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        running = self.flow.start("-profile", "slurm", *self.options, *more)
        self.started.append(running)
        return running

    def resume(self) -> None:
        """Go on after a failure, to the end."""
        self.flow.succeed("-profile", "slurm", *self.options, "-resume")


Strike = Callable[[Scene, subprocess.Popen[bytes]], None]


@pytest.fixture
def scene(cluster: Cluster, undisturbed: Flow, tmp_path: Path) -> Iterator[Scene]:
    flow = undisturbed.again(tmp_path / "flow", environment(cluster.env))
    scene = Scene(cluster, flow, site_file(flow.folder))
    yield scene
    for running in scene.started:  # of a test that failed
        running.kill()
    cluster.run("scancel", "--user", str(os.getuid()))
    cluster.wait_idle(cluster.nodes)


def kill_task(scene: Scene, running: subprocess.Popen[bytes]) -> None:
    os.kill(scene.flow.await_task("embed.py", running).pid, signal.SIGKILL)
    wait_until(lambda: "exit status (137) -- Execution is retried" in scene.flow.text, "the task to be tried again")


def cancel_job(scene: Scene, running: subprocess.Popen[bytes]) -> None:
    scene.cluster.run("scancel", scene.flow.await_task("embed.py", running).job)
    wait_until(lambda: "Execution is retried" in scene.flow.text, "the task to be tried again")


def take_node_down(scene: Scene, running: subprocess.Popen[bytes]) -> None:
    node = scene.flow.await_task("embed.py", running).node
    scene.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=fault")
    wait_until(lambda: "Execution is retried" in scene.flow.text, "the task to be tried again")
    scene.cluster.run("scontrol", "update", f"nodename={node}", "state=resume")


def kill_slurmd(scene: Scene, running: subprocess.Popen[bytes]) -> None:
    task = scene.flow.await_task("embed.py", running)
    scene.cluster.kill_node(task.node)
    os.kill(task.pid, signal.SIGKILL)  # with its node, as far as Slurm can see
    wait_until(lambda: "Execution is retried" in scene.flow.text, "the task to be tried again")
    scene.cluster.start_node(task.node)


def restart_controller(scene: Scene, running: subprocess.Popen[bytes]) -> None:
    scene.flow.await_task("embed.py", running)
    scene.cluster.stop_controller()
    wait_until(lambda: "Failed to submit process" in scene.flow.text, "a submission that fails")
    scene.cluster.start_controller()


STRIKES = [kill_task, cancel_job, take_node_down, kill_slurmd, restart_controller]


@pytest.mark.parametrize("strike", STRIKES)
def test_survived(strike: Strike, scene: Scene, undisturbed: Flow) -> None:
    running = scene.start()
    strike(scene, running)
    assert running.wait(LIMIT) == 0, scene.flow.text
    assert scene.flow.results() == undisturbed.results()


def test_memory(scene: Scene, undisturbed: Flow) -> None:
    site = scene.flow.folder / "memory.config"
    site.write_text("process { withLabel: process_gpu { memory = { task.attempt == 1 ? 100.MB : 32.GB } } }\n")
    running = scene.start("-c", str(site))
    assert running.wait(LIMIT) == 0, scene.flow.text
    assert "Execution is retried" in scene.flow.text
    assert scene.flow.results() == undisturbed.results()


def test_nextflow(scene: Scene, undisturbed: Flow) -> None:
    running = scene.start()
    left = scene.flow.await_task("embed.py", running).folder
    running.kill()
    running.wait()
    assert not (scene.flow.folder / "results" / "summary.json").exists()
    scene.resume()  # while the jobs that it left go on
    used = (scene.flow.out / "pipeline_info" / "trace.txt").read_text()
    assert f"{left.parent.name}/{left.name[:6]}" not in used  # where such a job writes
    assert scene.flow.results() == undisturbed.results()


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own can be mounted by root alone")
def test_disk(scene: Scene, undisturbed: Flow) -> None:
    scene.flow.work.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", scene.flow.work], check=True)
    try:
        running = scene.start()
        scene.flow.await_task("embed.py", running)
        filler = scene.flow.work / "filler"
        with pytest.raises(OSError, match="No space left"), open(filler, "wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        assert running.wait(LIMIT) == 1
        assert "No space left on device" in scene.flow.text
        filler.unlink()
        scene.resume()
        assert scene.flow.results() == undisturbed.results()
    finally:
        subprocess.run(["umount", "--lazy", scene.flow.work], check=True)


def test_shard(scene: Scene, shards: Path, undisturbed: Flow, tmp_path: Path) -> None:
    own = tmp_path / "shards"
    shutil.copytree(shards, own)
    options = tuple(str(own) if option == str(shards) else option for option in scene.flow.options)
    scene = replace(scene, flow=replace(scene.flow, options=options))
    scene.cluster.run("scontrol", "update", "partitionname=gpu", "state=down")
    running = scene.start()
    wait_until(lambda: scene.cluster.run("squeue", "--noheader", "--partition=gpu") != "", "EMBED to be queued")
    (own / "00001.tar").rename(tmp_path / "00001.tar")
    scene.cluster.run("scontrol", "update", "partitionname=gpu", "state=up")
    assert running.wait(LIMIT) == 1
    assert re.search(r"00001\.tar.*(missing|No such file)", scene.flow.text), scene.flow.text
    (tmp_path / "00001.tar").rename(own / "00001.tar")
    scene.resume()
    assert scene.flow.results() == undisturbed.results()


def test_output(scene: Scene, undisturbed: Flow) -> None:
    running = scene.start()
    scene.flow.await_task("dedup.py", running)
    running.kill()
    running.wait()
    scene.cluster.run("scancel", "--user", str(os.getuid()))
    found = scene.flow.work.glob("*/*/samples/samples_00000.parquet")
    (samples,) = [path for path in found if not path.is_symlink()]
    os.truncate(samples, samples.stat().st_size // 2)
    assert scene.start("-resume").wait(LIMIT) == 1
    assert "samples_00000.parquet was changed after its task ended" in scene.flow.text
    shutil.rmtree(samples.parent.parent)
    scene.resume()
    assert scene.flow.results() == undisturbed.results()


def test_the_docs_hold_the_table_of_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{table()}")
    assert table() in (ROOT / "docs" / "faults.md").read_text()
    tested = {strike.__name__ for strike in STRIKES} | {name.removeprefix("test_") for name in globals()}
    for other in ("test_results.py", "test_calls.py"):
        text = Path(__file__).with_name(other).read_text()
        tested |= set(re.findall(r"^def test_(\w+)", text, re.MULTILINE))
    assert set(FAULTS) <= tested
