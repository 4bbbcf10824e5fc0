"""What other thresholds would keep: the counts behind the report's sliders, exact and of bounded size.

Each score that is filtered is an axis, cut into bins at the stands of its slider. A sample is counted in the cell that
its bins name, unless another filter drops it. The number of possible cells is the product of all numbers of bins, so
only occupied ones are held; and where even these are too many, fewer sliders can be moved at once:

- all of them, if there are at most JOINT scores or the cells of all scores together fit in NUMBERS;
- else any two, if the cells of all pairs fit: those of a pair count the samples that pass the run's thresholds on all
  other scores;
- else any one, counted likewise, which takes one cell for each stand.

Whatever the page says is counted, never interpolated; memory and the page's size follow from the bounds and the number
of scores, not from the number of samples.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pycurate.report.summary import Histogram
from pycurate.results.criteria import Side
from pycurate.results.layout import path_of
from pycurate.results.reasons import KEPT
from pycurate.results.tables import stream
from pycurate.text import shortest

JOINT = 3  # scores that are counted together in any case: about a million cells at most
NUMBERS = 1_000_000  # bins that the cells of more scores may name in all: some 5 MB of page


@dataclass(frozen=True)
class Axis:
    """A score that has a slider.

    Attributes:
        name: of the score, and of the filter's reason.
        keeps: the side of its threshold that the filter keeps.
        edges: float32 (n,), ascending, all stands of the slider. Bin i holds edges[i] <= score < edges[i + 1], bin
            n - 1 what is at least the last, bin n the samples without a score.
        start: the stand of this run: its threshold, or the loosest one where it had none.
        off: whether the run had no threshold. Then `start` keeps every sample.
        missing: whether the filter keeps samples without a score.
    """

    name: str
    keeps: Side
    edges: np.ndarray
    start: int
    off: bool
    missing: bool

    def bins(self, scores: np.ndarray) -> np.ndarray:
        """float (n,) -> uint8 (n,)."""
        found = np.searchsorted(self.edges, scores, side="right") - 1
        return np.where(np.isnan(scores), len(self.edges), found.clip(min=0)).astype(np.uint8)

    def kept(self, stand: int) -> np.ndarray:
        """bool (edges + 1,): whether each bin is kept with the slider at this stand."""
        number = np.arange(len(self.edges) + 1)
        kept = number >= stand if self.keeps.above else number < stand
        kept[-1] = self.missing
        return kept | (self.off and stand == self.start)


@dataclass(frozen=True)
class Counts:
    """Samples by cell.

    Attributes:
        axes: positions of the axes that the cells are made of. On all others a sample passes the run's threshold.
        cells: a uint8 column for each of these, named by its position, with the bin; int64 `passing`, the samples that
            no filter without a slider drops, whatever drops them later, and `kept`, those that the run kept. Sorted by
            bins; none is empty.
    """

    axes: tuple[int, ...]
    cells: pa.Table


@dataclass(frozen=True)
class Sliders:
    """All counts: a table for each choice of `together` axes."""

    axes: list[Axis]
    together: int
    counts: list[Counts]

    def data(self) -> dict[str, Any]:
        """The same as plain lists for the page's script."""
        return {
            "axes": [
                vars(axis) | {"above": axis.keeps.above, "edges": [*map(shortest, axis.edges)]} for axis in self.axes
            ],
            "together": self.together,
            "counts": [
                {
                    "axes": one.axes,
                    "bins": [one.cells[str(axis)].to_pylist() for axis in one.axes],
                    "passing": one.cells["passing"].to_pylist(),
                    "kept": one.cells["kept"].to_pylist(),
                }
                for one in self.counts
            ],
        }


def axes_of(
    spread: Mapping[str, Histogram],
    thresholds: Mapping[str, float],
    sides: Mapping[str, Side],
    lenient: Collection[str],
) -> list[Axis]:
    """An axis for each score of `sides`, which says what side of a threshold stays; `spread` has its edges.

    `lenient` names the scores whose filter keeps samples without one.
    """
    axes = []
    for name, keeps in sides.items():
        if name in spread:
            edges, threshold = spread[name].edges, thresholds.get(name)
            loosest = 0 if keeps.above else len(edges) - 1
            start = loosest if threshold is None else int(np.abs(edges - np.float32(threshold)).argmin())
            axes.append(Axis(name, keeps, edges, start, threshold is None, name in lenient))
    return axes


