"""Leakage: which images of evaluation sets are in the input, and what became of those that are.

Each readable image of a set is compared with each readable image of the input, by `pycurate.dedup.vectors.similarity`
and SHA-256, so that none is missed. Float32 products find what may be near; what they find is compared exactly.
"""

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dedup.partitions import Source, check_encoder, embeddings_of, references_of
from pycurate.dedup.products import device_for
from pycurate.dedup.vectors import cosines, sample_numbers, unit, views_compared
from pycurate.errors import TableError
from pycurate.hardware import one_blas_thread
from pycurate.results.layout import path_of, paths_of
from pycurate.results.tables import DECISIONS, read_table, read_tables, read_views, stream, write_table

ROUNDING = 1e-4  # of float32 products of unit vectors, generously
IMAGES = 256  # of a set that are compared at a time
HELD = 1 << 18  # leaks that are held before the best of each image are chosen among them

LEAKS = pa.schema(
    [
        ("set", pa.string()),
        ("image", pa.string()),  # uid, shard and key in the set
        ("image_shard", pa.string()),
        ("image_key", pa.string()),
        ("match", pa.string()),  # uid of an image of the input; null if a partition has none
        ("similarity", pa.float32()),  # 1 if byte-equal
    ]
)

LEAKAGE = pa.schema(
    [
        *list(LEAKS)[:5],
        ("match_shard", pa.string()),
        ("match_key", pa.string()),
        ("similarity", pa.float32()),
        ("reason", pa.string()),  # what became of the match, as in the decisions
        ("kept_match", pa.string()),  # the most similar kept image, null if none reaches the lowest threshold
        ("kept_similarity", pa.float32()),
    ]
)

DECIDED = pa.schema([(name, DECISIONS.field(name).type) for name in ("uid", "shard", "key", "reason", "kept")])


def thresholds_around(threshold: float) -> list[float]:
    """A duplicate threshold between a looser and a stricter one: half as far again from 1, and half as far.

    The looser one is at least half of it, since at 0 and below images with nothing in common would match.
    """
    looser, stricter = (round(1 - part * (1 - threshold), 9) for part in (1.5, 0.5))
    return [max(looser, threshold / 2), threshold, stricter]


@one_blas_thread
def find_leaks(source: Source, sets: Mapping[str, Sequence[Source]], threshold: float) -> pa.Table:
    """LEAKS of one partition: of each image of each set, all matches that reach the lowest threshold, and the best.

    `sets` names their partitions, each set with another `reference`. The table's metadata states the thresholds and
    what tells the sets from others. Raises TableError if the sets were embedded by another encoder, have embeddings of
    another shape, or not one per readable sample.
    """
    others = [other for those in sets.values() for other in those]
    check_encoder([source, *others])
    embeddings = embeddings_of([source, *others])
    views, dim = embeddings.shape
    thresholds = thresholds_around(threshold)
    known = {name: " ".join(references_of(those)) for name, those in sets.items()}
    stated = {"thresholds": json.dumps(thresholds), "sets": json.dumps(known, sort_keys=True)}
    own = source.readable(["uid", "sha256"])
    contents = own["sha256"].to_numpy().astype("S64")
    by_uid = pc.rank(own["uid"]).to_numpy()
    read_views(source.embeddings, own.num_rows)  # which raises if there is not one for each
    keys = unit(embeddings.block(source.number, 0, own.num_rows))
    products = own.num_rows * views * sum(embeddings.rows(other.number) for other in others)
    device = device_for(products, dim)
    tables = [LEAKS.empty_table()]
    for name, those in sets.items():
        for other in those:
            images = other.readable(["uid", "shard", "key", "sha256"])
            read_views(other.embeddings, images.num_rows)
            for start in range(0, images.num_rows, IMAGES):
                block = images.slice(start, IMAGES)
                rows = np.arange(start, start + block.num_rows)
                if own.num_rows:
                    products = _cosines(unit(embeddings.block(other.number, start, start + len(rows))), keys, device)
                    best = products.max(axis=1) - 2 * ROUNDING
                    near = products >= np.minimum(best, np.float32(thresholds[0]) - ROUNDING)[:, None]
                    same = block["sha256"].to_numpy().astype("S64")
                    for row in np.flatnonzero(np.isin(same, contents)):
                        near[row] |= contents == same[row]
                    image, match = np.nonzero(near)
                    numbers = sample_numbers(other.number, rows[image]), sample_numbers(source.number, match)
                    similarity = embeddings.similarity(*numbers)
                    similarity[same[image] == contents[match]] = 1
                    counts = _counting(image, similarity, by_uid[match], np.float32(thresholds[0]))
                    image, match, similarity = image[counts], match[counts], similarity[counts]
                    matches = own["uid"].take(pa.array(match))
                else:
                    image = np.arange(len(rows))
                    matches, similarity = pa.nulls(len(rows), pa.string()), pa.nulls(len(rows), pa.float32())
                found = [block[column].take(pa.array(image)) for column in ("uid", "shard", "key")]
                columns = [pa.array([name] * len(image), pa.string()), *found, matches, similarity]
                tables.append(pa.table(dict(zip(LEAKS.names, columns, strict=True))).cast(LEAKS))
    return pa.concat_tables(tables).replace_schema_metadata(stated)


def _counting(image: np.ndarray, similarity: np.ndarray, by_uid: np.ndarray, lowest: np.float32) -> np.ndarray:
    """bool (n,): which matches are leaks: those of at least `lowest`, and the best of each image, whatever it is.

    Args:
        image: int64 (n,), ascending.
        similarity: float32 (n,), of the image and its match.
        by_uid: int (n,), the place of the match in the order of the uids, by which one of several as similar is chosen.
        lowest: of the thresholds.
    """
    counts = similarity >= lowest
    best_first = np.lexsort((by_uid, -similarity, image))
    counts[best_first[np.diff(image, prepend=-1) > 0]] = True
    return counts


