"""NormSim is the norm of the cosines with all images of the target set."""

import numpy as np
import pytest

from pycurate.comparison import similarity
from pycurate.comparison.similarity import norm_sim


def test_it_is_the_norm_of_all_cosines(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images, target = rng.normal(size=(40, 16)).astype(np.float16), rng.normal(size=(25, 16)).astype(np.float32)
    a, b = (part.astype(np.float64) for part in (images, target))
    cosines = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    greatest, squares = norm_sim(images, target)
    assert greatest.dtype == squares.dtype == np.float32
    np.testing.assert_allclose(greatest, cosines.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(squares, np.linalg.norm(cosines, axis=1), rtol=1e-6)
    monkeypatch.setattr(similarity, "ROWS", 7)
    for again, whole in zip(norm_sim(images, target), (greatest, squares), strict=True):
        np.testing.assert_array_equal(again, whole)
    monkeypatch.setattr(similarity, "COLUMNS", 4)
    np.testing.assert_allclose(norm_sim(images, target), (greatest, squares), rtol=1e-6)
