"""Cosines between two sets of vectors, in float64."""

import numpy as np


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float (n, dim) and float (m, dim) -> float64 (n, m); 0 where one of the two is zero.

    Of vectors in float16 of length 1 the products are exact, in whatever order a library sums them
    (pycurate.dedup.vectors says why). So the cosines of a row do not depend on which rows come with it.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    result: np.ndarray = x @ y.T
    result *= _inverse(x)[:, None]
    result *= _inverse(y)[None]
    return result


def unit(vectors: np.ndarray) -> np.ndarray:
    """float (n, dim) -> float64 (n, dim), of length 1; a zero row stays zero."""
    wide = vectors.astype(np.float64)
    scaled: np.ndarray = wide * _inverse(wide)[:, None]
    return scaled


def _inverse(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return np.divide(1, length, out=np.zeros_like(length), where=length > 0)