def write_leakage(results: Path, partitions: Sequence[str]) -> None:
    """Leave leakage.parquet (LEAKAGE) in `results`, a row per image of the sets, from what DEDUP and DECIDE left.

    `partitions` are the numbers of those of the input. Without leaks there is none. Its metadata states the thresholds.
    Raises TableError if leaks of a partition are missing, were sought at other thresholds or in other sets than
    those of another, or name images that the decisions do not.
    """
    path_of(results, "leakage").unlink(missing_ok=True)
    if not (numbers := paths_of(results, "leaks")):
        return
    if missing := [number for number in partitions if number not in numbers]:
        raise TableError(
            f"Leaks were not sought in {len(missing)} of {len(partitions)} partitions, the first of which is "
            f"{missing[0]}; run dedup.py leakage for all of them."
        )
    metadata = read_table(next(iter(numbers.values()))).schema.metadata
    best, kept = _gathered(results, metadata)
    of = pc.index_in(_name(best), value_set=_name(kept))
    best = best.append_column("kept_match", kept["match"].take(of))
    best = best.append_column("kept_similarity", kept["similarity"].take(of))
    write_table(path_of(results, "leakage"), best.select(LEAKAGE.names).cast(LEAKAGE).replace_schema_metadata(metadata))


def _gathered(results: Path, metadata: Mapping[bytes, bytes]) -> tuple[pa.Table, pa.Table]:
    """Of each image the best leak, with what was decided about it; and the best that was kept, if it is like enough.

    `metadata`, which each table has to have, state from which similarity on it is, and which sets are meant.

    Partitions come one after the other, and what is no better than what came before is let go. Each has a leak of
    each image, so they are many; where a set and the input have many images that are alike, they are the product.
    """
    lowest = np.float32(json.loads(metadata[b"thresholds"])[0])
    decisions = _Decisions(results)
    best, kept = _Best(), _Best()
    for number, table in read_tables(results, "leaks"):
        if table.schema.metadata != metadata:
            raise TableError(
                f"Leaks were sought in partition {number} at other thresholds or in other sets than in those before "
                "it; run dedup.py leakage again for all of them."
            )
        table = table.cast(LEAKS)
        known = decisions.about(pc.unique(table["match"]).drop_null(), number)
        place = pc.index_in(table["match"], value_set=known["uid"])
        for column, name in (("match_shard", "shard"), ("match_key", "key"), ("reason", "reason")):
            table = table.append_column(column, known[name].take(place))
        best.add(table)
        near = pc.greater_equal(table["similarity"], lowest)
        kept.add(table.filter(pc.and_(near, pc.fill_null(known["kept"].take(place), False))))
    return best.of_all(), kept.of_all()


class _Decisions:
    """What was decided about matches, partition after partition: both are in that order, so each is read once."""

    def __init__(self, results: Path) -> None:
        self._left = stream(path_of(results, "decisions"), DECIDED.names)
        self._batch: pa.RecordBatch | None = next(self._left, None)

    def about(self, uids: pa.Array, number: str) -> pa.Table:
        """Of these images of this partition. Raises TableError if the decisions lack one."""
        found = []
        while len(uids) and self._batch is not None:
            found.append(self._batch.filter(pc.is_in(self._batch["uid"], value_set=uids)))
            uids = uids.filter(pc.invert(pc.is_in(uids, value_set=found[-1]["uid"])))
            if len(uids):  # else this batch may tell of the next partition, too
                self._batch = next(self._left, None)
        if len(uids):
            raise TableError(
                f"{len(uids)} images that leaked from partition {number} are in no decision; "
                "run dedup.py leakage for it again."
            )
        return pa.Table.from_batches(found, DECIDED)


class _Best:
    """Of each image the best of the leaks that come part by part."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []

    def add(self, leaks: pa.Table) -> None:
        """Take in some leaks."""
        self._parts.append(_best(leaks))
        if sum(part.num_rows for part in self._parts) > max(HELD, 2 * self._parts[0].num_rows):
            self._parts = [self.of_all()]

    def of_all(self) -> pa.Table:
        """Those of all parts; at least one has come."""
        return _best(pa.concat_tables(self._parts))


def _best(leaks: pa.Table) -> pa.Table:
    """Of each image the row of the most similar match, of several the one with the smallest uid; in order."""
    order = [("set", "ascending"), ("image_shard", "ascending"), ("image_key", "ascending"), ("image", "ascending")]
    leaks = leaks.sort_by([*order, ("similarity", "descending"), ("match", "ascending")])
    names = _name(leaks)
    first = np.ones(len(names), bool)
    first[1:] = pc.not_equal(names[1:], names[:-1]).to_numpy()
    return leaks.filter(pa.array(first))


def _name(leaks: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(leaks["set"], leaks["image"], " ")


def _cosines(a: np.ndarray, b: np.ndarray, device: str | None) -> np.ndarray:
    """`cosines`, by a device of torch if one is given."""
    if device is None:
        return cosines(a, b)
    import torch  # here, since it takes seconds to import

    pairs = views_compared(a.shape[1], b.shape[1])
    x, y = (torch.from_numpy(vectors).to(device) for vectors in (a, b))
    return reduce(torch.maximum, (x[:, one] @ y[:, other].T for one, other in pairs)).cpu().numpy()
