"""The number of cells: what it costs is foreseen, and the search is exact by default where that is cheap."""

import numpy as np
import pytest
import torch

from pycurate.dedup import fit as module
from pycurate.dedup.cells import distance_at, visits
from pycurate.dedup.fit import FAST, MOST_VISITS, centres_of, choose_cells
from pycurate.dedup.settings import Settings


@pytest.fixture(scope="module")
def keys() -> np.ndarray:
    """float32 (40000, 24), of length 1, with a mean and a few directions of great variance, as embeddings have."""
    random = np.random.default_rng(5)
    wide = random.normal(size=(40_000, 24)) * np.arange(1, 25) ** -0.5 + 0.5
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("cells", "exact"), [(16, True), (256, True), (256, False)])
def test_visits_and_products_are_foreseen(keys: np.ndarray, cells: int, exact: bool) -> None:
    sample = keys[:4096]
    reach, fit = choose_cells(sample, len(keys), Settings(0.97, exact=exact, cells=cells))
    assert (reach, fit.cells, len(fit.shares)) == (1.0 if exact else FAST, cells, cells)
    centres = torch.from_numpy(centres_of(sample, cells))
    home, seen = visits(torch.from_numpy(keys), centres, reach * distance_at(0.97) / 2)
    at_home = np.bincount(home.numpy(), minlength=cells).astype(float)
    all_of = seen.sum(dim=0).numpy()
    assert fit.visits == pytest.approx(all_of.sum() / len(keys), rel=0.1)
    assert fit.pairs == pytest.approx((at_home * (all_of - at_home / 2)).sum(), rel=0.25)
    assert np.corrcoef(fit.shares, at_home * (all_of - at_home / 2))[0, 1] > 0.5  # for buckets of like work


@pytest.mark.parametrize(("threshold", "most", "last"), [(0.99, 1e6, 1.0), (0.9, 1e6, FAST), (0.9, 5e6, 1.0)])
def test_auto_is_exact_where_that_is_cheap(
    keys: np.ndarray,
    threshold: float,
    most: float,
    last: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "MOST_COST", most)
    sample, dim = keys[:4096], keys.shape[1]
    chosen = []
    for samples in (10**3, 10**5, 10**7):
        reach, fit = choose_cells(sample, samples, Settings(threshold))
        cost = fit.cost(samples, dim)
        assert (reach == 1) != ("using the fast search" in caplog.text)
        if reach == 1:
            assert fit.visits <= MOST_VISITS and cost <= most * samples
        for cells in (1, max(1, fit.cells // 4)):
            _, fewer = choose_cells(sample, samples, Settings(threshold, exact=reach == 1, cells=cells))
            assert cost <= fewer.cost(samples, dim)
        chosen.append((reach, fit.cells))
        caplog.clear()
    assert chosen[0] == (1.0, 1) and chosen[1][0] == 1.0 and chosen[2][0] == last
    assert chosen[0][1] <= chosen[1][1] <= chosen[2][1]
