"""Whether the sets that are compared are what they say: all of their partitions, and of one encoder."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from pycurate.errors import TableError
from pycurate.results.encoder import EncoderIdentity, read_encoder
from pycurate.results.layout import numbers, path_of, paths_of
from pycurate.results.tables import read_summary

log = logging.getLogger(__name__)


def whole(folder: Path, kind: str, reference: bool) -> list[str]:
    """The numbers of a set's partitions, by its files of this kind.

    How many there must be say its partition files, else its summary. A task of the workflow sees neither of the
    set that is curated, all of whose tables come before it. A reference in which neither is found is refused,
    unless its tables state no encoder either: an earlier version or another tool left them, and all that is
    asked is that none is missing between the first and the last. Raises TableError, naming folder and
    partitions, if some are missing, or there are others than those.
    """
    found = numbers(folder, kind)
    wanted = _stated(folder)
    if wanted is None and reference:
        if read_encoder(path_of(folder, "samples", numbers(folder, "samples")[0])):
            raise TableError(
                f"{_shown(folder, reference)} says nowhere how many partitions it has; put the run's summary.json or "
                "its partitions/ beside the tables."
            )
        log.warning("%s says nowhere how many partitions it has; %d are there.", _shown(folder, reference), len(found))
    if wanted is None:
        wanted = set(range(int(found[-1]) + 1))
    for each in (kind, "img_emb") if reference else (kind,):
        there = {int(number) for number in numbers(folder, each)}
        if missing := wanted - there:
            raise TableError(
                f"{_shown(folder, reference)} lacks {len(missing)} of its {len(wanted)} partitions: {each} of "
                f"{_listed(missing)} is not there; let the run that makes it end, or copy all of it."
            )
        if beyond := there - wanted:
            raise TableError(
                f"{_shown(folder, reference)} has {len(wanted)} partitions and {each} of others, {_listed(beyond)}, "
                "which an earlier run left; remove those."
            )
    return found


def one_encoder(
    tables: Iterable[tuple[Path, str, int]], known: EncoderIdentity | None = None
) -> EncoderIdentity | None:
    """The encoder of all sets; None if none states one.

    `tables` are folder, number of the partition and of the reference set, 0 for the set that is curated, which comes
    first. `known`: the curated set's, where that is known already. What states no encoder, since an earlier version
    or another tool left it, is believed to be of the same, with a warning for each reference. Raises TableError for
    any that states another.
    """
    silent: set[Path] = set()
    for folder, number, reference in tables:
        stated = read_encoder(path_of(folder, "samples", number))
        if stated is None:
            if reference and folder not in silent:
                log.warning(
                    "%s does not state its encoder, since an earlier version or another tool left it; it is taken for "
                    "that of the input.",
                    _shown(folder, True),
                )
            silent.add(folder)
        elif known is None:
            known = stated
        elif stated != known:
            raise TableError(
                f"{_shown(folder, reference > 0)} was embedded by {stated} in partition {number}, and what it is "
                f"compared with by {known}; embed both with one encoder."
            )
    return known


def _stated(folder: Path) -> set[int] | None:
    if listed := paths_of(folder, "partitions"):
        return {int(number) for number in listed}
    if path_of(folder, "summary").exists():
        count = read_summary(folder).get("partitions")
        return set(range(count)) if isinstance(count, int) else None
    return None


def _shown(folder: Path, reference: bool) -> str:
    return f"The reference {folder.resolve()}" if reference else f"The input in {folder.resolve()}"


def _listed(missing: set[int], most: int = 3) -> str:
    names: Sequence[str] = [f"{number:05d}" for number in sorted(missing)[:most]]
    return ", ".join(names) + (", ..." if len(missing) > most else "")
