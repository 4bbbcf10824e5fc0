"""Vectors as they are compared: of unit length, with cosines that are exact in any order."""

import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycurate.dedup.vectors import Embeddings, Smallest, as_compared, similarity


def test_similarity_is_exact_in_any_order() -> None:
    random = np.random.default_rng(0)
    a, b = (as_compared(random.normal(size=(500, 1280))) for _ in range(2))
    shuffled = random.permutation(1280)
    assert np.array_equal(similarity(a, b), similarity(a[:, shuffled], b[:, shuffled]))
    assert np.array_equal(similarity(a, b), similarity(b, a))
    assert (similarity(a, a) == 1).all()


def test_vectors_of_any_kind_get_unit_length() -> None:
    tiny, huge = np.float16(6e-8), np.float16(65504)
    odd = np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 0], [tiny, 0], [huge, huge], [0.6, 0.8]], np.float16)
    half = np.sqrt(0.5)
    expected = np.array([[0.6, 0.8], [0, 0], [0, 0], [0, 0], [1, 0], [half, half], [0.6, 0.8]], np.float16)
    assert np.array_equal(as_compared(odd), expected)
    assert np.array_equal(as_compared(odd.astype(np.float64) * 1e30)[0], expected[0])
    assert similarity(as_compared(odd), as_compared(odd)).tolist() == [1, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize(("most", "read"), [(40, 2 * 40), (1000, 2 * 1500)])
def test_vectors_that_recur_in_many_pairs_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: int, most: int, read: int
) -> None:
    random = np.random.default_rng(0)
    vectors = as_compared(random.normal(size=(1000 * views, 48)) + 1).reshape(1000, views, 48)
    vectors[5] = 0
    np.save(tmp_path / "some.npy", vectors)
    embeddings = Embeddings({0: tmp_path / "some.npy"})
    taken, take = [], embeddings.take

    def counted(samples: np.ndarray) -> np.ndarray:
        taken.append(len(samples))
        return take(samples)

    monkeypatch.setattr(embeddings, "take", counted)
    a, b = random.integers(0, most, (2, 1500))
    of_all = np.concatenate([similarity(vectors[a][:, :1], vectors[b]), similarity(vectors[a], vectors[b][:, :1])], 1)
    assert np.array_equal(embeddings.similarity(a, b), of_all.max(axis=1))
    assert sum(taken) == read


def test_the_memory_of_a_comparison_does_not_grow_with_the_views(tmp_path: Path) -> None:
    a, b = np.divmod(np.arange(200 * 200), 200)
    peaks = []
    for views in (2, 8):
        np.save(tmp_path / "img_emb.npy", np.random.default_rng(0).normal(size=(200, views, 4)).astype(np.float16))
        embeddings = Embeddings({0: tmp_path / "img_emb.npy"})
        tracemalloc.start()
        embeddings.similarity(a, b)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=8), max_size=5), st.integers(0, 20))
def test_the_smallest_of_all_parts_are_those_of_the_whole(parts: list[list[int]], count: int) -> None:
    smallest = Smallest(count)
    whole: list[int] = []
    for part in parts:
        smallest.add(np.array(part, np.uint64), np.arange(len(whole), len(whole) + len(part)))
        whole += part
    chosen = smallest.numbers().tolist()
    assert [whole[number] for number in chosen] == sorted(whole)[:count]
    assert len(set(chosen)) == len(chosen)


def test_no_two_threads_open_embeddings_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Python 3.11 says now and then `AST constructor recursion depth mismatch`: np.load parses its header."""
    paths = {number: tmp_path / f"{number}.npy" for number in range(8)}
    for path in paths.values():
        np.save(path, np.ones((3, 4), np.float16))
    load, alone = np.load, Lock()

    def watched(*words: Any, **options: Any) -> np.ndarray:
        assert alone.acquire(blocking=False), "two threads load at once"
        time.sleep(0.001)
        alone.release()
        return load(*words, **options)

    monkeypatch.setattr(np, "load", watched)
    embeddings = Embeddings(paths)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: embeddings.shape, range(8))) == [(1, 4)] * 8
