"""What Nextflow's trace file says of the stages: tasks, time, processor and memory."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from pycurate.errors import UsageError

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


@dataclass
class Stage:
    """One process of the pipeline, all its finished tasks together."""

    name: str
    tasks: int = 0
    cached: int = 0  # of these tasks, those taken from an earlier run
    seconds: float = 0.0  # of all tasks, one after the other
    longest: float = 0.0  # seconds of the longest task
    cpu_seconds: float = 0.0
    peak_bytes: int = 0  # resident memory of the task that took most


def read_trace(path: Path) -> list[Stage]:
    """The stages of a trace file, in the order of their first task. Failed tasks are left out.

    Reads tab-separated columns by name: `name` and `realtime` are needed, `status`, `%cpu` and `peak_rss` used where
    they are there; durations and sizes raw (milliseconds, bytes) or with units. Raises UsageError for another file.
    """
    stages: dict[str, Stage] = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = {"name", "realtime"} - set(rows.fieldnames or ())
            if missing:
                raise ValueError(f"there is no column {min(missing)}")
            for row in rows:
                if row.get("status", "COMPLETED") not in ("COMPLETED", "CACHED"):
                    continue
                name = row["name"].partition(" (")[0].rpartition(":")[2]
                stage = stages.setdefault(name, Stage(name))
                seconds = parse_duration(row["realtime"])
                stage.tasks += 1
                stage.cached += row.get("status") == "CACHED"
                stage.seconds += seconds
                stage.longest = max(stage.longest, seconds)
                stage.cpu_seconds += seconds * _percent(row.get("%cpu")) / 100
                stage.peak_bytes = max(stage.peak_bytes, parse_size(row.get("peak_rss")))
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(
            f"{path} is no trace file of Nextflow ({error!r}); give one with name and realtime."
        ) from error
    return list(stages.values())


def parse_duration(text: str | None) -> float:
    """Seconds: `1h 2m 3s`, `250ms`, or raw milliseconds; 0 where the trace has `-`."""
    return _sum(text, SECONDS, 0.001)


def parse_size(text: str | None) -> int:
    """Bytes: `1.5 GB`, or raw bytes; 0 where the trace has `-`."""
    return round(_sum(text, BYTES, 1))


def _percent(text: str | None) -> float:
    return _sum(text, {"%": 1.0}, 1.0)


def _sum(text: str | None, units: dict[str, float] | dict[str, int], bare: float) -> float:
    """The sum of numbers with units; a number without one counts `bare`."""
    if text in (None, "", "-"):
        return 0.0
    assert text is not None
    parts = re.findall(r"([\d.]+)\s*([A-Za-z%]*)", text)
    if not parts:
        raise ValueError(f"no amount in {text!r}")
    return sum(float(amount) * (units[unit] if unit else bare) for amount, unit in parts)
