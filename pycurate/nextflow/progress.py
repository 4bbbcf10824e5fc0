"""How far a run is: read off what Nextflow says, its trace file, and what finished tasks left in their folders."""

import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from pycurate.filters.filtering import Filtering, first_failed
from pycurate.results.layout import paths_of
from pycurate.results.reasons import KEPT, UNREADABLE
from pycurate.results.tables import decided, read_table

STAGES = {
    "MODELS": 2, "PARTITION": 1, "EMBED": None, "SCORE": None, "DEDUP": None, "DECIDE": 1, "WRITE": None, "REPORT": 2,
}  # fmt: skip
"""Tasks of each stage, where that is known from the start."""

LINE = re.compile(r"\[([0-9a-f]{2}/[0-9a-f]{6}|skipping)\] (Submitted|Re-submitted|Cached|Stored) process > (\S+)")


@dataclass
class Tasks:
    """The tasks of a stage by their hashes, and how many there will be, where that is known."""

    total: int | None = None
    started: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    cached: int = 0
    since: float | None = None  # time.monotonic() when the first one started that was not cached

    @property
    def all(self) -> int:
        """As many as there will be, as far as is known."""
        return max(self.total or 0, len(self.started))

    @property
    def finished(self) -> bool:
        """Whether none is missing, as far as is known."""
        return self.total is not None and self.all == len(self.done)

    def seconds_left(self) -> float | None:
        """By the pace of this run's tasks; None where it is not known yet."""
        ran = len(self.done) - self.cached
        if self.since is None or not ran or self.total is None:
            return None
        return (self.all - len(self.done)) * (time.monotonic() - self.since) / ran


