"""What each piece of work cost and left: written by the scripts of the stages as `times/`.

The report sums the costs up by stage; the workflow publishes the files and lists them in the manifest.
"""

import json
import os
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pycurate.errors import TableError
from pycurate.files import write_json
from pycurate.results.layout import path_of, paths_of
from pycurate.results.manifest import Entry

ORDER = (
    "EMBED", "SCORE", "COMPARE_TARGETS", "COMPARE_SCORES", "DEDUP_PAIRS", "DEDUP_TRAIN", "DEDUP_ASSIGN", "DEDUP_MATCH",
    "DEDUP_LEAKAGE", "DECIDE", "WRITE",
)  # fmt: skip


@dataclass
class Cost:
    """One stage, or one step of DEDUP, all its pieces of work together."""

    name: str
    tasks: int = 0
    seconds: float = 0.0  # of all tasks, one after the other
    longest: float = 0.0  # seconds of the longest task
    cpu_seconds: float = 0.0
    peak_bytes: int = 0  # resident memory of the task that took most
    gpu_bytes: int = 0  # the same of memory on the GPU, as torch allocates it; 0 where there is none


@dataclass
class _Mark:
    """Up to where the time of this process is accounted for."""

    wall: float | None = None  # None: nothing is, since the process began
    cpu: float = 0.0


_mark = _Mark()


def record(results: Path, stage: str, number: str = "00000", left: Iterable[Entry] = ()) -> None:
    """Leave in `results` what a piece of work cost that ends now, and began with the process or at the last record.

    So the time that imports and loading models took counts, and counts once. `left` are the files that it made.
    """
    files = [asdict(entry) for entry in left]
    wall, cpu = time.monotonic(), time.process_time()
    seconds = wall - _mark.wall if _mark.wall is not None else _age()
    cost = Cost(stage, 1, seconds, seconds, cpu - _mark.cpu, peak_memory(), _gpu())
    _mark.wall, _mark.cpu = wall, cpu
    write_json(path_of(results, "times", f"{stage}_{number.replace(':', '-')}"), asdict(cost) | {"files": files})


def read_times(results: Path) -> list[Cost]:
    """The stages that left their times in `results`, in the order of the workflow.

    Raises TableError if a file cannot be read.
    """
    stages: dict[str, Cost] = {}
    for path in paths_of(results, "times").values():
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            cost = Cost(**{name: value for name, value in told.items() if name != "files"})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise TableError(f"{path} contains no times ({error}); remove it, or run its stage again.") from error
        stage = stages.setdefault(cost.name, Cost(cost.name))
        for name in ("tasks", "seconds", "cpu_seconds"):
            setattr(stage, name, getattr(stage, name) + getattr(cost, name))
        for name in ("longest", "peak_bytes", "gpu_bytes"):
            setattr(stage, name, max(getattr(stage, name), getattr(cost, name)))
    return sorted(stages.values(), key=lambda stage: ORDER.index(stage.name) if stage.name in ORDER else len(ORDER))


def files_of(record: Path) -> list[Entry]:
    """The files that a piece of work left, by its record, `times/X.json`. Raises TableError if that cannot be read."""
    try:
        return [Entry(**entry) for entry in json.loads(record.read_text(encoding="utf-8"))["files"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TableError(f"{record} contains no times ({error}); remove it, or run its stage again.") from error


def peak_memory() -> int:
    """The largest resident size of this process so far, bytes. getrusage would begin with that of its parent."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None  # Linux always says it
    return int(match[1]) * 1024


def _age() -> float:
    """Seconds since this process began (proc(5): field 22 of stat, in clock ticks since the start of the system)."""
    with open("/proc/self/stat") as stat, open("/proc/uptime") as uptime:
        ticks = float(stat.read().rpartition(")")[2].split()[19])
        return float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def _gpu() -> int:
    """Bytes, at most, that torch held on the GPU at once; 0 where this process uses none."""
    torch = sys.modules.get("torch")  # who has not imported it uses no GPU, and importing takes seconds
    if not (torch and torch.cuda.is_initialized()):
        return 0
    return max(int(torch.cuda.max_memory_allocated(device)) for device in range(torch.cuda.device_count()))
