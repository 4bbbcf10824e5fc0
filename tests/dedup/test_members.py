"""Of references, only those stay in memory that may be a duplicate of a new image of their cell."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.dedup import members
from pycurate.dedup.members import members_of
from pycurate.dedup.partitions import REFERENCE
from pycurate.dedup.visits import member_dtype
from pycurate.results.layout import path_of
from pycurate.results.tables import write_array

CELLS = "0" * 32  # the identity that visits state


def write_visits(results: Path, partition: int, keys: np.ndarray, cells: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Of a partition's samples, one for each of float (n, dim), sorted by cell as `assign` leaves them."""
    visits = np.zeros(len(keys), member_dtype(keys.shape[1], CELLS))
    visits["cell"], visits["key"], visits["content"][:, 0], visits["home"] = cells, keys, content, True
    visits["sample"] = (partition << 32) + np.arange(len(keys))
    visits["order"]["new"] = partition < REFERENCE
    visits = visits[np.argsort(cells, kind="stable")]
    write_array(path_of(results, "assigned", f"{partition:05d}"), visits)
    return visits


def unit(random: np.random.Generator, count: int, dim: int) -> np.ndarray:
    vectors = random.normal(size=(count, dim))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    new=st.integers(0, 40),
    references=st.lists(st.integers(0, 60), max_size=4),
    threshold=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    sizes=st.sampled_from([(1, 1), (30, 7), (1000, 1000)]),
)
def test_no_reference_that_is_near_a_new_image_of_its_cell_is_left_out(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    new: int,
    references: list[int],
    threshold: float,
    sizes: tuple[int, int],
) -> None:
    results, random = tmp_path_factory.mktemp("results"), np.random.default_rng(seed)
    for name, size in zip(("AT_ONCE", "RUN"), sizes, strict=True):
        monkeypatch.setattr(members, name, size)
    written = {}
    for number, count in {0: new, 1: 5, **{REFERENCE + at: n for at, n in enumerate(references)}}.items():
        keys = unit(random, count, 3) * (random.random((count, 1)) > 0.1)  # some without a direction
        cells, content = random.integers(0, 4, count), random.integers(0, 300, count)
        written[number] = write_visits(results, number, keys, cells, content)
    found = members_of(results, written, 1, 3, threshold, CELLS)

    there = np.concatenate(list(written.values()))
    there = there[(there["cell"] == 1) | (there["cell"] == 2)]
    own = there[there["order"]["new"]]
    products = np.einsum("id,jd->ij", there["key"].astype(np.float64), own["key"].astype(np.float64))
    products[there["cell"][:, None] != own["cell"]] = -2
    near, equal = products.max(axis=1, initial=-2), np.isin(there["content"][:, 0], own["content"][:, 0])
    kept = np.isin(there["sample"], found["sample"])
    assert kept[there["order"]["new"] | equal | (near >= threshold)].all()
    assert not kept[~there["order"]["new"] & ~equal & (near < threshold - 0.02)].any()
    assert (np.diff(found["cell"]) >= 0).all() and len(found) == kept.sum()
    assert np.array_equal(np.sort(found, order="sample"), np.sort(there[kept], order="sample"))


def test_memory_does_not_grow_with_references_that_are_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "AT_ONCE", 5000)
    random = np.random.default_rng(0)
    write_visits(tmp_path, 0, unit(random, 500, 32), np.zeros(500, int), np.zeros(500, int))
    peaks, partitions = [], [0]
    for number in range(REFERENCE, REFERENCE + 32):
        write_visits(tmp_path, number, unit(random, 5000, 32), np.zeros(5000, int), np.ones(5000, int))
        partitions.append(number)
        if len(partitions) in (5, 33):
            tracemalloc.start()
            assert len(members_of(tmp_path, partitions, 0, 1, 0.95, CELLS)) < 600
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
