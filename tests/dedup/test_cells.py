"""Cells: no visit of exact arithmetic is missing, whoever computed what; k-means is sound and the same every time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from dedup_sets import Samples, brute_force, clustered, decided, write_set
from hypothesis import given, settings
from hypothesis import strategies as st

from pycurate.dedup import cells as module
from pycurate.dedup import kmeans
from pycurate.dedup.cells import Cells, cells_path, distance_at, keys_of, visits
from pycurate.dedup.kmeans import k_means
from pycurate.dedup.partitions import embeddings_of, sources_of
from pycurate.dedup.settings import Settings
from pycurate.dedup.train import directions_of, train
from pycurate.dedup.vectors import as_compared
from pycurate.filters.filtering import Filtering
from pycurate.stages import dedup
from pycurate.stages.decide import decide

OTHER_NODE = {
    "ATEN_CPU_CAPABILITY": "default",
    "FAISS_SIMD_LEVEL": "NONE",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "OPENBLAS_CORETYPE": "NEHALEM",
    "OMP_NUM_THREADS": "1",
}
"""A processor without AVX, as far as the libraries can be told."""

ON_ANOTHER_NODE = """
import sys
from pathlib import Path
from pycurate.dedup.cells import Cells, cells_path
from pycurate.stages.dedup import assign
from pycurate.dedup.settings import Settings
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.train import train
folder, step = Path(sys.argv[1]), sys.argv[2]
if step == "train":
    train(folder, sources_of(folder), Settings(0.95, cells=64, buckets=3, exact=True))
assign(sources_of(folder)[1], folder, Cells.load(cells_path(folder)))
"""


def keys_like(n: int, dim: int, seed: int) -> torch.Tensor:
    """float32 (n, up to 64)."""
    vectors = torch.from_numpy(as_compared(clustered(n, dim, seed)))
    directions = directions_of(vectors)
    return keys_of(vectors, directions[:, :63].contiguous() if dim > 64 else directions)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    dim=st.sampled_from([3, 16, 200]),
    n=st.integers(1, 300),
    count=st.integers(1, 200),
    threshold=st.sampled_from([0.8, 0.95, 0.999, 1.0]),
    crowded=st.booleans(),
    in_cache=st.sampled_from([1, 1 << 19]),
)
def test_every_visit_of_exact_arithmetic_is_made(
    seed: int, dim: int, n: int, count: int, threshold: float, crowded: bool, in_cache: int
) -> None:
    keys = keys_like(n, dim, seed)
    random = np.random.default_rng(seed)
    centres = keys[torch.from_numpy(random.integers(0, n, count))]  # some of them equal, some equal to keys
    if crowded:
        centres = centres + torch.from_numpy(random.normal(size=centres.shape) * 1e-4).float()
    within = distance_at(threshold) / 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "IN_CACHE", in_cache)
        home, seen = (array.numpy() for array in visits(keys, centres, within))
    x, c = keys.numpy().astype(np.float64), centres.numpy().astype(np.float64)
    far = ((x[:, None] - c) ** 2).sum(axis=2)
    own = far[np.arange(n), home]
    assert (own <= far.min(axis=1) + 1e-5).all()
    between = np.sqrt(((c[home][:, None] - c) ** 2).sum(axis=2))
    missing = (far - own[:, None] <= 2 * within * between) & ~seen
    assert not missing.any()
    slack = 4 * module.rounding(x.shape[1])
    needless = (far - own[:, None] > 2 * within * np.sqrt(between**2 + slack) + slack) & seen
    assert not needless.any()


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


@pytest.mark.parametrize("step", ["train", "assign"])
def test_nodes_that_round_differently_lose_no_duplicate(tmp_path: Path, step: str) -> None:
    samples = Samples.of(clustered(900, 200, seed=8, copies=0.6))
    write_set(tmp_path, samples, np.array_split(np.arange(len(samples)), 3))
    sources = sources_of(tmp_path)
    if step == "assign":
        train(tmp_path, sources, Settings(0.95, cells=64, buckets=3, exact=True))
    command = [sys.executable, "-c", ON_ANOTHER_NODE, str(tmp_path), step]
    subprocess.run(command, check=True, env=os.environ | OTHER_NODE, timeout=120)
    cells = Cells.load(cells_path(tmp_path))
    for number in (0, 2):
        dedup.assign(sources[number], tmp_path, cells)
    for bucket in range(3):
        dedup.match(tmp_path, bucket, cells, embeddings_of(sources))
    assert decided(decide(tmp_path, sources, Filtering(), None, dedup=True)) == brute_force(samples, 0.95)


def test_a_small_search_does_not_wait_for_faiss(tmp_path: Path) -> None:
    write_set(tmp_path, Samples.of(clustered(10, 16)), [np.arange(10)])
    code = """
import json, sys
from pathlib import Path
from pycurate.stages.dedup import find_pairs
from pycurate.dedup.settings import Settings
from pycurate.dedup.partitions import sources_of
find_pairs(Path(sys.argv[1]), sources_of(Path(sys.argv[1])), Settings(0.9))
print(json.dumps("faiss" in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False
