"""Choosing the images that the report shows, from the tables alone.

The choice is small, whatever the run's size, and the same for the same tables: where any sample will do, those with
the lowest uids are taken, and uids are hashes, so that is a fair draw.
"""

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import TableError
from pycurate.files import atomic, sha256_of
from pycurate.report.nearest import nearest_pairs
from pycurate.report.summary import Histogram, bin_of, histograms
from pycurate.results import reasons
from pycurate.results.criteria import read_criteria
from pycurate.results.layout import compared, path_of, paths_of
from pycurate.results.tables import read_table, score_columns, stream, stream_all, write_table
from pycurate.results.uids import hex_digits, uid_numbers

BANDS = 12  # of a score's range
EACH = 8  # pictures of a band row, of a side of the threshold, of a reason
GROUPS = 8  # of duplicates: the largest ones
MEMBERS = 7  # shown of a group, beside the kept image
PAIRS = 8  # on each side of the duplicate threshold
COMPARED = 4096  # kept images, each with each, for the pairs below it
COUNTED = 1 << 20  # duplicate groups counted at a time
REFERENCE = " of a reference"  # after the uid that names a group

EXAMPLES = pa.schema(
    [
        ("section", pa.string()),  # score | threshold | reason | group | pair
        ("name", pa.string()),  # the score's or reason's name; the group's kept uid; above or below
        ("part", pa.int32()),  # the band, the side of the threshold (0 below, 1 above), the pair
        ("place", pa.int32()),  # order within the part
        ("value", pa.float64()),  # cosine of the pair, number of the group's duplicates; null elsewhere
        ("uid", pa.string()),
        ("shard", pa.string()),
        ("key", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("caption", pa.string()),
        ("kept", pa.bool_()),
        ("reason", pa.string()),
        ("duplicate_of", pa.string()),
        ("similarity", pa.float32()),
        # the score columns stand here
    ]
)
SELECTED = pa.schema(list(EXAMPLES)[:6])
DRAWN_FROM = b"decisions"  # in the metadata of the table


class Draw:
    """Keeps, of all rows shown to it, the `count` with the lowest (order, uid) of each part."""

    def __init__(self, section: str, name: str, count: int) -> None:
        self.section, self.name, self.count = section, name, count
        self.parts = np.array([], np.int64)
        self.order = np.array([], np.float64)
        self.uids = np.zeros((0, 2), np.uint64)

    def add(self, parts: np.ndarray, order: np.ndarray, uids: np.ndarray) -> None:
        """int64 (n,), float64 (n,), and uint64 (n, 2) as `uid_numbers` gives them."""
        if len(self.parts):  # what is no better than all of a full part is not sorted
            first, after = (np.searchsorted(self.parts, parts, side) for side in ("left", "right"))
            worst = np.maximum(after - 1, 0)
            tied = (order == self.order[worst]) & (uids[:, 0] <= self.uids[worst, 0])
            better = (after - first < self.count) | (order < self.order[worst]) | tied
            parts, order, uids = parts[better], order[better], uids[better]
        self.parts = np.concatenate([self.parts, parts])
        self.order = np.concatenate([self.order, order])
        self.uids = np.concatenate([self.uids, uids])
        by = np.lexsort((self.uids[:, 1], self.uids[:, 0], self.order, self.parts))
        by = by[_places(self.parts[by]) < self.count]
        self.parts, self.order, self.uids = self.parts[by], self.order[by], self.uids[by]

    def names(self) -> list[str]:
        """The uids of the rows kept."""
        return hex_digits(self.uids).to_pylist()

    def table(self, value: float | None = None) -> pa.Table:
        """The rows kept, as SELECTED."""
        rows = zip(self.parts.tolist(), _places(self.parts).tolist(), self.names(), strict=True)
        return _selected((self.section, self.name, part, place, value, uid) for part, place, uid in rows)


def select_examples(results: Path) -> pa.Table:
    """Leave examples.parquet (EXAMPLES + the score columns) and examples.tsv, the shards it needs, one a line.

    The table records the decisions that it is drawn from.

    Raises TableError if tables, or decisions.json, are missing.
    """
    thresholds = read_criteria(results).thresholds()
    spread = histograms(results, score_columns(results), thresholds)
    parts = [*_along_scores(results, spread, thresholds), *_groups(results), _pairs_above(results)]
    parts.append(_pairs_below(results, thresholds.get("dedup")))
    chosen = _join(results, pa.concat_tables(parts))
    write_table(path_of(results, "examples"), chosen.replace_schema_metadata({DRAWN_FROM: _decisions(results)}))
    with atomic(path_of(results, "examples_shards")) as temporary:
        shards = sorted(pc.unique(chosen["shard"]).to_pylist())
        temporary.write_text("".join(f"{shard}\n" for shard in shards), encoding="utf-8")
    return chosen


def read_examples(results: Path) -> pa.Table:
    """What `select_examples` left in `results`; no rows where it was not called.

    Raises TableError if these examples were drawn from other decisions than those that are there now, which may lack
    what the examples tell of.
    """
    path = path_of(results, "examples")
    if not path.exists():
        return EXAMPLES.empty_table()
    examples = read_table(path)
    if (examples.schema.metadata or {}).get(DRAWN_FROM) != _decisions(results):
        raise TableError(
            f"{path} was drawn from other decisions than those in {path_of(results, 'decisions')}; run report.py "
            "examples again."
        )
    return examples


def _decisions(results: Path) -> bytes:
    """What tells these decisions and what decided from others."""
    return " ".join(sha256_of(path_of(results, kind)) for kind in ("decisions", "criteria")).encode()


def _along_scores(results: Path, spread: dict[str, Histogram], thresholds: dict[str, float]) -> list[pa.Table]:
    """Along each score's range, on both sides of each threshold, and of each reason to drop."""
    scales = {f"{name}_raw" for name in spread} - thresholds.keys()  # a raw scale is the same order once more
    names = [name for name in spread if name not in scales]
    bands = {name: Draw("score", name, 1) for name in names}
    sides = {name: Draw("threshold", name, EACH) for name in names if name in thresholds}
    drawn: dict[str, Draw] = {}
    for batch in stream(path_of(results, "decisions"), ["uid", "reason", *names]):
        batch = batch.filter(pc.not_equal(batch["reason"], reasons.BLOCKED))  # of these nothing is shown
        uids = uid_numbers(batch["uid"])
        for reason in pc.unique(batch["reason"]).to_pylist():
            if reason != reasons.UNREADABLE:
                draw = drawn.setdefault(reason, Draw("reason", reason, EACH))
                found = uids[pc.equal(batch["reason"], reason).to_numpy(zero_copy_only=False)]
                draw.add(np.zeros(len(found), np.int64), np.zeros(len(found)), found)
        for name in names:
            values = batch[name].to_numpy(zero_copy_only=False)
            known = np.isfinite(values)
            values, owners = values[known], uids[known]
            edges = np.linspace(spread[name].quantiles["0"], spread[name].quantiles["1"], BANDS + 1)
            bands[name].add(bin_of(values, edges), np.zeros(len(values)), owners)
            if name in sides:
                # The threshold is compared in the scores' own float32, as the filters do.
                above = (values >= np.float32(thresholds[name])).astype(np.int64)
                sides[name].add(above, np.abs(values.astype(np.float64) - thresholds[name]), owners)
    return [draw.table() for draw in (*bands.values(), *sides.values(), *(drawn[name] for name in sorted(drawn)))]


def _groups(results: Path) -> list[pa.Table]:
    """The largest groups of duplicates: each the kept image if it is of the input, and the members least like it."""
    sizes: dict[str, int] = {}
    for batch in stream(path_of(results, "decisions"), ["duplicate_of", "reason"]):
        for entry in pc.value_counts(_group_of(batch).drop_null()).to_pylist():
            sizes[entry["values"]] = sizes.get(entry["values"], 0) + entry["counts"]
        if len(sizes) > COUNTED:  # memory stays bounded; only groups that are small so far are forgotten
            sizes = dict(_largest(sizes, COUNTED // 2))
    draws = {group: Draw("group", group, 1 + MEMBERS) for group, _ in _largest(sizes, GROUPS)}
    members_of = dict.fromkeys(draws, 0)  # anew, since what was forgotten was not counted
    for group, draw in draws.items():
        if not group.endswith(REFERENCE):
            draw.add(np.array([0]), np.array([-np.inf]), uid_numbers(pa.array([group])))  # the kept image comes first
    for batch in stream(path_of(results, "decisions"), ["uid", "duplicate_of", "similarity", "reason"]):
        for group, draw in draws.items():
            members = batch.filter(pc.equal(_group_of(batch), group))
            members_of[group] += members.num_rows
            order = members["similarity"].to_numpy(zero_copy_only=False).astype(np.float64)
            draw.add(np.zeros(members.num_rows, np.int64), order, uid_numbers(members["uid"]))
    return [draws[group].table(count) for group, count in _largest(members_of, GROUPS)]


def _group_of(batch: pa.RecordBatch) -> pa.Array:
    """The kept uid of each sample's group, marked if it is a reference's, which an image of the input may have too."""
    mark = pc.if_else(pc.equal(batch["reason"], reasons.REFERENCE), REFERENCE, "")
    return pc.binary_join_element_wise(batch["duplicate_of"], mark, "")


def _pairs_above(results: Path) -> pa.Table:
    """The near duplicates least like what they duplicate: the pairs just above the threshold."""
    nearest: list[dict[str, Any]] = []
    for batch in stream(path_of(results, "decisions"), ["uid", "reason", "duplicate_of", "similarity"]):
        near = batch.filter(pc.equal(batch["reason"], reasons.NEAR)).to_pylist()
        nearest = heapq.nsmallest(PAIRS, [*nearest, *near], key=lambda row: (row["similarity"], row["uid"]))
    return _pairs("above", [(row["duplicate_of"], row["uid"], row["similarity"]) for row in nearest])


def _pairs_below(results: Path, threshold: float | None) -> pa.Table:
    """The kept images most similar to each other: the pairs just below the threshold. Needs the embeddings."""
    if threshold is None or not paths_of(results, compared(results)):
        return _pairs("below", [])
    kept = Draw("", "", COMPARED)
    for batch in stream(path_of(results, "decisions"), ["uid", "kept"]):
        uids = uid_numbers(batch.filter(batch["kept"])["uid"])
        kept.add(np.zeros(len(uids), np.int64), np.zeros(len(uids)), uids)
    return _pairs("below", nearest_pairs(results, kept.names(), threshold, PAIRS))


def _pairs(name: str, pairs: Iterable[tuple[str, str, float]]) -> pa.Table:
    return _selected(
        ("pair", name, part, place, cosine, uid)
        for part, (one, other, cosine) in enumerate(pairs)
        for place, uid in enumerate((one, other))
    )


def _selected(rows: Iterable[tuple[str, str, int, int, float | None, str]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SELECTED.names, row, strict=True)) for row in rows], SELECTED)


def _largest(sizes: dict[str, int], count: int) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:count]


