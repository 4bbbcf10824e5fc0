"""The duplicates within one cell, never in quadratic memory or output.

A cell holds members that are at home in it and visitors. Two visitors need not be compared: they meet where one of
them is at home (see `pycurate.cells`). Members are ranked, best first, and each looks for duplicates among the better
ones in that order and stops after `limit`. A group of g near-copies so costs g * limit pairs at most, and, as their
best ones stand in the first block, g times one block of products.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from pycurate.order import ORDER, best_first

SLACK = 1.2e-3  # what rounding keys to float16 may take from a product: 2 * 2^-11, and what float32 adds
BLOCK = 1024  # rows and columns of one product: 4 MiB of float32, about what a core's cache holds

PAIRS = pa.schema(
    [
        ("later", pa.int64()),  # number of the worse-ranked sample (see pycurate.vectors.sample_numbers)
        ("earlier", pa.int64()),  # number of the better-ranked one
        ("similarity", pa.float32()),
        ("exact", pa.bool_()),  # byte-equal images
        ("more", pa.bool_()),  # the list of `later` in this cell is cut here: worse-ranked `earlier` may be missing
        ("cell", pa.int32()),
    ]
)

# Gives the similarity, float32 (n,), of members i with members j, both int64 (n,).
Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]


def member_dtype(dim: int) -> np.dtype:
    """One visit of a sample to a cell, with its key of `dim` numbers (see `pycurate.cells.Cells.keys`)."""
    return np.dtype(
        [
            ("cell", "<i4"),
            ("home", "?"),
            ("probe", "?"),  # a visit made to measure recall only
            ("sample", "<i8"),
            ("order", ORDER),
            ("content", "<u8", (2,)),  # the first 128 bits of the image's SHA-256
            ("key", "<f2", (dim,)),
        ]
    )


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


def neighbours(
    keys: torch.Tensor,
    rows: np.ndarray,
    columns: np.ndarray,
    floor: float,
    threshold: float,
    limit: int,
    compare: Compare,
) -> Found:
    """For each of `rows`, the first `limit` of `columns` before it that are duplicates of it.

    Args:
        keys: float32 (n, dim), members best first. The product of two keys is at least `floor` if they are duplicates.
        rows: int64, ascending positions of the members that look for duplicates.
        columns: int64, ascending positions of the members that they look among.
        floor: products below it are passed over.
        threshold: pairs whose compared similarity is at least this (as float32) are duplicates.
        limit: of duplicates per row.
        compare: gives the similarity that counts.

    Costs products of len(rows) * len(columns) / 2 at most, and memory for one block of them.
    """
    row_keys, column_keys = (keys[torch.from_numpy(which).to(keys.device)] for which in (rows, columns))
    found = []
    for row_start in range(0, len(rows), BLOCK):
        block = rows[row_start : row_start + BLOCK]
        count = np.zeros(len(block), np.int64)
        last = np.full(len(block), -1)
        parts = []
        for start in range(0, int(np.searchsorted(columns, block[-1])), BLOCK):
            others = columns[start : start + BLOCK]
            active = np.flatnonzero((count < limit) & (block > others[0]))
            if not len(active):
                break
            block_keys = row_keys[row_start : row_start + BLOCK]
            if len(active) < len(block):
                block_keys = block_keys[torch.from_numpy(active).to(keys.device)]
            products = block_keys @ column_keys[start : start + BLOCK].T
            hits = torch.nonzero(products.amax(dim=1) >= floor).flatten()
            if not len(hits):
                continue
            places = torch.nonzero(products[hits] >= floor, as_tuple=True)
            i, j = active[hits[places[0]].cpu().numpy()], others[places[1].cpu().numpy()]
            before = j < block[i]
            i, j, alike = _first(i[before], j[before], block, limit - count, compare, threshold)
            parts.append((i, j, alike))
            count += np.bincount(i, minlength=len(block))
            last[i] = j  # in ascending order of j within each i: the last one stays
        if parts:
            i, j, alike = (np.concatenate(column) for column in zip(*parts, strict=True))
            found.append(Found(block[i], j, alike, (count[i] >= limit) & (j == last[i])))
    return Found.of(found)


def _first(
    i: np.ndarray, j: np.ndarray, block: np.ndarray, room: np.ndarray, compare: Compare, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first room[i] duplicates of block[i] among candidates (i, j), sorted; little more is compared than needed."""
    number = np.bincount(i, minlength=len(room))
    start = np.cumsum(number) - number
    room, done = room.copy(), np.zeros_like(number)
    parts = []
    while (take := np.where(room > 0, np.minimum(number - done, 2 * room), 0)).any():
        of = np.repeat(np.arange(len(take)), take)
        place = np.arange(len(of)) - np.repeat(np.cumsum(take) - take, take)
        chosen = (start + done)[of] + place
        alike = compare(block[i[chosen]], j[chosen])
        good = np.flatnonzero(alike >= np.float32(threshold))
        of, chosen, alike = of[good], chosen[good], alike[good]
        confirmed = np.bincount(of, minlength=len(room))
        nth = np.arange(len(of)) - np.repeat(np.cumsum(confirmed) - confirmed, confirmed)
        wanted = nth < room[of]
        parts.append((i[chosen[wanted]], j[chosen[wanted]], alike[wanted]))
        room -= np.minimum(confirmed, room)
        done += take
    if not parts:
        return i[:0], j[:0], np.zeros(0, np.float32)
    i, j, alike = (np.concatenate(column) for column in zip(*parts, strict=True))
    sort = np.lexsort((j, i))
    return i[sort], j[sort], alike[sort]


