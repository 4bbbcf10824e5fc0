"""Which output tar each kept sample goes to, and the plan that a WRITE task carries out."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.files import atomic
from pycurate.parameters import default_of
from pycurate.results.layout import path_of, paths_of
from pycurate.results.tables import DECISIONS, PLACE, PLAN, samples_of, write_table


@dataclass(frozen=True)
class Layout:
    """How the kept samples are laid out."""

    images_per_tar: int = default_of("images_per_tar")
    tars_per_task: int = default_of("tars_per_task")  # of a WRITE task


def assign_tars(keys: Iterable[str], images_per_tar: int) -> np.ndarray:
    """int64 (n,): the output tar of each kept sample, given their keys in input order.

    A tar takes `images_per_tar` samples and is closed early where the next key is in it already: two samples of one
    key in a tar would be merged or refused by its readers, and another key would not be the sample's own.
    """
    tars = []
    tar, held = 0, set[str]()
    for key in keys:
        if len(held) == images_per_tar or key in held:
            tar, held = tar + 1, set()
        held.add(key)
        tars.append(tar)
    return np.array(tars, dtype=np.int64)


def tar_name(tar: int, tars: int) -> str:
    """The file name of an output tar; all names of a set are equally long, so a brace range can name them."""
    return f"{tar:0{max(5, len(str(tars - 1)))}}.tar"


def plan_output(results: Path, decisions: pa.Table, images_per_tar: int, tars_per_task: int) -> pa.Table:
    """Give each kept sample its output tar, and leave plan/plan_00000.parquet and .tsv for each WRITE task.

    `decisions` has one row per input sample in input order, as `samples/` has. Returns it with `output_shard` filled.
    The .tsv lists the names of the shards that the task reads, one a line.
    """
    kept = decisions["kept"].to_numpy()
    tars = assign_tars(decisions.filter(decisions["kept"])["key"].to_pylist(), images_per_tar)
    count = int(tars[-1]) + 1 if len(tars) else 0
    names = np.array([tar_name(tar, count) for tar in range(count)], dtype=object)
    output = np.full(len(kept), None, dtype=object)
    output[kept] = names[tars] if count else None
    decisions = decisions.set_column(
        decisions.schema.get_field_index("output_shard"), "output_shard", pa.array(output, pa.string())
    )

    places = samples_of(results, decisions, PLACE)
    columns = [name for name in PLAN.names if name in DECISIONS.names]
    scores = [name for name in decisions.column_names if name not in DECISIONS.names]
    plan = decisions.select(columns + scores)
    for name in PLACE:
        plan = plan.append_column(name, places[name])
    plan = plan.select([*PLAN.names, *scores]).filter(decisions["kept"])
    forget_plan(results)
    tasks = tars // tars_per_task
    count_tasks = int(tasks[-1]) + 1 if count else 1  # a plan for nothing, too, is a plan
    width = max(5, len(str(count_tasks - 1)))
    for task, (start, stop) in enumerate(pairwise(np.searchsorted(tasks, np.arange(count_tasks + 1)).tolist())):
        part = plan.slice(start, stop - start)
        number = f"{task:0{width}}"
        write_table(path_of(results, "plan", number), part)
        with atomic(path_of(results, "plan_shards", number)) as temporary:
            temporary.write_text(
                "".join(f"{name}\n" for name in pc.unique(part["shard"]).to_pylist()), encoding="utf-8"
            )
    return decisions


def forget_plan(results: Path) -> None:
    """Remove the plan of an earlier decision."""
    for kind in ("plan", "plan_shards"):
        for old in paths_of(results, kind).values():
            old.unlink()
