"""What became of each concept: whether a filter, or dropping duplicates, shifted a group."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycurate.results.comparisons import CONCEPT
from pycurate.results.interval import wilson
from pycurate.results.layout import path_of
from pycurate.results.tables import stream


@dataclass(frozen=True)
class Share:
    """A concept before and after.

    Attributes:
        name: of the concept.
        threshold: the score from which a sample belongs to it.
        members, kept: how many readable samples do, and how many of them are kept.
        others, others_kept: the same of the other readable samples.
        low, high: 95 % interval of the share kept, by Wilson; None without members.
        shifted: whether the share kept of the others lies outside of it.
    """

    name: str
    threshold: float
    members: int
    kept: int
    others: int
    others_kept: int
    low: float | None = None
    high: float | None = None
    shifted: bool = False

    @classmethod
    def of(cls, name: str, threshold: float, counts: np.ndarray) -> "Share":
        """By int (2, 2): of others and of members, how many are dropped and kept."""
        (_, others_kept), (_, kept) = counts.tolist()
        others, members = counts.sum(axis=1).tolist()
        if not members:
            return cls(name, threshold, members, kept, others, others_kept)
        low, high = wilson(kept / members, members)
        shifted = bool(others) and not low <= others_kept / others <= high
        return cls(name, threshold, members, kept, others, others_kept, low, high, shifted)


def concept_shares(results: Path, thresholds: Mapping[str, float]) -> list[Share]:
    """A Share for each concept; `thresholds` are by column, as decisions.json states them."""
    counts = {column: np.zeros(4, np.int64) for column in thresholds}
    for batch in stream(path_of(results, "decisions"), [*thresholds, "kept"]) if thresholds else ():
        kept = batch["kept"].to_numpy(zero_copy_only=False)
        for column, threshold in thresholds.items():
            values = batch[column].to_numpy(zero_copy_only=False)
            known = np.isfinite(values)
            member = values[known] >= np.float32(threshold)
            counts[column] += np.bincount(2 * member + kept[known], minlength=4)
    return [
        Share.of(column.removeprefix(CONCEPT), thresholds[column], table.reshape(2, 2))
        for column, table in counts.items()
    ]
