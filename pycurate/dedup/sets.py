"""Checks that the sets that are compared are complete and were embedded by the same encoder."""

import hashlib
import json
import logging
from collections.abc import Iterable, Set
from dataclasses import replace
from pathlib import Path

from pycurate.errors import TableError
from pycurate.results.encoder import EncoderIdentity, read_encoder
from pycurate.results.layout import numbers, path_of, paths_of
from pycurate.results.tables import opened, read_summary

log = logging.getLogger(__name__)


def whole(folder: Path, by: str, embeddings: str, reference: bool) -> list[str]:
    """The numbers of a set's partitions, by its files of the kind `by`; `embeddings` is the kind that is compared.

    Its partition files, or else its summary, say how many there must be. A task of the workflow receives neither for
    the set that is curated, whose tables are all written before it starts. A reference with neither is refused, unless
    its tables record no encoder either: then an earlier version or another tool wrote them, and only gaps are refused.

    Raises TableError, naming folder and partitions, if some are missing or unexpected, or a reference has no such
    embeddings.
    """
    found = numbers(folder, by)
    shown = _shown(folder, reference)
    expected = _stated(folder)
    if expected is None:
        if reference and read_encoder(path_of(folder, "samples", numbers(folder, "samples")[0]), embeddings):
            raise TableError(
                f"{shown} does not say how many partitions it has; put the run's summary.json or its partitions/ "
                "next to the tables."
            )
        expected = set(range(int(found[-1]) + 1))
    if reference and not paths_of(folder, embeddings):
        raise TableError(
            f"{shown} has no {embeddings}, which the input is compared by; embed both with the same --dedup_encoder "
            "and --dedup_views."
        )
    for each in (by, embeddings) if reference else (by,):
        _compare(shown, each, _there(folder, each), expected)
    return found


def check_folder(folder: Path) -> None:
    """Raise TableError, naming what is missing, if an embedding folder of any tool lacks files of img_emb.

    This is known of files that are numbered as by clip-retrieval (`img_emb_0.npy`, ...): from 0 to the last number of
    embeddings or metadata, or as many as a run of pycurate recorded. Where its tables state encoders, also raises
    TableError if they are not the same.
    """
    there = _there(folder, "img_emb")
    if there:
        last = max(there | _there(folder, "metadata"))
        _compare(f"The folder {folder.resolve()}", "img_emb", there, _stated(folder) or set(range(last + 1)))
    one_encoder(((folder, number, False) for number in paths_of(folder, "samples")), "img_emb")


def one_encoder(tables: Iterable[tuple[Path, str, bool]], embeddings: str) -> None:
    """Raise TableError if the sets have embeddings of this kind by different encoders.

    `tables` are folder, number of the partition and whether it is of a reference; those of the set that is curated come
    first. Sets that record no encoder, since an earlier version or another tool wrote them, are assumed to have
    the same one, with a warning for each reference. Embeddings of one encoder in several precisions are compared, with
    a warning.
    """
    known: EncoderIdentity | None = None
    silent: set[Path] = set()
    precisions: dict[str, str] = {}
    for folder, number, reference in tables:
        stated = read_encoder(path_of(folder, "samples", number), embeddings)
        if stated and stated.precision:
            precisions.setdefault(stated.precision, f"{_shown(folder, reference)}, partition {number}")
        if stated is None:
            if reference and folder not in silent:
                log.warning(
                    "%s does not record its encoder, since an earlier version or another tool wrote it; it is assumed "
                    "to be that of the input.",
                    _shown(folder, reference),
                )
            silent.add(folder)
        elif known is None:
            known = stated
        elif stated != known:
            same = "--dedup_views" if replace(stated, views=known.views) == known else "encoder"
            raise TableError(
                f"{_shown(folder, reference)} was embedded by {stated} in partition {number}, but the set "
                f"that it is compared with by {known}; embed both with the same {same}."
            )
    if len(precisions) > 1:
        log.warning(
            "Embeddings of different precision are compared: %s; use the same --precision for all.",
            "; ".join(f"{name} ({place})" for name, place in sorted(precisions.items())),
        )


def identity(samples: Iterable[Path]) -> str:
    """What tells a set, whose samples tables these are, from others: 64 hex digits.

    The names of its partitions, their rows, and the first and last uid and SHA-256 of each: what tables say without
    being read. Where they lie is no part of it, since tasks see a set under other names. Raises TableError if a table
    is missing or cut.
    """
    facts = []
    for path in samples:
        with opened(path) as file:
            groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
            columns = [group.column(at) for group in groups for at in range(group.num_columns)]
            known = [one.statistics for one in columns if one.path_in_schema in ("uid", "sha256")]
            ends = [(one.min, one.max) if one and one.has_min_max else None for one in known]
            facts.append((path.name, file.metadata.num_rows, ends))
    return hashlib.sha256(json.dumps(facts, default=repr).encode()).hexdigest()


def _compare(shown: str, kind: str, there: Set[int], expected: Set[int]) -> None:
    if missing := expected - there:
        raise TableError(
            f"{shown} lacks {len(missing)} of its {len(expected)} partitions: no {kind} file for "
            f"{_listed(missing)}; let the run that writes it finish, or copy all of it."
        )
    if beyond := there - expected:
        raise TableError(
            f"{shown} has {len(expected)} partitions, but also {kind} files for {_listed(beyond)}, left by an earlier "
            "run; remove those files."
        )


def _there(folder: Path, kind: str) -> set[int]:
    return {int(number) for number in paths_of(folder, kind)}


def _listed(partitions: Set[int], most: int = 3) -> str:
    names = [f"{number:05d}" for number in sorted(partitions)[:most]]
    return ", ".join(names) + (", ..." if len(partitions) > most else "")


def _stated(folder: Path) -> set[int] | None:
    if partitions := paths_of(folder, "partitions"):
        return set(range(1 + max(map(int, partitions))))
    if path_of(folder, "summary").exists():
        count = read_summary(folder).get("partitions")
        return set(range(count)) if isinstance(count, int) else None
    return None


def _shown(folder: Path, reference: bool) -> str:
    return f"The reference {folder.resolve()}" if reference else f"The input in {folder.resolve()}"
