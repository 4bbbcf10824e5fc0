"""The ledger: that every input sample is accounted for (promise 2), checked from the tables alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import LedgerError, TableError
from pycurate.results.buckets import Buckets, buckets
from pycurate.results.layout import numbers, path_of, paths_of
from pycurate.results.reasons import BLOCKED, KEPT, UNREADABLE
from pycurate.results.tables import stream, stream_all, uids_dropped
from pycurate.results.uids import subset, uid_numbers

AGAIN = {"samples": "run again from EMBED", "decisions": "run again from DECIDE"}
"""What to do where a table is wrong."""


@dataclass
class Counts:
    """What became of the input samples, in numbers."""

    partitions: int = 0
    inputs: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # by reason
    unreadable: dict[str, int] = field(default_factory=dict)  # by error code
    shards: int = 0  # that hold the inputs
    image_bytes: int = 0
    written_shards: int = 0
    written_bytes: int = 0


def read_stats(results: Path) -> dict[str, dict[str, int]]:
    """{output shard: its `_stats.json`}. Raises TableError if one cannot be read."""
    stats = {}
    for number, path in paths_of(results, "tar_stats").items():
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            stats[path_of(results, "tars", number).name] = {name: int(entry[name]) for name in ("samples", "bytes")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TableError(f"{path} contains no counts ({error}); run WRITE again.") from error
    return stats


def check(results: Path, partitions: int | None = None) -> Counts:
    """Count the samples, and hold the tables against each other.

    Raises LedgerError, naming the numbers and from where to run again, unless
    - there are as many samples tables as `partitions`, if that is known,
    - each uid stands once in `samples/` and once in the decisions, and no other uid does,
    - kept and the reasons to drop add up to the inputs, and `kept` is true just where the reason is `kept`,
    - as many samples are dropped as unreadable as could not be read, those aside that are blocked,
    - each output shard holds as many samples as the decisions send to it, and all kept ones go to one, or none of them
      where no shards were to be made.
    """
    counts = Counts(partitions=len(numbers(results, "samples")))
    _demand(
        partitions in (None, counts.partitions),
        f"there are {partitions} partitions, but {counts.partitions} samples tables",
        AGAIN["samples"],
    )
    _count_samples(results, counts)
    outputs = _count_decisions(results, counts)
    curated = read_stats(results)
    dropped = sum(counts.dropped.values())
    _demand(
        counts.inputs == counts.kept + dropped,
        f"{counts.inputs} input samples, but {counts.kept} are kept and {dropped} dropped",
    )
    unread, called = sum(counts.unreadable.values()), counts.dropped.get(UNREADABLE, 0)
    _demand(unread == called, f"{unread} samples could not be read, but {called} are dropped as unreadable")
    _check_uids(results, counts.inputs)
    sent = sum(outputs.values())
    _demand(sent in (0, counts.kept), f"{counts.kept} samples are kept, but only {sent} have an output shard")
    for name in sorted(outputs.keys() | curated.keys()):
        wanted, held = outputs.get(name, 0), curated.get(name, {}).get("samples", 0)
        # Without a plan WRITE would have nothing to do.
        remedy = "run WRITE again" if outputs else "remove curated/, which an earlier decision left"
        _demand(wanted == held, f"{name} should contain {wanted} samples, but contains {held}", remedy)
    counts.written_shards = len(curated)
    counts.written_bytes = sum(stats["bytes"] for stats in curated.values())
    return counts


def _count_samples(results: Path, counts: Counts) -> None:
    shards: set[str] = set()
    blocked = uids_dropped(results, BLOCKED)
    for batch in stream_all(results, "samples", ["uid", "shard", "size", "status", "error"]):
        counts.inputs += batch.num_rows
        counts.image_bytes += pc.sum(batch["size"]).as_py() or 0
        shards.update(pc.unique(batch["shard"]).to_pylist())
        bad = batch.filter(pc.not_equal(batch["status"], "ok"))
        bad = bad.filter(pc.invert(pc.is_in(bad["uid"], blocked)))
        _add(counts.unreadable, bad["error"])
    counts.shards = len(shards)


def _count_decisions(results: Path, counts: Counts) -> dict[str, int]:
    """Fill in what the decisions say; return how many samples go to each output shard."""
    outputs: dict[str, int] = {}
    for batch in stream(path_of(results, "decisions"), ["kept", "reason", "output_shard"]):
        counts.kept += batch["kept"].true_count
        wrong = pc.not_equal(pc.equal(batch["reason"], KEPT), batch["kept"])
        _demand(
            batch["reason"].null_count == batch["kept"].null_count == 0 and not pc.any(wrong).as_py(),
            "a sample is kept with a reason to drop it, dropped without a reason, or has no decision",
        )
        _add(counts.dropped, batch.filter(pc.invert(batch["kept"]))["reason"])
        stray = batch.filter(pc.and_(pc.invert(batch["kept"]), pc.is_valid(batch["output_shard"])))
        _demand(stray.num_rows == 0, f"{stray.num_rows} dropped samples have an output shard")
        _add(outputs, batch["output_shard"].drop_null())
    return outputs


def _add(counts: dict[str, int], values: pa.Array) -> None:
    for entry in pc.value_counts(values).to_pylist():
        name = entry["values"] or "unknown"
        counts[name] = counts.get(name, 0) + entry["counts"]


def _check_uids(results: Path, inputs: int) -> None:
    with buckets(results, 2, inputs) as samples, buckets(results, 2, inputs) as decisions:
        _divide(stream_all(results, "samples", ["uid"]), samples)
        _divide(stream(path_of(results, "decisions"), ["uid"]), decisions)
        for came, decided in zip(map(subset, samples), map(subset, decisions), strict=True):
            for uids, table in ((came, "samples"), (decided, "decisions")):
                repeated = uids[1:][uids[1:] == uids[:-1]]
                _demand(not len(repeated), f"uid {_text(repeated)} occurs more than once in the {table}", AGAIN[table])
            if not np.array_equal(came, decided):
                lost, new = np.setdiff1d(came, decided, True), np.setdiff1d(decided, came, True)
                _demand(not len(lost), f"{len(lost)} samples have no decision, such as uid {_text(lost)}")
                _demand(not len(new), f"{len(new)} decisions do not belong to any sample, such as uid {_text(new)}")


def _divide(batches: Iterator[pa.RecordBatch], into: Buckets) -> None:
    for batch in batches:
        try:
            if not pc.all(pc.equal(pc.binary_length(batch["uid"]), 32), min_count=0).as_py():
                raise ValueError("another length")
            into.add(uid_numbers(batch["uid"]))
        except ValueError as error:
            raise TableError(f"A uid is not 32 hex digits ({error}); run EMBED and DECIDE again.") from error


def _text(uids: np.ndarray) -> str:
    return "".join(f"{half:016x}" for half in uids[0].tolist()) if len(uids) else ""


def _demand(holds: bool, fault: str, remedy: str = AGAIN["decisions"]) -> None:
    if not holds:
        raise LedgerError(f"The counts do not add up: {fault}; do not use this output, but {remedy}.")
