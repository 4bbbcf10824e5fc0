"""Cells that let the search for duplicates fan out and lose none, and keys that make it cheap and lose none.

**Keys.** The vectors' directions of greatest spread, found on a sample, are the columns of a matrix P. The key of a
vector x of length 1 is (P'x, |x - PP'x|): its coordinates in those directions, and the length of what they leave out.
By Cauchy-Schwarz on the part left out, key(x).key(y) >= x.y, and a key has length 1, so two keys are never farther
apart than their vectors. What holds for keys of all pairs within a distance therefore holds for all pairs of vectors
within it: no duplicate is lost by looking for it among keys, which have a fraction of the numbers, as long as what
is found is then compared in full.

**Cells.** Two vectors are duplicates when their cosine is at least t, that is when their distance is at most
d = sqrt(2 - 2t). Each cell has a centre. A key x is at home in the cell A whose centre is nearest, and visits each
cell B for which

    h(x) = (|x - cB|^2 - |x - cA|^2) / (2 |cA - cB|) <= d / 2.

Proof that every duplicate pair meets where one of the two is at home: let x be at home in A and y in B. h is the
signed distance from the plane half-way between the centres, so |h(x) - h(y)| <= |x - y| <= d. If neither visited the
other's cell, h(x) > d/2 and, seen from y, -h(y) > d/2, so h(x) - h(y) > d: a contradiction. Nothing in it asks that A
be the nearest centre, so a home chosen by rounding, or centres of any quality, cost time and never a pair.

**Rounding.** h(x) <= w is asked as x.cB - |cB|^2/2 + w |cA - cB| >= x.cA - |cA|^2/2, in float32. A product of n
numbers, summed in any order, with or without fused multiplication, is off by at most n u |x| |y|, u = 2^-24 (Higham,
Accuracy and Stability of Numerical Algorithms, 2002, 3.1; `products.product_device` has torch make no TF32 of it). Keys
and centres are no longer than 1.01, so the two sides are off by 1.5 n u each, and |cA - cB|^2, computed from products,
by 4 n u. `rounding` is more than either sum: added to the one side and to the square of the distance, it has every cell
visited that exact arithmetic would visit. That holds for whatever centre was taken for A. Which of two is nearer by
less than the rounding may be answered otherwise by another processor, library or block size; but each key is assigned
once, the answer is stored with its visits, and the proof asks for no more. Centres are computed once, too, and stored.

Keys are made in float32, too, and stored in float16, with an error below 2^-11 of each number. Their coordinates and
the square of what these leave out are off by less than 1e-5. The length left out may be off by more, as the root of a
number near 0 is; but roots differ by no more than the root of what their squares differ by, so on squares of distances
that makes 2e-5. WIDEN, ROUNDED and `pycurate.dedup.keys.SLACK` exceed what these can add up to.

**Fast mode** visits within a fraction of d/2 only. To measure what that loses, a fraction of the samples, the probes,
also pay visits within d to every cell. A probe at home in A meets every duplicate of its in that one's home B, because
h(y) <= 0 there and so h(x) <= d. The duplicates that probes find on all visits, and on those of fast mode, give the
recall.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycurate.errors import TableError
from pycurate.files import atomic
from pycurate.results.tables import DAMAGED

if TYPE_CHECKING:  # it takes seconds to import, and one cell needs no more than Cells
    import torch

ROUNDED = 3e-5  # on squares of distances, for the lengths left out; and similarities are compared as float32
WIDEN = 1e-4  # on distances
IN_CACHE = 1 << 19  # numbers of a block of products that a core's cache holds


@dataclass(frozen=True)
class Cells:
    """What `train` decides, and every later step of DEDUP abides by.

    Attributes:
        threshold: cosine from which on two samples are duplicates.
        keep: policy that ranks samples (see `pycurate.dedup.rank`).
        reach: fraction of d/2 within which a key visits a cell: 1 in exact mode.
        directions: float32 (dim, k), orthonormal columns; k = dim means that keys are the vectors themselves.
        centres: float32 (cells, key dim).
        buckets: int64 (buckets + 1,): bucket b is the cells from buckets[b] up to buckets[b + 1].
        shards: names of all shards in order, for the policy `first`; empty for others.
        kind: of the embeddings that are compared (pycurate.results.layout).
    """

    threshold: float
    keep: str
    reach: float
    directions: np.ndarray
    centres: np.ndarray
    buckets: np.ndarray
    shards: np.ndarray
    kind: str

    @property
    def whole(self) -> bool:
        """Whether there is but one cell, so that all are at home there."""
        return self.reach == 1 and len(self.centres) == 1

    @property
    def identity(self) -> str:
        """32 hex digits that tell these cells from others: visits and pairs state them."""
        digest = hashlib.blake2b(digest_size=16)
        for value in vars(self).values():
            digest.update(np.asarray(value).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write one `.npz` file."""
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Cells:
        """Read what `save` wrote. Raises TableError if it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            plain = {name: arrays.pop(name).item() for name in ("threshold", "keep", "reach", "kind")}
            return cls(**plain, **arrays)
        except DAMAGED as error:
            raise TableError(f"{path} cannot be read as cells ({error}); run dedup.py train again.") from error


def distance_at(threshold: float) -> float:
    """No two keys of duplicates are farther apart; `threshold` is their least cosine."""
    return float(np.sqrt(2 - 2 * threshold + ROUNDED)) + WIDEN


def rounding(numbers: int) -> float:
    """More than what float32 can be wrong by in the rule of visits, for keys of so many numbers (see the module)."""
    return 6 * (numbers + 4) * 2.0**-24


def visits(keys: torch.Tensor, centres: torch.Tensor, within: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Where keys are at home, and which cells they visit.

    Args:
        keys: float32 (n, dim).
        centres: float32 (cells, dim).
        within: largest h (see the module) of a visit.

    Returns:
        int64 (n,), the home of each key; bool (n, cells), true for each cell visited and for the home.
        A key of zeros visits nothing.
    """
    import torch

    square = (centres * centres).sum(dim=1)
    nudge = rounding(centres.shape[1])
    homes = torch.empty(len(keys), dtype=torch.int64, device=keys.device)
    seen = torch.empty((len(keys), len(centres)), dtype=torch.bool, device=keys.device)
    rows = len(keys) if keys.is_cuda else max(64, IN_CACHE // len(centres))
    for start in range(0, len(keys), max(rows, 1)):
        block = keys[start : start + rows]
        affinity = torch.addmm(square, block, centres.T, beta=-0.5)  # half of |x|^2 - |x - c|^2
        best, home = affinity.max(dim=1)
        each, which = torch.unique(home, return_inverse=True)
        between = torch.addmm(square, centres[each], centres.T, alpha=-2).add_(square[each, None])
        between = between.clamp_(min=0).add_(nudge).sqrt_()
        affinity.add_(between[which], alpha=within)
        homes[start : start + rows] = home
        torch.ge(affinity, (best - nudge)[:, None], out=seen[start : start + rows])
    seen &= keys.any(dim=1, keepdim=True)
    seen[torch.arange(len(keys), device=keys.device), homes] = True
    return homes, seen