@dataclass
class Progress:
    """The state of one run, whose tasks work beneath `work` and whose trace is at `trace`.

    `counts` has samples by reason as far as they are decided: without duplicates until DECIDE has ended. `images` are
    the readable ones that this run embedded itself, `cached` ones aside. `dedup` is whether duplicates will be removed.
    """

    work: Path
    trace: Path
    filtering: Filtering
    dedup: bool = False
    stages: dict[str, Tasks] = field(default_factory=lambda: {name: Tasks(total) for name, total in STAGES.items()})
    counts: dict[str, int] = field(default_factory=dict)
    decided: bool = False
    images: int = 0
    scored: bool = False
    _ended: list[tuple[str, str, bool]] = field(default_factory=list)  # whose folders are to be read: see `_finish`
    _metadata: dict[str, Path] = field(default_factory=dict)  # tables that EMBED left, by the partition's number
    _read: int = 0  # bytes of the trace
    _head: list[str] = field(default_factory=list)  # its columns, which a site may have chosen
    _inode: int = 0
    _earlier: int | None = None  # inode of a trace that is none of this run's

    def disregard(self) -> None:
        """Take the trace that lies there now for an earlier run's: this one's replaces it when its call was good."""
        self._earlier = self.trace.stat().st_ino if self.trace.exists() else None

    def hear(self, line: str) -> bool:
        """Take in a line that Nextflow said; False if it was about something else than the start of a task.

        No file is read here, but by `look`, which may fail.
        """
        if not (match := LINE.match(line)):
            return False
        name, how, process = match.groups()
        task = name if "/" in name else process
        tasks = self._tasks(process)
        tasks.started.add(task)
        self.dedup |= process.startswith("DEDUP:")  # which a profile may ask for, too
        if how.endswith("ubmitted"):
            tasks.since = tasks.since or time.monotonic()
        elif task not in tasks.done:
            tasks.cached += 1
            self._finish(process, task, ran=False)
        return True

    def look(self) -> None:
        """Take in the tasks that have ended since the last look, and what they left."""
        self._read_trace()
        while self._ended:
            self._take_in(*self._ended.pop(0))

    def _read_trace(self) -> None:
        try:
            with open(self.trace, "rb") as file:
                about = os.fstat(file.fileno())
                if about.st_ino == self._earlier:
                    return
                self._follow(about)
                file.seek(self._read)
                lines = file.read().split(b"\n")
        except (FileNotFoundError, NotADirectoryError):  # Nextflow has not begun, or will refuse the call
            return
        fields = [line.decode(errors="replace").split("\t") for line in lines[:-1]]
        if not self._read and fields:
            self._head = fields.pop(0)
        self._read += sum(len(line) + 1 for line in lines[:-1])
        for values in fields:
            row = dict(zip(self._head, values, strict=False))
            if not {"hash", "name", "status"} <= row.keys():
                continue
            task, name, status = row["hash"], row["name"], row["status"]
            process = name.partition(" (")[0]
            if status == "COMPLETED":
                self._finish(process, task, ran=True)
            elif status in ("FAILED", "ABORTED"):  # if it is tried again, then by another hash
                self._tasks(process).started.discard(task)

    def rate(self) -> float | None:
        """Images a second that all EMBED tasks of this run make together; None where that is not known yet."""
        since = self.stages["EMBED"].since
        return self.images / (time.monotonic() - since) if since and self.images else None

    def _follow(self, file: os.stat_result) -> None:
        """Begin anew where the trace is another file than before, or was emptied."""
        if file.st_ino != self._inode or file.st_size < self._read:
            self._inode, self._read = file.st_ino, 0

    def _tasks(self, process: str) -> Tasks:
        """Those of the stage that a process belongs to: DEDUP:DEDUP_PAIRS to DEDUP, REPORT_EXAMPLES to REPORT."""
        return self.stages.setdefault(re.split("[:_]", process)[0], Tasks())

    def _finish(self, process: str, task: str, ran: bool) -> None:
        """Count a task as done; `ran` is whether by this run."""
        tasks = self._tasks(process)
        if task not in tasks.done:
            tasks.started.add(task)
            tasks.done.add(task)
            self._ended.append((process, task, ran))

    def _take_in(self, process: str, task: str, ran: bool) -> None:
        """Read what a finished task left in its folder."""
        tasks, folder = self._tasks(process), next(self.work.glob(f"{task}*"), None)
        if folder is None:
            return
        if process == "PARTITION":
            partitions = len(paths_of(folder, "partitions"))
            self.stages["EMBED"].total = self.stages["SCORE"].total = partitions
        elif process == "EMBED":
            self._metadata |= paths_of(folder, "metadata")
            for path in paths_of(folder, "stats").values():
                stats = json.loads(path.read_text(encoding="utf-8"))
                self._count(UNREADABLE, stats["samples"] - stats["readable"])
                self.images += stats["readable"] * ran
        elif process == "SCORE":
            self._count_scored(folder)
        elif process == "COMPARE:COMPARE_TARGETS":
            tasks.total = 1 + (self.stages["EMBED"].total or 0)
        elif process == "DEDUP:DEDUP_PAIRS":
            tasks.total = 1
        elif process == "DEDUP:DEDUP_TRAIN":
            buckets = int((folder / ".command.out").read_text(encoding="utf-8"))
            tasks.total = 1 + (self.stages["EMBED"].total or 0) + buckets  # and the partitions of references
        elif process == "DECIDE":
            self.stages["DEDUP"].total = len(self.stages["DEDUP"].done)
            self.stages["WRITE"].total = len(paths_of(folder, "plan"))
            self.counts, self.decided = decided(folder), True

    def _count(self, reason: str, samples: int) -> None:
        if samples and not self.decided:
            self.counts[reason] = self.counts.get(reason, 0) + samples

    def _count_scored(self, folder: Path) -> None:
        """Count what the filters make of the samples of a SCORE task."""
        for number, scores in paths_of(folder, "scores").items():
            if metadata := self._metadata.get(number):
                self.scored = True
                counts = passing(read_table(metadata), read_table(scores), self.filtering, number)
                for reason, samples in counts.items():
                    self._count(reason, samples)


def passing(metadata: pa.Table, scores: pa.Table, filtering: Filtering, partition: str) -> dict[str, int]:
    """{reason: samples} of one partition, by the filters that look at one sample alone.

    The tables are of METADATA and of scores, of the same samples.
    """
    filters = filtering.alone().filters()
    facts = pa.table({name: table[name] for table in (metadata, scores) for name in table.column_names})
    counts = np.bincount(first_failed(filters, facts, partition), minlength=len(filters) + 1).tolist()
    return dict(zip([*(one.reason for one in filters), KEPT], counts, strict=True))
