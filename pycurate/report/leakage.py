"""How many images of evaluation sets are in the input, and how many of these were kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.results.layout import path_of
from pycurate.results.tables import read_table
from pycurate.text import count_of


def leakage(results: Path) -> list[dict[str, Any]]:
    """Of each set its name, how many images it has, and `at`: of each threshold, how many of them have a match in the
    input that is at least as similar, which share that is, and how many have one that is kept.

    Empty where no sets were compared.
    """
    path = path_of(results, "leakage")
    if not path.exists():
        return []
    table = read_table(path)
    thresholds = json.loads(table.schema.metadata[b"thresholds"])
    found = []
    for name in pc.unique(table["set"]).to_pylist():
        images = table.filter(pc.equal(table["set"], name))
        at = []
        for threshold in thresholds:
            leaked, kept = (_reach(images[column], threshold) for column in ("similarity", "kept_similarity"))
            at.append({"threshold": threshold, "leaked": leaked, "share": leaked / images.num_rows, "kept": kept})
        found.append({"set": name, "images": images.num_rows, "at": at})
    return found


def sentences(found: list[dict[str, Any]]) -> list[str]:
    """One for each set, at the duplicate threshold, which is the middle one."""
    said = []
    for one in found:
        at = one["at"][1]
        said.append(
            f"Of {count_of(one['images'], 'image')} of {one['set']}, {at['leaked']:,} are in the input and "
            f"{at['kept']:,} in what was kept (cosine at least {at['threshold']:g})."
        )
    return said


def _reach(similarity: pa.ChunkedArray, threshold: float) -> int:
    return int(pc.sum(pc.greater_equal(similarity, np.float32(threshold))).as_py() or 0)
