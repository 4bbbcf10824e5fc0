"""A call that is refused spoils nothing, a folder has one run at a time, and a signal ends a run as it should."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from flows import LOCK, Flow, environment, pycurate
from tars import write_tar

NOT_SAID = re.compile(r"Error executing|Exception|Traceback|^\s*at \w+[.$]", re.MULTILINE)


def state(results: Path) -> dict[str, tuple[str, int, int]]:
    """Each file with its hash, inode and time."""
    files = {path: path.stat() for path in results.rglob("*") if path.is_file()}
    return {
        path.relative_to(results).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            status.st_ino,
            status.st_mtime_ns,
        )
        for path, status in files.items()
    }


def command(flow: Flow, *more: str) -> list[str]:
    """The call of a flow as `pycurate run` has it."""
    options = ("run", *flow.options, "--outdir", str(flow.out), "--work-dir", str(flow.work), *more)
    return [option.replace("_", "-") if option.startswith("--") else option for option in options]


def foreign(lock: Path, seconds: int) -> None:
    """A lock of a run on another machine, which was renewed so many seconds ago."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    about = {"host": "elsewhere", "process": os.getpid(), "since": "2026-01-02T03:04:05Z", "system": "another"}
    lock.write_text(json.dumps(about))
    os.utime(lock, (time.time() - seconds,) * 2)


def test_a_refused_call_leaves_every_file_as_it_was(undisturbed: Flow, tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "shards" / "0.tar", [(f"{n}.jpg", b"no image") for n in range(3)])
    models = ("--model_dir", str(undisturbed.folder / "models"))
    flow = Flow(tmp_path / "launch", ("--input", str(shard.parent), *models))
    foreign(flow.out / LOCK, seconds=400)
    done = pycurate(*command(flow), cwd=flow.folder)
    assert done.returncode == 0, done.stdout
    assert "No sample could be read (not_an_image 3); docs/output.md tells what these codes mean" in done.stdout
    assert not list(flow.out.rglob(".pycurate*"))
    before, history = state(flow.out), flow.folder / ".nextflow" / "history"
    runs = history.read_text()
    assert {f"pipeline_info/{name}" for name in ("parameters.yaml", "trace.txt", "report.html")} < before.keys()

    own = tmp_path / "own.py"
    own.write_text("class Mine:\n    name = 'mine'\n    def __init__(self, model_dir, device): ...\n")
    (tmp_path / "empty").mkdir()
    new = flow.beside("to be/made")
    new.out.parent.mkdir()
    for call, options, sentence in (
        (flow, ("--scorer", f"{own}:Mine"), f"{own}:Mine is not a scorer: it needs `score`;"),
        (flow, ("--dedup", "true", "--reference", "x"), f"--reference '{flow.folder}/x': this folder does not exist"),
        (flow, ("--dedup", "true", "--reference", str(tmp_path / "empty")), "--reference: The input '"),
        (flow, ("--similar", f"few={tmp_path}/empty", "--concept", f"c={tmp_path}/empty"), "--similar: The input '"),
        (flow, ("--concept", "few=x"), f"--concept '{flow.folder}/x': this folder does not exist"),
        (flow, ("--dedup", "true", "--reference", flow.outdir), f"--reference '{flow.out}': is --outdir, whose files"),
        (flow, ("--leakage", f"few={flow.out}"), f"--leakage '{flow.out}': is --outdir, whose files this run replaces"),
        (flow, ("-work-dir", str(own)), f"the folder {own} in which tasks work cannot be written (File exists);"),
        (new, ("--filter", "nowhere:Mine", "--dedup", "true"), "there is no module 'nowhere'; add your folder to"),
        (new, ("--input", "nowhere/{0..9}.tar"), f"there is no '{flow.folder}/nowhere', or you may not see it; check"),
    ):
        assert call.run(*options) == 1
        assert sentence in call.text and not NOT_SAID.search(call.text), call.text
        assert "EMBED" not in call.text
        assert state(flow.out) == before and not new.out.exists() and new.out.parent.exists()
    done = pycurate(*command(flow, "--min-score", "probe=1"), cwd=flow.folder)
    assert done.returncode == 1 and not NOT_SAID.search(done.stdout), done.stdout
    assert "There is no score probe, only aesthetic, aesthetic_raw, nsfw;" in done.stdout
    assert state(flow.out) == before

    foreign(flow.out / LOCK, seconds=100)
    assert flow.run() == 1
    assert "is in use by a run on elsewhere (process " in flow.text
    assert re.search(r"if that run is dead, the folder is free in 1\d\d s", flow.text)
    (flow.out / LOCK).unlink()
    assert state(flow.out) == before
    assert flow.run("-preview") == 0 and "Report: " not in flow.text  # of the earlier run, whose counts would follow
    assert state(flow.out) == before
    assert history.read_text() == runs  # -resume still goes on with the run


def start_nextflow(flow: Flow) -> subprocess.Popen[bytes]:
    return flow.start("-resume")


def start_pycurate(flow: Flow) -> subprocess.Popen[bytes]:
    words = [str(Path(sys.executable).parent / "pycurate"), *command(flow, "--resume")]
    with open(flow.folder / f"{flow.outdir}.txt", "wb") as said:
        return subprocess.Popen(words, cwd=flow.folder, env=environment(), stdout=said, stderr=subprocess.STDOUT)


def test_a_folder_has_one_run_at_a_time_and_signals_end_it(shards: Path, undisturbed: Flow, tmp_path: Path) -> None:
    options = ("--input", str(shards), "--model_dir", str(undisturbed.folder / "models"), "--partition_bytes", "1")
    flow = Flow(tmp_path / "one", options)
    other = Flow(tmp_path / "two", (*options, "--outdir", str(flow.out)))
    flow.folder.mkdir()
    for number, start in ((signal.SIGTERM, start_nextflow), (signal.SIGINT, start_pycurate)):
        running = start(flow)
        flow.await_task("embed.py", running)
        if start is start_nextflow:
            asleep = list(flow.tasks("embed.py"))  # so that the run outlasts the two others
            for task in asleep:
                os.kill(task.pid, signal.SIGSTOP)
            who = f"is in use by a run on {socket.gethostname()} (process {running.pid}, started "
            assert other.run() == 1 and f"--outdir '{flow.out}' {who}" in other.text
            beside = flow.beside("beside")
            for resume in ((), ("-resume",)):
                assert beside.run(*resume) == 1 and f"the launch folder '{flow.folder}' {who}" in beside.text
                assert not NOT_SAID.search(beside.text)
            assert (flow.out / LOCK).exists() and running.poll() is None, flow.text
            for task in asleep:
                os.kill(task.pid, signal.SIGCONT)
        running.send_signal(number)
        assert running.wait(60) == 128 + number, flow.text
        assert not list(flow.tasks("embed.py"))
        assert not (flow.out / LOCK).exists() and not list((flow.folder / ".nextflow").glob("*.lock*"))
        assert not (flow.out / "summary.json").exists()
    flow.succeed("-resume")
    assert pycurate("verify", flow.out).returncode == 0
