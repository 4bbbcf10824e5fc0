"""The nearest pairs are those of brute force."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycurate.report.nearest import nearest_pairs
from pycurate.results.layout import path_of
from pycurate.results.tables import SAMPLES, write_array, write_table


def write_set(results: Path, vectors: np.ndarray) -> list[str]:
    """Leave the tables of images with these embeddings, in two partitions; returns their uids."""
    uids = [f"{number:032x}" for number in range(len(vectors))]
    for part, rows in (("00000", slice(0, len(uids) // 2)), ("00001", slice(len(uids) // 2, len(uids)))):
        samples = [dict.fromkeys(SAMPLES.names) | {"uid": uid, "row": row} for row, uid in enumerate(uids[rows])]
        write_table(path_of(results, "samples", part), pa.Table.from_pylist(samples, SAMPLES))
        write_array(path_of(results, "img_emb", part), vectors[rows])
    return uids


@given(
    st.integers(2, 40), st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 0.9, 1.1]), st.sampled_from([(), (2,), (8,)])
)
@settings(max_examples=25)
def test_the_nearest_pairs_are_those_of_brute_force(
    count: int, seed: int, threshold: float, views: tuple[int, ...]
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, *views, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float16)
    with tempfile.TemporaryDirectory() as folder:
        uids = write_set(Path(folder), vectors)
        found = nearest_pairs(Path(folder), uids, threshold, 3)
    wide = vectors.astype(np.float32).reshape(count, -1, 4)
    wide /= np.linalg.norm(wide, axis=2, keepdims=True)
    pairs = itertools.combinations(range(count), 2)
    each = {(i, j): float(max(*wide[i] @ wide[j, 0], *wide[j] @ wide[i, 0])) for i, j in pairs}
    best: dict[tuple[int, int], float] = {}
    for pair in sorted(each, key=each.__getitem__, reverse=True):
        if each[pair] < threshold and len(best) < 3 and not {*pair} & {*itertools.chain(*best)}:
            best[pair] = each[pair]
    assert [pair[2] for pair in found] == pytest.approx([*best.values()], abs=1e-5)
    images = [uid for pair in found for uid in pair[:2]]
    assert len(images) == len(set(images))


@pytest.mark.filterwarnings("error")
def test_an_image_without_a_direction_hides_no_pair(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 0], [-1, 0]], np.float16)
    uids = write_set(tmp_path, vectors)
    (first, *_) = nearest_pairs(tmp_path, uids, 0.95, 3)
    assert first == (uids[0], uids[1], pytest.approx(0.8, abs=1e-3))
