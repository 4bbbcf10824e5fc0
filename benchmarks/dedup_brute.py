#!/usr/bin/env python3
"""The best brute force that we know: all pairs at or above a threshold, without cells or keys, as a process of its own.

Blocks of the upper triangle of all products, small enough for a core's cache, one thread per core. Of a block, only
rows whose largest product reaches the threshold less the slack are looked at again; each candidate is compared in
float64.

\b
numpy  float32 by numpy, which takes less time to import than torch: for small sets
fp32   float32 by torch
bf16   bfloat16 by torch, for processors with units for it

The slack of bf16 is that of pycurate.dedup.products, where its proof is.
"""

import pycurate.cli  # noqa: F401  # isort: skip  # first of all: it sets Python and OpenBLAS as they are set for the search

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np

from pycurate.dedup.products import BF16_SLACK
from pycurate.dedup.vectors import as_compared, similarity
from pycurate.hardware import cores

SLACK = {"numpy": 1e-4, "fp32": 1e-4, "bf16": BF16_SLACK}
ROWS = 1024  # of a block


def all_pairs(vectors: np.ndarray, threshold: float, way: str) -> np.ndarray:
    """float16 (n, dim) -> int64 (k, 2): the pairs i < j that are duplicates."""
    wide = vectors.astype(np.float32)
    wide /= np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-30)
    floor = threshold - SLACK[way]
    if way == "numpy":

        def near(start: int, other: int) -> tuple[np.ndarray, np.ndarray]:
            products = wide[start : start + ROWS] @ wide[other : other + ROWS].T
            return np.divmod(np.flatnonzero(products >= floor), products.shape[1])
    else:
        import torch

        unit = torch.from_numpy(wide).to(torch.bfloat16 if way == "bf16" else torch.float32)

        def near(start: int, other: int) -> tuple[np.ndarray, np.ndarray]:
            products = unit[start : start + ROWS] @ unit[other : other + ROWS].T
            hits = torch.nonzero(products.amax(dim=1) >= floor).flatten()
            row, column = torch.nonzero(products[hits] >= floor, as_tuple=True)
            return hits[row].numpy(), column.numpy()

    def row_of_blocks(start: int) -> np.ndarray:
        found = [np.zeros((0, 2), np.int64)]
        for other in range(start, len(wide), ROWS):
            i, j = near(start, other)
            i, j = i + start, j + other
            i, j = i[i < j], j[i < j]
            if len(i):
                alike = similarity(vectors[i], vectors[j]) >= np.float32(threshold)
                found.append(np.stack([i[alike], j[alike]], axis=1))
        return np.concatenate(found)

    starts = range(0, len(wide), ROWS)
    if way == "numpy":  # with threads of its own
        return np.concatenate([*map(row_of_blocks, starts)])
    with ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return np.concatenate([*pool.map(row_of_blocks, starts)])


@click.command(help=__doc__)
@click.argument("folder", type=Path)
@click.argument("threshold", type=float)
@click.option("--way", type=click.Choice(list(SLACK)), default="fp32", show_default=True)
def main(folder: Path, threshold: float, way: str) -> None:
    vectors = as_compared(np.concatenate([np.load(path) for path in sorted((folder / "img_emb").glob("*.npy"))]))
    pairs = all_pairs(vectors, threshold, way)
    np.save(folder / f"brute_{way}.npy", pairs)
    print(len(pairs))


if __name__ == "__main__":
    main()
