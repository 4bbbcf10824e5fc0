"""Other decisions from a finished run's tables: new thresholds on scores and pairs that are there already."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pycurate.dedup.pairs import check_pairs
from pycurate.dedup.partitions import sources_of
from pycurate.errors import TableError, UsageError
from pycurate.files import write_json
from pycurate.filters.filtering import BALANCE, LISTS, Filtering
from pycurate.report.examples import select_examples
from pycurate.report.selection import selection
from pycurate.results.criteria import Criteria, read_criteria, write_criteria
from pycurate.results.layout import INFO, PARAMETERS, STAGES, entries, path_of, paths_of
from pycurate.results.manifest import Entry, entry_of, listed, names_in, read_manifest, refreshed, write_manifest
from pycurate.results.plan import Layout
from pycurate.results.tables import decided, read_summary, side_by_side, stream
from pycurate.stages.decide import decide
from pycurate.stages.report import Setup, write_report
from pycurate.stages.write import write_curated

TABLES = entries(STAGES[: STAGES.index("DECIDE")])
"""What stays as it is, whatever is decided: folders."""

MADE = entries(STAGES[STAGES.index("DECIDE") :])
"""What is made anew, files and folders; the summary last, which says that all is there."""


@dataclass(frozen=True)
class Change:
    """What a new decision changes.

    Attributes:
        before, after: {reason: samples}.
        gained, lost: how many samples change sides.
        selection: sentences about what the best came to (pycurate.report.selection).
    """

    before: dict[str, int]
    after: dict[str, int]
    gained: int
    lost: int
    selection: list[str]


@dataclass(frozen=True)
class Wanted:
    """What is to decide: filters, whether duplicates are dropped, the output; the pairs are those of the run."""

    filtering: Filtering
    dedup: bool
    layout: Layout


def preview(results: Path, wanted: Wanted) -> Change:
    """What these would change; nothing in `results` is touched. Raises what `remake` raises."""
    with tempfile.TemporaryDirectory(prefix="pycurate-") as name:
        work = Path(name)
        with _named_as_given(work, results):
            _link_tables(results, work)
            _decide(results, work, wanted)
            return _change(results, work)


def remake(results: Path, wanted: Wanted, target: Path) -> Change:
    """Decide anew, and write the curated set, the tables about it, summary and report to `target`.

    `target` is a new folder, which gets the tables of `results` too (as hard links where it can be), or `results`
    itself, where what was decided before is then replaced at the end. The shards must be where they were.

    Raises UsageError for a folder that is in use, a filter on a score that is not there or duplicates that were not
    sought, ShardError if a shard is gone or changed, TableError, LedgerError.
    """
    here = target.resolve() == results.resolve()
    if not here and target.exists() and any(target.iterdir()):
        raise UsageError(f"{target} is not empty; give a new folder, or {results} itself to replace its contents.")
    summary = read_summary(results)
    with _folder(target), _workplace(target) as work, _named_as_given(work, results):
        _link_tables(results, work)
        for stage in summary["stages"]:
            write_json(path_of(work, "times", f"{stage['name']}_00000"), stage)
        _decide(results, work, wanted)
        change = _change(results, work)
        indexed = bool(paths_of(results, "tar_indices"))  # what scripts left says so in no other way
        written = write_curated(work, dali_index=summary["parameters"].get("dali_index", indexed))
        select_examples(work)
        parameters = _parameters(summary["parameters"], read_criteria(work))
        write_report(work, Setup(parameters, summary["weights"]), summary["partitions"])
        write_manifest(work, _entries(results, work, written, here))
        if not here:
            _take_tables(results, work / "tables", target)
        put_in_place(work, target)
        (target / PARAMETERS).unlink(missing_ok=True)  # which decided otherwise
    return change


def _parameters(run: Mapping[str, Any], criteria: Criteria) -> dict[str, Any]:
    """Those of a `run` of the workflow, as if these had decided it; paths are found from anywhere."""
    found = {name: value for name, value in run.items() if name not in (*LISTS, *BALANCE)}  # which may be off by now
    found |= Filtering.of_criteria(criteria).parameters() | asdict(criteria.layout or Layout())
    found |= {"write": criteria.layout is not None, "dedup": criteria.search is not None}
    return found | ({"dedup_threshold": criteria.search["threshold"]} if criteria.search else {})


def _entries(results: Path, work: Path, written: Iterable[Entry], here: bool) -> Iterator[Entry]:
    """The manifest of what `work` becomes: the tables' entries are those of the run, if it left a manifest."""
    about = (name for name in names_in(results) if name.startswith(f"{INFO}/"))
    without = {name: entry_of(results, results / name) for name in about}
    run = read_manifest(results) if path_of(results, "manifest").exists() else without
    known = {name: entry for name, entry in run.items() if name.partition("/")[0] in TABLES}
    whole = refreshed(work, known | {entry.name: entry for entry in written})
    yield from (entry for entry in whole if not entry.name.startswith(f"{INFO}/"))
    if here:  # how the run went stays
        yield from (entry for name, entry in run.items() if name.startswith(f"{INFO}/"))


