"""The number of cells: what it costs is foreseen, and the search is exact by default where that is cheap."""

from pathlib import Path

import numpy as np
import pytest
import torch
from dedup_sets import Samples, write_set

from pycurate.dedup import fit as module
from pycurate.dedup import train as train_module
from pycurate.dedup.cells import distance_at, visits
from pycurate.dedup.fit import FAST, MOST_VISITS, Size, centres_of, choose_cells
from pycurate.dedup.partitions import sources_of
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
    reach, fit = choose_cells(sample, Size(len(keys)), Settings(0.97, exact=exact, cells=cells))
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
    for size in (Size(10**3), Size(10**5), Size(10**7)):
        reach, fit = choose_cells(sample, size, Settings(threshold))
        cost = fit.cost(size, dim)
        assert (reach == 1) != ("using the fast search" in caplog.text)
        if reach == 1:
            assert fit.visits <= MOST_VISITS and cost <= most * size.all
        for cells in (1, max(1, fit.cells // 4)):
            _, fewer = choose_cells(sample, size, Settings(threshold, exact=reach == 1, cells=cells))
            assert cost <= fewer.cost(size, dim)
        chosen.append((reach, fit.cells))
        caplog.clear()
    assert chosen[0] == (1.0, 1) and chosen[1][0] == 1.0 and chosen[2][0] == last
    assert chosen[0][1] <= chosen[1][1] <= chosen[2][1]


def test_references_count_as_what_is_searched_among(keys: np.ndarray) -> None:
    sample, few, many = keys[:4096], Size(10**5), Size(10**5, 10**8)
    assert (many.all, many.pairs) == (10**8 + 10**5, pytest.approx(10**13, rel=1e-3))
    alone, beside = (choose_cells(sample, size, Settings(0.97, exact=True, cells=16))[1] for size in (few, many))
    assert beside.pairs / alone.pairs == pytest.approx(many.pairs / few.pairs)
    alone, beside = (choose_cells(sample, size, Settings(0.99, exact=True))[1] for size in (few, many))
    assert 1 < alone.cells < beside.cells
    assert choose_cells(keys[:20], Size(20, 10**9), Settings(0.99, exact=True))[1].cells <= 20  # which place them


def test_a_match_task_holds_a_part_of_the_references(
    keys: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "VISITS_PER_BUCKET", 5000)
    folders = [tmp_path / name for name in ("new", "old")]
    for folder, part in zip(folders, (keys[:1000], keys[1000:9000]), strict=True):
        write_set(folder, Samples.of(part), [np.arange(len(part))])
    buckets = []
    for references in ([], folders[1:]):
        cells = train_module.train(folders[0], sources_of(folders[0], references), Settings(0.97, exact=True, cells=16))
        buckets.append(len(cells.buckets) - 1)
    assert buckets[0] == 1 and 6 <= buckets[1] <= 9