def sliders(results: Path, axes: Sequence[Axis], later: Collection[str]) -> Sliders:
    """Count the decisions, with as many sliders that move together as the bounds allow (see the module).

    `later` are the reasons of what acts after all filters.
    """
    for together in (len(axes), 2, 1):
        bounded = together > 1 and len(axes) > JOINT
        counts = _count(results, axes, together, NUMBERS // together if bounded else None, later)
        if counts is not None:
            return Sliders(list(axes), together, counts)
    raise AssertionError("counts of single scores have no bound")


def _count(
    results: Path, axes: Sequence[Axis], together: int, most: int | None, later: Collection[str]
) -> list[Counts] | None:
    """A table for each choice of `together` axes; None as soon as they have more than `most` cells in all."""
    tables = {chosen: _Cells(chosen) for chosen in combinations(range(len(axes)), together) if chosen}
    reasons = [KEPT, *later, *(axis.name for axis in axes)]
    passed = [axis.kept(axis.start) for axis in axes]
    for batch in stream(path_of(results, "decisions"), [*(axis.name for axis in axes), "kept", "reason"]):
        reason = batch["reason"].to_numpy(zero_copy_only=False)
        bins = [axis.bins(batch[axis.name].to_numpy(zero_copy_only=False)) for axis in axes]
        known = np.isin(reason, reasons)
        for axis, kept, column in zip(axes, passed, bins, strict=True):
            known &= ~((reason == axis.name) & kept[column])  # another filter of this name dropped it
        bins = [column[known] for column in bins]
        keeps = batch["kept"].to_numpy(zero_copy_only=False)[known].astype(np.int64)
        fails = [~kept[column] for kept, column in zip(passed, bins, strict=True)]
        failed = np.sum(fails, axis=0) if fails else np.zeros(len(keeps), int)
        size = 0
        for chosen, cells in tables.items():
            here = failed == sum(fails[axis] for axis in chosen)
            cells.add([bins[axis][here] for axis in chosen], keeps[here])
            size += cells.size(most)
            if most is not None and size > most:
                return None
    return [Counts(chosen, cells.table()) for chosen, cells in tables.items()]


class _Cells:
    """The occupied cells of some axes, added up as samples come: memory for twice the cells and one batch."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        self._names = [str(axis) for axis in axes]
        kinds = [(name, pa.uint8()) for name in self._names] + [("passing", pa.int64()), ("kept", pa.int64())]
        self._schema = pa.schema(kinds)
        self._sum, self._new = self._schema.empty_table(), self._schema.empty_table()

    def add(self, bins: list[np.ndarray], kept: np.ndarray) -> None:
        """uint8 (n,) for each axis, and int64 (n,), 1 for a sample that the run kept."""
        batch = self._added(pa.table([*bins, np.ones(len(kept), np.int64), kept], schema=self._schema))
        self._new = pa.concat_tables([self._new, batch])
        if self._new.num_rows >= self._sum.num_rows:
            self._merge()

    def size(self, most: int | None) -> int:
        """How many cells there are; where that is fewer than `most`, it may be too many."""
        if most is not None and self._sum.num_rows + self._new.num_rows > most:
            self._merge()
        return self._sum.num_rows + self._new.num_rows

    def table(self) -> pa.Table:
        """All cells, sorted."""
        self._merge()
        return self._sum.sort_by([(name, "ascending") for name in self._names])

    def _merge(self) -> None:
        self._sum, self._new = self._added(pa.concat_tables([self._sum, self._new])), self._schema.empty_table()

    def _added(self, table: pa.Table) -> pa.Table:
        groups = table.group_by(self._names).aggregate([("passing", "sum"), ("kept", "sum")])
        return groups.select([*self._names, "passing_sum", "kept_sum"]).rename_columns(self._schema.names)
