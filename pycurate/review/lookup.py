"""Everything that a run's results say of one sample."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import ShardError, UsageError
from pycurate.files import atomic
from pycurate.results.layout import numbers, path_of, paths_of
from pycurate.results.partitions import read_all
from pycurate.results.reasons import BLOCKED, REFERENCE
from pycurate.results.tables import DECISIONS, SAMPLES, known_columns, opened, stream, stream_all
from pycurate.shards.intact import ImagePlace
from pycurate.shards.listing import Shard, read_image
from pycurate.shards.membernames import readable

MOST = 20  # samples that are listed
PLAIN = re.compile(r"[A-Za-z0-9_-]{1,16}(\.[A-Za-z0-9_-]{1,16}){0,3}")  # an extension as it may stand in a file's name


@dataclass(frozen=True)
class Lookup:
    """One sample: its rows of `samples` and of the decisions, by column, and the scores among the latter.

    `original` is the decisions' row of the sample that it duplicates, None if it is none or lies in a reference set;
    `copies` are those of its own duplicates, MOST at most, and `copied` says how many there are.
    """

    sample: dict[str, Any]
    decision: dict[str, Any]
    scores: dict[str, float | str | None]
    shard: Shard | None
    original: dict[str, Any] | None
    copies: list[dict[str, Any]]
    copied: int


def matching(results: Path, name: str) -> list[dict[str, Any]]:
    """uid, shard and key of the samples whose uid, key or SHARD/KEY it is, MOST at most.

    Raises UsageError if there is none, TableError if the decisions cannot be read.
    """
    rows: list[dict[str, Any]] = []
    name = readable(name)
    for batch in stream(path_of(results, "decisions"), ["uid", "shard", "key"]):
        whole = pc.binary_join_element_wise(batch["shard"], batch["key"], "/")
        same = [pc.equal(column, name) for column in (batch["uid"], batch["key"], whole)]
        rows += batch.filter(pc.or_(pc.or_(same[0], same[1]), same[2])).to_pylist()
        if len(rows) >= MOST:
            break
    if not rows:
        raise UsageError(f"No sample of {results} has the uid or key {name!r}; SHARD/KEY is accepted, too.")
    return rows[:MOST]


def look_up(results: Path, uid: str) -> Lookup:
    """What is known of the sample. Raises UsageError if there is none, TableError where tables cannot be read."""
    first = path_of(results, "samples", numbers(results, "samples")[0])
    samples = _rows(stream_all(results, "samples", known_columns(first, SAMPLES.names)), "uid", uid)
    decisions = _rows(_decisions(results), "uid", uid)
    if not samples or not decisions:
        raise UsageError(f"No sample of {results} has the uid {uid}.")
    sample, decision = samples[0], decisions[0]
    names = [name for name in decision if name not in DECISIONS.names]
    # A reference set numbers its samples by itself: one of the input may have the same uid.
    within = decision["duplicate_of"] and decision["reason"] != REFERENCE
    original = _rows(_decisions(results), "uid", decision["duplicate_of"]) if within else []
    copies: list[dict[str, Any]] = []
    copied = 0
    for batch in _decisions(results):
        found = batch.filter(pc.and_(pc.equal(batch["duplicate_of"], uid), pc.not_equal(batch["reason"], REFERENCE)))
        copies += found.slice(0, MOST - len(copies)).to_pylist()
        copied += found.num_rows
    shards = read_all(results) if paths_of(results, "partitions") else {}
    return Lookup(
        sample,
        decision,
        {name: decision[name] for name in names},
        shards.get(sample["shard"]),
        original[0] if original else None,
        copies,
        copied,
    )


def extract(found: Lookup, place: Path, folder: bool = False) -> Path:
    """Write the image's bytes to `place`, in a folder under its uid; where they are now.

    If it has to be a `folder`, it is made where there is none. Raises UsageError if the image is blocked, ShardError if
    the shard is gone or changed, or holds no image for the sample.
    """
    sample = found.sample
    if found.decision["reason"] == BLOCKED:
        raise UsageError(f"The image of {sample['key']!r} is on a blocklist and is not extracted.")
    if sample["status"] != "ok" and not sample["offset"]:
        raise ShardError(
            f"The sample {sample['key']!r} of {sample['shard']} has no image to extract: {sample['error_message']}"
        )
    if found.shard is None or not sample["size"]:
        raise ShardError(f"The image of {sample['key']!r} cannot be read from {sample['shard']}.")
    if folder or place.is_dir():
        # The name in the shard is a stranger's: what is no plain extension gives way to the format.
        ext = sample["ext"] if PLAIN.fullmatch(sample["ext"]) else sample["format"] or "image"
        place = place / f"{sample['uid']}.{ext}"
    image = ImagePlace(sample["key"], sample["offset"], sample["size"], sample["sha256"])
    data = read_image(found.shard, image)
    if folder:
        place.parent.mkdir(parents=True, exist_ok=True)
    with atomic(place) as temporary:
        temporary.write_bytes(data)
    return place


def _decisions(results: Path) -> Iterator[pa.RecordBatch]:
    """All columns of the decisions. Raises TableError if they cannot be read."""
    path = path_of(results, "decisions")
    with opened(path) as file:
        names = file.schema_arrow.names
    return stream(path, names)


def _rows(batches: Iterator[pa.RecordBatch], column: str, value: str) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.filter(pc.equal(batch[column], value)).to_pylist()]
