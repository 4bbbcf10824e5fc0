"""A small set, which numpy searches, has the pairs that torch finds, byte for byte."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dedup_sets import Samples, chains, clustered, giant, run, stars
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.dedup import products
from pycurate.dedup.products import BF16_SLACK, close_pairs
from pycurate.dedup.settings import Settings
from pycurate.results.layout import path_of


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(Samples.of(clustered(1500, 64, seed=4)), id="clusters"),
        pytest.param(Samples.of(chains(300, 16)), id="chains"),
        pytest.param(Samples.of(stars(300, 24)), id="stars"),
        pytest.param(giant(1200), id="giant"),
        pytest.param(Samples.of(np.zeros((0, 16), np.float16)), id="none"),
    ],
)
def test_both_searches_leave_the_same_pairs(samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = Settings(0.9)
    decisions = [run(tmp_path / "numpy", samples, choice, aesthetic=0.4)]
    monkeypatch.setattr(products, "IMPORT", 0)
    decisions.append(run(tmp_path / "torch", samples, choice, aesthetic=0.4))
    one, other = (path_of(tmp_path / by, "pairs", "00000").read_bytes() for by in ("numpy", "torch"))
    assert one == other
    assert decisions[0] == decisions[1]


@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    start=st.integers(0, 40),
    gaps=st.booleans(),
)
def test_close_pairs_are_those_of_plain_products(seed: int, rows: int, columns: int, start: int, gaps: bool) -> None:
    random = np.random.default_rng(seed)
    row_keys, column_keys = (random.integers(-2, 3, (count, 8)).astype(np.float32) for count in (rows, columns))
    active = np.arange(0, rows, 2 if gaps else 1)
    run = slice(min(start, columns - 1), columns)
    expected = np.argwhere(row_keys[active].astype(int) @ column_keys[run].astype(int).T >= 3).tolist()
    for device in (None, "cpu"):
        found = close_pairs(row_keys, column_keys, 3.0, device)(active, run)
        assert np.stack(found, axis=1).tolist() == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), dim=st.sampled_from([2, 16, 33, 512]), rank=st.integers(0, 399))
def test_bf16_misses_no_pair(seed: int, dim: int, rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "computes_bf16", lambda: True)
    monkeypatch.setattr(products, "BF16_FROM", 0)
    random = np.random.default_rng(seed)
    one, other = random.normal(size=(2, 20, dim)) + 0.5
    keys = [(side / np.linalg.norm(side, axis=1, keepdims=True)).astype(np.float32) for side in (one, other)]
    exact = keys[0].astype(np.float64) @ keys[1].astype(np.float64).T
    floor = np.sort(exact.ravel())[rank]
    near, close = close_pairs(keys[0], keys[1], float(floor), "cpu")(np.arange(20), slice(0, 20))
    found = np.zeros((20, 20), bool)
    found[near, close] = True
    assert found[exact >= floor].all()
    assert (exact[found] >= floor - 2 * BF16_SLACK).all()


@pytest.mark.parametrize("asked", ["products.device_for(1e12, 64)", "fit.centres_of(np.eye(8, dtype=np.float32), 2)"])
def test_whatever_the_environment_asks_products_are_those_of_float32(asked: str) -> None:
    """Here for TF32, which a GPU then makes of float32."""
    program = f"""
import numpy as np, torch
from pycurate.dedup import fit, products
before = torch.backends.cuda.matmul.allow_tf32
{asked}
print(before, torch.backends.cuda.matmul.allow_tf32)
"""
    environment = os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