def _decide(results: Path, work: Path, wanted: Wanted) -> None:
    if wanted.dedup:
        check_pairs(results)
    references = read_criteria(results).references
    sources = sources_of(work, _folders(references) if wanted.dedup else ())
    decide(work, sources, wanted.filtering, wanted.layout, wanted.dedup)
    if not wanted.dedup:  # then a reference decides nothing, and need not be there; but the next may ask for duplicates
        write_criteria(work, replace(read_criteria(work), references=references))


def _folders(references: Iterable[str]) -> list[Path]:
    """The reference sets of the run. Raises UsageError if one is not there as tables."""
    folders = [Path(name) for name in references]
    for folder in folders:
        if not paths_of(folder, "samples"):
            raise UsageError(f"The reference {folder} is not a results folder; use the workflow with -resume instead.")
    return folders


def _change(results: Path, work: Path) -> Change:
    gained = lost = 0
    tables = (stream(path_of(folder, "decisions"), ["uid", "kept"]) for folder in (results, work))
    for before, after in side_by_side(*tables):
        if before is None or after is None or not before["uid"].equals(after["uid"]):
            raise TableError(f"The decisions of {results} do not match its samples; run the workflow again.")
        old, new = (np.asarray(pc.fill_null(batch["kept"], False)) for batch in (before, after))
        gained, lost = gained + int((new & ~old).sum()), lost + int((old & ~new).sum())
    return Change(decided(results), decided(work), gained, lost, selection(read_criteria(work)))


def _link_tables(results: Path, work: Path) -> None:
    for name in TABLES:
        if (results / name).is_dir():
            (work / name).symlink_to((results / name).resolve())


@contextmanager
def _named_as_given(work: Path, results: Path) -> Iterator[None]:
    """Let a fault of tables that `work` only links to name those in `results`: `work` is gone when that is read."""
    try:
        yield
    except TableError as error:
        text = str(error).replace(str(work.resolve()), str(results.resolve()))
        raise TableError(text.replace(str(work), str(results))) from error


@contextmanager
def _folder(target: Path) -> Iterator[None]:
    """Let the folder be there, and what had to be made of its path be gone again if the call is refused."""
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    target.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except UsageError:
        with suppress(OSError):  # somebody else uses it meanwhile
            for folder in made:
                folder.rmdir()
        raise


@contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """A folder within `target`, so that what is made there can be renamed to its place.

    By its name the next run knows what a killed process left, and removes it (lib/Published.groovy).
    """
    work = target / f".pycurate-{secrets.token_hex(8)}.tmp"
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work)


def put_in_place(work: Path, target: Path) -> None:
    """Put what was made in its place, and what it replaces away; all of it or nothing.

    The old summary goes first and the new one comes last, so that nobody takes a mixture for results.
    """
    old = work / "old"
    old.mkdir()
    try:
        for name in reversed(MADE):
            if (target / name).exists():
                (target / name).rename(old / name)
        for name in MADE:
            if (work / name).exists():
                (work / name).rename(target / name)
    except BaseException:
        for name in MADE:
            if (old / name).exists():
                if (target / name).exists():
                    (target / name).rename(work / name)
                (old / name).rename(target / name)
        raise
    for folder in old.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            _give_back(folder, target / folder.name)


def _give_back(old: Path, new: Path) -> None:
    """Move what a person put in a folder of results from the old one to the new one: files that no run leaves."""
    for path in old.iterdir():
        if not listed(f"{new.name}/{path.name}") and not path.name.startswith(".pycurate-"):
            new.mkdir(exist_ok=True)
            path.rename(new / path.name)


def _take_tables(results: Path, work: Path, target: Path) -> None:
    """Let `target`, a new folder, have the tables of `results`: all of them or, where the disk is full, none."""
    for name in TABLES:
        for path in (results / name).rglob("*"):
            copy = work / path.relative_to(results)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_dir():
                _link_or_copy(path, copy)
    for folder in work.iterdir():
        folder.rename(target / folder.name)


def _link_or_copy(source: Path, target: Path) -> None:
    """A hard link to what may be a symbolic one, or a copy where the file systems differ or links are forbidden."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copy2(source, target)
