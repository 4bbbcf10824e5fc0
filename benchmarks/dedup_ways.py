"""Alternative ways to place the centres of cells and to search among them, to compare the default with."""

import faiss
import torch

from pycurate.dedup import kmeans
from pycurate.dedup.cells import IN_CACHE, rounding
from pycurate.hardware import cores
from pycurate.stages import dedup


def k_means_by_torch(keys: torch.Tensor, count: int, rounds: int = 8) -> torch.Tensor:
    """What `kmeans.k_means` does, without faiss."""
    centres = keys[:count].clone()
    for _ in range(rounds if count > 1 else 0):
        half = (centres * centres).sum(dim=1) / 2
        home = torch.cat([(block @ centres.T - half).argmax(dim=1) for block in keys.split(8192)])
        sums = torch.zeros_like(centres).index_add_(0, home, keys)
        number = torch.bincount(home, minlength=count)[:, None]
        centres = torch.where(number > 0, sums / number.clamp(min=1), centres)
    return centres


def homes_by_faiss(keys: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """int64 (n,): the nearest centre of each key."""
    faiss.omp_set_num_threads(cores())
    index = faiss.IndexFlatL2(keys.shape[1])
    index.add(centres.numpy())
    return torch.from_numpy(index.search(keys.numpy(), 1)[1][:, 0])


def visits_by_faiss(keys: torch.Tensor, centres: torch.Tensor, within: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What `cells.visits` does, with the homes by faiss."""
    homes = homes_by_faiss(keys, centres)
    square, nudge = (centres * centres).sum(dim=1), rounding(centres.shape[1])
    seen = torch.empty((len(keys), len(centres)), dtype=torch.bool)
    rows = max(64, IN_CACHE // len(centres))
    for start in range(0, len(keys), rows):
        part = slice(start, start + rows)
        affinity = torch.addmm(square, keys[part], centres.T, beta=-0.5)
        best = affinity.gather(1, homes[part, None])
        each, which = torch.unique(homes[part], return_inverse=True)
        between = torch.addmm(square, centres[each], centres.T, alpha=-2).add_(square[each, None])
        affinity.add_(between.clamp_(min=0).add_(nudge).sqrt_()[which], alpha=within)
        torch.ge(affinity, best - nudge, out=seen[part])
    seen &= keys.any(dim=1, keepdim=True)
    seen[torch.arange(len(keys)), homes] = True
    return homes, seen


def _centres_by_torch() -> None:
    kmeans.k_means = k_means_by_torch


def _homes_by_faiss() -> None:
    dedup.visits = visits_by_faiss


WAYS = {
    "centres by faiss, homes by torch": lambda: None,  # as pycurate does
    "centres by torch, homes by torch": _centres_by_torch,
    "centres by faiss, homes by faiss": _homes_by_faiss,
}
"""The function that switches this process to each way."""
