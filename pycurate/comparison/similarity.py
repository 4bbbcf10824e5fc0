"""NormSim: how near an image is to those of a target set.

Wang et al. 2024 (arXiv:2405.19547): the p-norm of the cosines between an image and all images of the target set. With
p = infinity it is the greatest of them, with p = 2 the root of the sum of their squares.
"""

import numpy as np

from pycurate.comparison.products import cosines

ROWS, COLUMNS = 256, 8192  # that are compared at a time


def norm_sim(images: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float (n, dim), float (m, dim) with m > 0 -> float32 (n,) twice: NormSim of p = infinity, and of p = 2."""
    greatest, squares = np.full(len(images), -np.inf), np.zeros(len(images))
    for start in range(0, len(images), ROWS):
        rows = slice(start, start + ROWS)
        for first in range(0, len(target), COLUMNS):
            found = cosines(images[rows], target[first : first + COLUMNS])
            greatest[rows] = np.maximum(greatest[rows], found.max(axis=1))
            squares[rows] += np.einsum("nm,nm->n", found, found)
    return greatest.astype(np.float32), np.sqrt(squares).astype(np.float32)
