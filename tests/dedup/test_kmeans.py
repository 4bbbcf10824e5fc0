"""k-means is sound, the same every time, and loaded only where it is used."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from dedup_sets import Samples, clustered, keys_like, write_set

from pycurate.dedup import kmeans
from pycurate.dedup.kmeans import k_means


@pytest.mark.parametrize(("count", "dim"), [(2, 16), (64, 16), (64, 200), (500, 200), (1500, 16)])
def test_k_means_is_as_good_as_plain_lloyd(count: int, dim: int) -> None:
    keys = keys_like(1500, dim, seed=4)
    points = keys.numpy().astype(np.float64)

    def spread(centres: np.ndarray) -> float:
        return ((points[:, None] - centres) ** 2).sum(axis=2).min(axis=1).mean()

    plain = points[:count].copy()
    for _ in range(8):
        home = ((points[:, None] - plain) ** 2).sum(axis=2).argmin(axis=1)
        for cell in np.unique(home):
            plain[cell] = points[home == cell].mean(axis=0)
    assert spread(k_means(keys, count).numpy().astype(np.float64)) <= 1.02 * spread(plain) + 1e-9


def test_k_means_is_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = keys_like(3000, 200, seed=1)
    once = k_means(keys, 300)
    for threads in (1, 2, 3):
        monkeypatch.setattr(kmeans, "cores", lambda threads=threads: threads)
        assert torch.equal(k_means(keys, 300), once)
        assert faiss.omp_get_max_threads() == threads


@pytest.mark.parametrize("keys", [torch.zeros(50, 8), torch.ones(50, 8) / 8**0.5, torch.eye(50)])
def test_k_means_of_odd_keys(keys: torch.Tensor) -> None:
    for count in (1, 7, 50):
        centres = k_means(keys, count)
        assert centres.shape == (count, keys.shape[1])
        assert (centres.norm(dim=1) <= 1.01).all()


def test_faiss_does_not_tell_what_it_loads() -> None:
    k_means(torch.nn.functional.normalize(torch.randn(20, 4)), 2)
    assert not logging.getLogger("faiss.loader").isEnabledFor(logging.INFO)


def test_a_small_search_waits_for_neither_torch_nor_faiss(tmp_path: Path) -> None:
    write_set(tmp_path, Samples.of(clustered(10, 16)), [np.arange(10)])
    code = """
import json, sys
from pathlib import Path
from pycurate.stages.dedup import find_pairs
from pycurate.dedup.settings import Settings
from pycurate.dedup.partitions import sources_of
find_pairs(Path(sys.argv[1]), sources_of(Path(sys.argv[1])), Settings(0.9))
from pycurate.stages import decide  # which comes after it
print(json.dumps([name for name in ("torch", "faiss") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