def _places(parts: np.ndarray) -> np.ndarray:
    """int64 (n,): 0, 1, 2, ... within each run of equal parts, which are sorted."""
    return np.arange(len(parts)) - np.searchsorted(parts, parts)


def _join(results: Path, chosen: pa.Table) -> pa.Table:
    """What the report says of each chosen image, from the samples and the decisions, in the order of `chosen`.

    A kept image of a reference set is no sample: it falls out.
    """
    scores = score_columns(results)
    schema = pa.schema([*EXAMPLES, *((name, pa.float32()) for name in scores)])
    names = schema.names
    places = ["uid", *names[names.index("shard") : names.index("kept")]]
    decided = ["uid", *names[names.index("kept") :]]
    return (
        chosen.append_column("order", pa.array(range(chosen.num_rows), pa.int64()))
        .join(_rows(stream_all(results, "samples", places), chosen["uid"], places, schema), "uid", join_type="inner")
        .join(
            _rows(stream(path_of(results, "decisions"), decided), chosen["uid"], decided, schema),
            "uid",
            join_type="inner",
        )
        .sort_by("order")
        .select(names)
        .cast(schema)
    )


def _rows(batches: Iterator[pa.RecordBatch], uids: pa.Array, columns: list[str], schema: pa.Schema) -> pa.Table:
    wanted = pc.unique(uids)
    found = (batch.filter(pc.is_in(batch["uid"], wanted)) for batch in batches)
    return pa.Table.from_batches(found, pa.schema([schema.field(name) for name in columns]))
