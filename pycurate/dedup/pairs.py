"""The pairs of duplicates: what each `match` leaves in a table for its bucket of cells, and DECIDE reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pycurate.errors import TableError, UsageError
from pycurate.results.layout import path_of, paths_of
from pycurate.results.tables import opened, read_table

LIMIT = 8  # duplicates listed per sample and cell; whoever needs more is matched again in DECIDE

PAIRS = pa.schema(
    [
        ("later", pa.int64()),  # number of the worse-ranked sample (see pycurate.dedup.vectors.sample_numbers)
        ("earlier", pa.int64()),  # number of the better-ranked one
        ("similarity", pa.float32()),
        ("exact", pa.bool_()),  # byte-equal images
        ("more", pa.bool_()),  # the list of `later` in this cell is cut here: worse-ranked `earlier` may be missing
        ("cell", pa.int32()),
        ("probe", pa.int8()),  # pair of a probe: 1 found in any case, 2 found only by looking further; 0 of no probe
    ]
)


@dataclass(frozen=True)
class Search:
    """What the pairs of a bucket say of the search that found them, in the metadata of their table.

    `cells` is the identity of the cells, by which searches with like settings are told apart.
    """

    threshold: float
    keep: str
    reach: float
    buckets: int
    cells: str

    def to_metadata(self) -> dict[str, str]:
        """For a table's schema."""
        return {"pycurate": json.dumps(vars(self), sort_keys=True)}

    def facts(self) -> dict[str, Any]:
        """What of it a decision depends on, as plain data: all but how the work was split; and its recall in a word."""
        known = {name: value for name, value in self.stated().items() if name != "buckets"}
        return known | {"recall": "exact" if self.reach == 1 else "fast"}

    def stated(self) -> dict[str, Any]:
        """What dedup.json states of it: all but which cells, of which nobody else knows the identity."""
        return {name: value for name, value in vars(self).items() if name != "cells"}

    @classmethod
    def of(cls, schema: pa.Schema) -> "Search":
        """What the schema of a bucket's table says. Raises TableError if it says nothing."""
        try:
            return cls(**json.loads(schema.metadata[b"pycurate"]))
        except (KeyError, TypeError, ValueError) as error:
            raise TableError("A pairs table lacks the settings of its search; run dedup.py match again.") from error


def read_pairs(results: Path) -> tuple[Search, pa.Table]:
    """The pairs of all buckets, and how they were found. Raises TableError if a bucket's are missing."""
    search = Search.of(_schema(results, 0))
    tables = [read_table(path_of(results, "pairs", f"{bucket:05d}")) for bucket in range(search.buckets)]
    if {Search.of(table.schema) for table in tables} != {search}:
        raise TableError(
            "The pairs of the buckets come from different searches; run dedup.py match again for all of them."
        )
    return search, pa.concat_tables(tables)


def check_pairs(results: Path) -> None:
    """Raise UsageError if a run left no pairs of duplicates."""
    if not paths_of(results, "pairs"):
        raise UsageError(
            f"The run in {results} did not deduplicate, or its pairs were deleted; run the workflow again with "
            "--dedup true and -resume."
        )


def references_metadata(references: Sequence[str]) -> dict[str, str]:
    """For the schema of pairs that were found with these reference sets (`pycurate.dedup.partitions.references_of`)."""
    return {"pycurate.references": " ".join(references)}


def check_references(results: Path, given: Sequence[str]) -> None:
    """Raise TableError if the pairs were not found with the reference sets that are given, in the same order."""
    for bucket in range(Search.of(_schema(results, 0)).buckets):
        stated = (_schema(results, bucket).metadata or {}).get(b"pycurate.references", b"")
        searched = stated.decode(errors="replace").split()
        if searched != list(given):
            raise TableError(
                f"Duplicates in {results.resolve()} were sought with {_unlike(searched, given)}; give every step of "
                "dedup.py and decide.py the same --reference in the same order, and search again if a set has changed."
            )


def _unlike(searched: Sequence[str], given: Sequence[str]) -> str:
    """With which references was searched, as opposed to those that are given."""
    if len(searched) != len(given):
        several = "set" if len(searched) < 2 else "sets"
        return f"{len(searched) or 'no'} reference {several}, but --reference names {len(given) or 'none'}"
    alike = sorted(searched) == sorted(given)
    return f"{'the reference sets in another order' if alike else 'other reference sets'} than --reference names"


def _schema(results: Path, bucket: int) -> pa.Schema:
    with opened(path_of(results, "pairs", f"{bucket:05d}")) as file:
        return file.schema_arrow


@dataclass(frozen=True)
class Found:
    """Duplicates among ranked members: positions `later` > `earlier`, their similarity, and where a list was cut."""

    later: np.ndarray
    earlier: np.ndarray
    similarity: np.ndarray
    more: np.ndarray

    @classmethod
    def of(cls, parts: "list[Found]") -> "Found":
        """All of `parts` in one."""
        empty = cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, bool))
        columns = zip(*((p.later, p.earlier, p.similarity, p.more) for p in [empty, *parts]), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def once(self, samples: np.ndarray) -> "Found":
        """Each pair of samples once, though several of their vectors were found, and one list for each that looked.

        `samples`, int64 (n,), are the members' numbers. A joint list ends where the first of a sample's lists was cut:
        up to there it lacks nothing.
        """
        sort = np.lexsort((self.earlier, samples[self.later]))
        later, earlier, more = samples[self.later[sort]], samples[self.earlier[sort]], self.more[sort]
        new = np.ones(len(sort), bool)
        new[1:] = (later[1:] != later[:-1]) | (earlier[1:] != earlier[:-1])
        starts = np.flatnonzero(new)
        cut = np.logical_or.reduceat(more, starts) if len(starts) else more
        later, chosen = later[starts], sort[starts]
        before = np.cumsum(cut) - cut  # cuts before each pair
        whole = before == before[np.searchsorted(later, later)]  # none of them in the same list
        chosen = chosen[whole]
        return Found(self.later[chosen], self.earlier[chosen], self.similarity[chosen], cut[whole])


def pairs_table(nodes: np.ndarray, found: Found, probe: np.ndarray) -> pa.Table:
    """What was found in one cell, as PAIRS; `probe`, int (n,), says what the nodes are to the measuring of recall."""
    sample, count = nodes["sample"], len(found.later)
    columns = {
        "later": sample[found.later],
        "earlier": sample[found.earlier],
        "similarity": found.similarity,
        "exact": np.zeros(count, bool),
        "more": found.more,
        "cell": nodes["cell"][found.later],
        "probe": np.maximum(probe[found.later], probe[found.earlier]).astype(np.int8),
    }
    return pa.table(columns, schema=PAIRS)


def copies_table(copies: np.ndarray, cell: int) -> pa.Table:
    """The byte-equal ones of a cell, int64 (c, 2) as in Nodes, as PAIRS."""
    count = len(copies)
    columns = {
        "later": copies[:, 0],
        "earlier": copies[:, 1],
        "similarity": np.ones(count, np.float32),
        "exact": np.ones(count, bool),
        "more": np.zeros(count, bool),
        "cell": np.full(count, cell, np.int32),
        "probe": np.zeros(count, np.int8),
    }
    return pa.table(columns, schema=PAIRS)
