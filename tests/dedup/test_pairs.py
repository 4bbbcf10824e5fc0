"""Few pairs are enough, however large a group is."""

from pathlib import Path

import numpy as np
from dedup_sets import Samples, giant, run
from hypothesis import given
from hypothesis import strategies as st

from pycurate.dedup.pairs import LIMIT, Found
from pycurate.dedup.settings import Settings
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table


def test_giant_group_has_few_pairs(tmp_path: Path) -> None:
    samples = giant(50_000)
    got = run(tmp_path, samples, Settings(0.99, cells=4, exact=True))
    assert sum(reason == "kept" for reason, _, _ in got.values()) == 1
    visits = sum(len(np.load(path_of(tmp_path, "assigned", f"{i:05d}"), mmap_mode="r")) for i in range(3))
    assert read_table(path_of(tmp_path, "pairs", "00000")).num_rows <= LIMIT * visits


def test_byte_equal_images_are_compared_once(tmp_path: Path) -> None:
    samples = Samples.of(np.ones((2000, 8), np.float16))
    got = run(tmp_path, samples, Settings(0.99, exact=True))
    assert sorted({reason for reason, _, _ in got.values()}) == ["duplicate_exact", "kept"]
    assert read_table(path_of(tmp_path, "pairs", "00000")).num_rows == len(samples) - 1


@given(
    looking=st.lists(st.tuples(st.integers(0, 2), st.sets(st.integers(0, 12), max_size=8)), max_size=6),
    limit=st.integers(1, 4),
)
def test_the_lists_of_a_samples_vectors_become_one_that_lacks_nothing_before_its_end(
    looking: list[tuple[int, set[int]]], limit: int
) -> None:
    """Each vector lists the first of its duplicates; `looking` are the samples that they are of, and all of these."""
    samples = np.array([*range(100, 113), *(sample for sample, _ in looking)], np.int64)
    parts = []
    for vector, (_, duplicates) in enumerate(looking, 13):
        listed = np.array(sorted(duplicates)[:limit], np.int64)
        more = (np.arange(len(listed)) == limit - 1).astype(bool)
        parts.append(Found(np.full(len(listed), vector), listed, listed.astype(np.float32), more))
    found = Found.of(parts).once(samples)
    assert np.array_equal(found.similarity, found.earlier)
    for sample in range(3):
        whole = sorted(set[int]().union(*(duplicates for one, duplicates in looking if one == sample)))
        own = samples[found.later] == sample
        listed, more = found.earlier[own].tolist(), found.more[own].tolist()
        assert listed == whole[: len(listed)] and not any(more[:-1])
        assert listed == whole or more[-1:] == [True]
        assert len(listed) >= min(limit, len(whole))
