"""Runs of main.nf in a folder of their own, as a user starts them, and what they leave."""

import csv
import hashlib
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pycurate.nextflow.parameters import results_folder

ROOT = Path(__file__).resolve().parents[2]
# What the person who runs the test cluster would write down for its users.
SITE = {"slurm_queue": "cpu", "slurm_gpu_queue": "gpu", "slurm_poll": "2sec", "slurm_exit_timeout": "5sec"}
HEAD = "task_id\thash\tnative_id\tname\tstatus\n"  # of a trace
LOCK = ".pycurate.lock"  # in the outdir of a run
LIMIT = 900  # seconds that a run may take on a busy machine before it is held to hang


def environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment with this Python's folder first on PATH, for `nextflow` and for tasks."""
    path = os.pathsep.join([str(Path(sys.executable).parent), base["PATH"]])
    return {**base, "PATH": path, "NXF_ANSI_LOG": "false"}


def curate(shards: Path, models: Path) -> tuple[str, ...]:
    """Options that curate a few shards in many small tasks: a shard each to EMBED, a tar each to WRITE."""
    options = "--dedup true --partition_bytes 1 --images_per_tar 8 --tars_per_task 1 --aesthetic_threshold 0.2"
    return ("--input", str(shards), "--model_dir", str(models), *options.split())


def site_file(folder: Path, **more: object) -> tuple[str, ...]:
    """The options that give a run the parameters of the test cluster, and more of them.

    Nextflow looks for what has ended every five seconds, once for each stage of a run that takes seconds: here oftener.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.json").write_text(json.dumps(SITE | more))
    (folder / "site.config").write_text("executor.pollInterval = '500ms'\n")
    return "-params-file", str(folder / "site.json"), "-c", str(folder / "site.config")


def wait_until(done: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Wait until `done()` is true. Raises TimeoutError if that takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


def on_terminal(words: Sequence[str | Path], cwd: Path, columns: int = 300) -> tuple[int, str]:
    """Run a command on a pseudo-terminal: its exit status, and all that the terminal is given, byte for byte."""
    first, second = pty.openpty()
    process = subprocess.Popen(
        words, cwd=cwd, env=environment() | {"COLUMNS": str(columns)}, stdout=second, stderr=second
    )
    os.close(second)
    shown = b""
    while True:
        try:
            shown += os.read(first, 65536)
        except OSError:  # how Linux says that the other side was closed
            break
    os.close(first)
    return process.wait(), shown.decode()


@dataclass(frozen=True)
class Task:
    """A script of bin/ at work in a task of a run."""

    pid: int
    folder: Path  # the task's
    env: Mapping[str, str]

    @property
    def node(self) -> str:
        return self.env["SLURMD_NODENAME"]

    @property
    def job(self) -> str:
        """The job's id as scancel takes it; JOB_INDEX if it is one of an array."""
        if "SLURM_ARRAY_JOB_ID" in self.env:
            return f"{self.env['SLURM_ARRAY_JOB_ID']}_{self.env['SLURM_ARRAY_TASK_ID']}"
        return self.env["SLURM_JOB_ID"]


@dataclass(frozen=True)
class Flow:
    """One folder in which main.nf is launched, with the options that it is always given."""

    folder: Path
    options: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=environment)
    outdir: str = "results"
    project: Path = ROOT  # where main.nf lies

    @property
    def out(self) -> Path:
        """What a run leaves on this machine."""
        return self.folder / results_folder(self.outdir)

    @property
    def work(self) -> Path:
        """Where the tasks have their folders."""
        return self.folder / "work"

    @property
    def text(self) -> str:
        """What the last run said."""
        return (self.folder / f"{self.out.name}.txt").read_text(errors="replace")

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """Start a run; it goes on beside the test."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["nextflow", "run", str(self.project / "main.nf"), "--outdir", self.outdir, *self.options, *more]
        with open(self.folder / f"{self.out.name}.txt", "wb") as said:
            return subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=said, stderr=subprocess.STDOUT)

    def run(self, *more: str) -> int:
        """Run to the end and give the exit status."""
        return self.start(*more).wait(LIMIT)

    def succeed(self, *more: str) -> None:
        """Run to the end. Raises AssertionError with what Nextflow said if it fails."""
        assert self.run(*more) == 0, self.text

    def tasks(self, script: str) -> Iterator[Task]:
        """The scripts of this name that are at work now in tasks of this flow."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().split(b"\0")
                folder = (process / "cwd").readlink()
                names = {Path(os.fsdecode(part)).name for part in command[:3]}
                if script in names and folder.is_relative_to(self.work):
                    lines = (process / "environ").read_bytes().decode(errors="replace").split("\0")
                    yield Task(int(process.name), folder, dict(line.split("=", 1) for line in lines if "=" in line))
            except OSError:  # it has ended
                continue

    def await_task(self, script: str, running: subprocess.Popen[bytes]) -> Task:
        """Wait until a task of this flow runs the script; any of them."""
        found: list[Task] = []

        def look() -> bool:
            assert running.poll() is None, f"Nextflow ended before {script} began:\n{self.text}"
            found.extend(self.tasks(script))
            return bool(found)

        wait_until(look, f"{script} to begin")
        return found[0]

    def again(self, folder: Path, env: Mapping[str, str] | None = None) -> "Flow":
        """The same call from another folder. The weights are there already."""
        return Flow(folder, self.options, environment() if env is None else env)

    def beside(self, outdir: str) -> "Flow":
        """The same call in the same folder with results of its own: with -resume it embeds nothing again."""
        return Flow(self.folder, self.options, self.env, outdir)

    def results(self) -> dict[str, str]:
        """SHA-256 of what a run decides and writes, by name: the decisions and every curated file but its times."""
        results = self.out
        files = [results / "decisions.parquet", *results.glob("curated/*.tar"), *results.glob("curated/*.parquet")]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def pycurate(*words: object, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """The installed command, as a user calls it."""
    command = [str(Path(sys.executable).parent / "pycurate"), *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment() | {"COLUMNS": "100"}, capture_output=True, text=True)


def refused(launch: Path, *options: str) -> str:
    """What a call of Nextflow says that ends before any task."""
    done = subprocess.run(
        ["nextflow", "run", str(ROOT / "main.nf"), *options],
        cwd=launch,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode != 0 and "Submitted process" not in done.stdout
    return done.stdout + done.stderr


def tasks(flow: Flow, status: str) -> set[str]:
    """The stages of which the last run had a task with this status (COMPLETED, CACHED)."""
    with open(flow.out / "pipeline_info" / "trace.txt", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["name"].split(" ")[0].split(":")[-1] for row in rows if row["status"] == status}


def inspected(results: Path, *words: object) -> str:
    """What `pycurate inspect` says, with single spaces."""
    done = pycurate("inspect", results, *words)
    assert done.returncode == 0, done.stderr
    return re.sub(" +", " ", done.stdout)
