"""Which output tar each kept sample goes to, and the plan that a WRITE task carries out."""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.files import atomic
from pycurate.parameters import default_of
from pycurate.results.layout import path_of, paths_of
from pycurate.results.tables import DECISIONS, PLACE, PLAN, write_table


@dataclass(frozen=True)
class Layout:
    """How the kept samples are laid out."""

    images_per_tar: int = default_of("images_per_tar")
    tars_per_task: int = default_of("tars_per_task")  # of a WRITE task


def tar_starts(keys: Iterable[str], images_per_tar: int) -> np.ndarray:
    """int64 (tars,): the position of the first sample of each output tar, given the kept samples' keys in input order.

    A tar takes `images_per_tar` samples and is closed early where the next key is in it already: two samples of one
    key in a tar would be merged or refused by its readers, and another key would not be the sample's own.
    """
    starts, held = array("q"), set[str]()
    for position, key in enumerate(keys):
        if not position or len(held) == images_per_tar or key in held:
            starts.append(position)
            held = set()
        held.add(key)
    return np.array(starts, np.int64)


def tar_name(tar: int, tars: int) -> str:
    """The file name of an output tar; all names of a set are equally long, so a brace range can name them."""
    return f"{tar:0{max(5, len(str(tars - 1)))}}.tar"


class Planner:
    """Takes the decisions part by part, as `output_plan` gives it. Holds the plan of one WRITE task."""

    def __init__(self, results: Path, starts: np.ndarray, tars_per_task: int) -> None:
        self._results, self._starts, self._tars_per_task = results, starts, tars_per_task
        # A plan for nothing, too, is a plan.
        self._width = max(5, len(str((max(1, len(starts)) - 1) // tars_per_task)))
        self._kept = 0
        self._task = 0
        self._parts: list[pa.Table] = []

    def add(self, decisions: pa.Table, places: pa.Table) -> pa.Table:
        """The decisions about the next samples, with `output_shard` filled; `places` are PLACE of the same samples."""
        kept = np.asarray(decisions["kept"])
        positions = self._kept + np.arange(np.count_nonzero(kept))
        self._kept += len(positions)
        tars = np.searchsorted(self._starts, positions, side="right") - 1
        output = np.full(len(kept), None, dtype=object)
        used, which = np.unique(tars, return_inverse=True)
        names = np.array([tar_name(tar, len(self._starts)) for tar in used.tolist()], dtype=object)
        output[kept] = names[which]
        at = decisions.schema.get_field_index("output_shard")
        decisions = decisions.set_column(at, "output_shard", pa.array(output, pa.string()))
        self._plan(decisions, places, tars // self._tars_per_task)
        return decisions

    def _plan(self, decisions: pa.Table, places: pa.Table, tasks: np.ndarray) -> None:
        """Add the kept ones to their tasks, int64 (n,)."""
        scores = [name for name in decisions.column_names if name not in DECISIONS.names]
        columns = {name: (places if name in PLACE else decisions)[name] for name in (*PLAN.names, *scores)}
        plan = pa.table(columns).filter(decisions["kept"])
        for task in np.unique(tasks).tolist():
            if task != self._task:
                self.flush()
                self._task = task
            start, stop = np.searchsorted(tasks, [task, task + 1]).tolist()
            self._parts.append(plan.slice(start, stop - start))
        if not self._parts:
            self._parts.append(plan)  # which is empty

    def flush(self) -> None:
        """Write the plan of the task that was filled."""
        plan = pa.concat_tables(self._parts)
        number = f"{self._task:0{self._width}}"
        write_table(path_of(self._results, "plan", number), plan)
        with atomic(path_of(self._results, "plan_shards", number)) as temporary:
            names = pc.unique(plan["shard"]).to_pylist()
            temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        self._parts = []


@contextmanager
def output_plan(results: Path, keys: Iterable[str], layout: Layout) -> Iterator[Planner]:
    """Leave plan/plan_00000.parquet and .tsv for each WRITE task, of the samples that come in the block, one at least.

    `keys` are those of the kept ones among them, in the same order. The .tsv lists the names of the shards that the
    task reads, one a line. By their stats, tars of an earlier plan would pass for those of this one: they go, too.
    """
    forget_plan(results)
    for stats in paths_of(results, "tar_stats").values():
        stats.unlink()
    planner = Planner(results, tar_starts(keys, layout.images_per_tar), layout.tars_per_task)
    yield planner
    planner.flush()


def forget_plan(results: Path) -> None:
    """Remove the plan of an earlier decision."""
    for kind in ("plan", "plan_shards"):
        for old in paths_of(results, kind).values():
            old.unlink()
