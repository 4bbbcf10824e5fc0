"""Cells: no visit of exact arithmetic is missing, whoever computed what."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from curated import decide
from damage import check_refusals
from dedup_sets import Samples, brute_force, clustered, decided, keys_like, write_set
from hypothesis import given, settings
from hypothesis import strategies as st

from pycurate.dedup import cells as module
from pycurate.dedup.cells import Cells, distance_at, visits
from pycurate.dedup.partitions import embeddings_of, sources_of
from pycurate.dedup.settings import Settings
from pycurate.dedup.train import train
from pycurate.filters.filtering import Filtering
from pycurate.results.layout import path_of
from pycurate.stages import dedup

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
from pycurate.dedup.cells import Cells
from pycurate.stages.dedup import assign
from pycurate.results.layout import path_of
from pycurate.dedup.settings import Settings
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.train import train
folder, step = Path(sys.argv[1]), sys.argv[2]
if step == "train":
    train(folder, sources_of(folder), Settings(0.95, cells=64, buckets=3, exact=True))
assign(sources_of(folder)[1], folder, Cells.load(path_of(folder, "cells")))
"""


@settings(max_examples=40)
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


@pytest.mark.parametrize("step", ["train", "assign"])
def test_nodes_that_round_differently_lose_no_duplicate(tmp_path: Path, step: str) -> None:
    samples = Samples.of(clustered(900, 200, seed=8, copies=0.6))
    write_set(tmp_path, samples, np.array_split(np.arange(len(samples)), 3))
    sources = sources_of(tmp_path)
    if step == "assign":
        train(tmp_path, sources, Settings(0.95, cells=64, buckets=3, exact=True))
    command = [sys.executable, "-c", ON_ANOTHER_NODE, str(tmp_path), step]
    subprocess.run(command, check=True, env=os.environ | OTHER_NODE, timeout=120)
    cells = Cells.load(path_of(tmp_path, "cells"))
    for number in (0, 2):
        dedup.assign(sources[number], tmp_path, cells)
    for bucket in range(3):
        dedup.match(tmp_path, bucket, cells, embeddings_of(sources), ())
    assert decided(decide(tmp_path, sources, Filtering(), None, dedup=True)) == brute_force(samples, 0.95)


def test_damaged_cells_are_refused(tmp_path: Path) -> None:
    path, plain = tmp_path / "cells.npz", np.eye(3, dtype=np.float32)
    Cells(0.9, "best", 1.0, plain, plain, np.array([0, 3]), np.array(["a.tar"]), "img_emb").save(path)
    check_refusals(path, Cells.load, "cannot be read as cells .*; run dedup.py train again")