@dataclass(frozen=True)
class Nodes:
    """The different images of a cell, best first: byte-equal members stand together under the best of them."""

    members: np.ndarray  # member_dtype (n,): the best of each; `home` and `probe` are true if they are of any / all
    copies: np.ndarray  # int64 (c, 2): numbers of samples at home here, and of the best byte-equal one


def nodes_of(members: np.ndarray) -> Nodes:
    """Join byte-equal members of one cell."""
    members = members[best_first(members["order"])]
    content = members["content"]
    sort = np.lexsort((content[:, 1], content[:, 0]))  # stable: the best of equals stays first
    new = np.ones(len(sort), bool)
    new[1:] = (content[sort[1:]] != content[sort[:-1]]).any(axis=1)
    starts = np.flatnonzero(new)
    best = sort[starts]
    leader = np.empty(len(members), np.int64)
    leader[sort] = np.repeat(best, np.diff(starts, append=len(sort)))
    copy = np.flatnonzero((leader != np.arange(len(members))) & members["home"] & members["order"]["new"])
    nodes = members[best]
    if len(starts):
        nodes["home"] = np.logical_or.reduceat(members["home"][sort], starts)
        nodes["probe"] = np.logical_and.reduceat(members["probe"][sort], starts)
    sample = members["sample"]
    return Nodes(nodes[np.argsort(best)], np.stack([sample[copy], sample[leader[copy]]], axis=1))


def match_nodes(
    nodes: np.ndarray, rows: np.ndarray, threshold: float, limit: int, compare: Compare, device: str
) -> Found:
    """Duplicates of the nodes of one cell among the better ones, by position.

    Args:
        nodes: member_dtype (n,), best first.
        rows: bool (n,): which look for duplicates; references and vectors without a direction never do.
        threshold, limit: as for `neighbours`.
        compare: similarity of samples by their numbers.
        device: of torch, where products are made.
    """
    alive = nodes["key"].any(axis=1)
    home = nodes["home"]
    rows = rows & alive & nodes["order"]["new"]
    keys = torch.from_numpy(nodes["key"].astype(np.float32)).to(device)

    def by_position(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return compare(nodes["sample"][i], nodes["sample"][j])

    kinds = ((rows & home, alive), (rows & ~home, alive & home))
    return Found.of(
        [
            neighbours(
                keys, np.flatnonzero(seek), np.flatnonzero(among), threshold - SLACK, threshold, limit, by_position
            )
            for seek, among in kinds
        ]
    )


def pairs_table(nodes: np.ndarray, found: Found, copies: np.ndarray, cell: int) -> pa.Table:
    """What was found in one cell, as PAIRS."""
    exact = np.arange(len(found.later) + len(copies)) >= len(found.later)
    sample = nodes["sample"]
    return pa.table(
        [
            np.concatenate([sample[found.later], copies[:, 0]]),
            np.concatenate([sample[found.earlier], copies[:, 1]]),
            np.concatenate([found.similarity, np.ones(len(copies), np.float32)]),
            exact,
            np.concatenate([found.more, np.zeros(len(copies), bool)]),
            np.full(len(exact), cell, np.int32),
        ],
        schema=PAIRS,
    )
