"""The manifest: every file that a run left in its folder of results, with its bytes and its SHA-256.

`manifest.tsv` has a line for each, its fields separated by tabs; the first line names them. lib/Published.groovy writes
it at the end of a run, from what each task says that it left (`pycurate.results.costs.record`), so that nothing has to
be read again. It does not list itself, nor what Nextflow writes about the run.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pycurate.errors import TableError
from pycurate.files import atomic, sha256_of
from pycurate.results.layout import KINDS, path_of, paths_of

HEAD = ("name", "bytes", "sha256")

LISTED = tuple(kind for kind in KINDS.values() if kind.stays and kind.name != "manifest")
"""The kinds of files that a manifest lists."""


@dataclass(frozen=True)
class Entry:
    """One file: its path beneath the folder of results with `/` between the parts, its size, 64 hex digits."""

    name: str
    bytes: int
    sha256: str


def entry_of(results: Path, path: Path, sha256: str | None = None) -> Entry:
    """The entry of a file that lies in `results`, which is read unless its SHA-256 is known. Raises OSError."""
    return Entry(path.relative_to(results).as_posix(), path.stat().st_size, sha256 or sha256_of(path))


def left(results: Path, kinds: Iterable[str], number: str = "") -> Iterator[Entry]:
    """The entries of the files of these kinds that are in `results`; with a number, of those that have it."""
    for kind in kinds:
        paths = [path_of(results, kind, number)] if number else paths_of(results, kind).values()
        yield from (entry_of(results, path) for path in paths if path.exists())


def listed(name: str) -> bool:
    """Whether a path beneath a folder of results is that of a file which a manifest lists."""
    top = name.partition("/")[0]
    return any(kind.top == top and kind.number(name) is not None for kind in LISTED)


def names_in(results: Path) -> Iterator[str]:
    """The files of the listed kinds that are in `results`, whoever left them, in no order."""
    for top in dict.fromkeys(kind.top for kind in LISTED):
        place = results / top
        names = (f"{top}/{entry.name}" for entry in os.scandir(place)) if place.is_dir() else iter([top])
        yield from (name for name in names if listed(name) and os.path.lexists(results / name))


def write_manifest(results: Path, entries: Iterable[Entry]) -> None:
    """Write manifest.tsv, in the order of the names."""
    rows = sorted((entry.name, str(entry.bytes), entry.sha256) for entry in entries)
    with atomic(KINDS["manifest"].path(results)) as temporary:
        temporary.write_text("".join("\t".join(row) + "\n" for row in [HEAD, *rows]), encoding="utf-8")


def read_manifest(results: Path) -> dict[str, Entry]:
    """{name: entry}. Raises TableError if there is no manifest, or one that no run wrote."""
    path = KINDS["manifest"].path(results)
    try:
        head, *rows = (tuple(line.split("\t")) for line in path.read_text(encoding="utf-8").splitlines())
        if head != HEAD:
            raise ValueError(f"it begins with {head}")
        entries = {name: Entry(name, int(size), sha256) for name, size, sha256 in rows}
        if strange := next((name for name in entries if not listed(name)), None):
            raise ValueError(f"it lists {strange!r}, which no run writes")
        return entries
    except (OSError, ValueError) as error:
        raise TableError(
            f"{path} cannot be read as a manifest ({error}); give the --outdir of a finished run, "
            "or finish the run with -resume."
        ) from error


def refreshed(results: Path, known: Mapping[str, Entry]) -> Iterator[Entry]:
    """The entries of all files of the listed kinds in `results`; of those, what `known` does not hold is read."""
    for name in names_in(results):
        yield known[name] if name in known else entry_of(results, results / name)
