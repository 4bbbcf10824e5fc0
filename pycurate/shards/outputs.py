"""Shards that pycurate itself made: what lies among the input is not taken for input."""

import json
import os
from collections.abc import Collection, Iterable
from itertools import takewhile
from pathlib import Path

from pycurate.errors import UsageError

CURATED = "curated"  # the folder of results that holds tars


def without_outputs(
    paths: Iterable[Path], root: Path, outdir: Path | None, work: Path | None
) -> tuple[list[Path], dict[Path, int]]:
    """The shards that are none of pycurate's output, and {folder of output: how many it holds}.

    Output is what lies in `outdir` or in `work` of the run that asks, in `curated` of an earlier run's results, or in
    that of a task's folder. A folder that the user names himself, one at or above `root`, is what he wants, but for
    `curated` of this very `outdir`. Raises UsageError if the input is that.
    """
    top = _real(root)
    own = {_real(folder) for folder in (outdir, work) if folder}
    if outdir:
        if top.is_relative_to(_real(outdir) / CURATED):
            raise UsageError(f"The input is in the curated shards of --outdir {outdir}; choose another --outdir.")
        if top.is_relative_to(_real(outdir)):
            own.add(_real(outdir) / CURATED)
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    kept, left = [], dict[Path, int]()
    for folder, those in folders.items():
        output = _output(_real(folder), top, own)
        if output is None:
            kept += those
        else:
            left[output] = left.get(output, 0) + len(those)
    return kept, left


def _output(folder: Path, top: Path, own: Collection[Path]) -> Path | None:
    """The folder of output, wherever it is, in which a folder of shards lies, or None. Links are resolved."""
    beneath = list(takewhile(lambda place: not top.is_relative_to(place), (folder, *folder.parents)))
    for place in beneath:  # the run's own first, which is one folder and not those of all its tasks
        if place in own:
            return place
    return next((place for place in beneath if place.name == CURATED and _left_by_a_run(place.parent)), None)


def _left_by_a_run(folder: Path) -> bool:
    """Whether a folder is a run's results, or one of the folders in which its tasks worked."""
    if any((folder / name).is_file() for name in ("decisions.parquet", ".command.run")):
        return True
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or none of ours
        return False
    return isinstance(summary, dict) and {"inputs", "kept", "dropped"} <= summary.keys()


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
