"""Deduplication decides as brute force does, whatever the vectors and however the work is split."""

from pathlib import Path

import numpy as np
import pytest
from dedup_sets import Decision, Samples, brute_force, decided, write_set

from pycurate.dedup import find_pairs
from pycurate.filters import Threshold
from pycurate.resolve import resolve
from pycurate.sources import sources_of
from pycurate.training import Settings


def clustered(n: int, dim: int, seed: int, copies: float = 0.3) -> np.ndarray:
    """float16 (n, dim): clusters, and planted copies from equal to far."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, dim + 1) ** -0.8
    centres = random.normal(size=(max(1, n // 20), dim)) * spectrum
    vectors = centres[random.integers(0, len(centres), n)] + 0.5 * random.normal(size=(n, dim)) * spectrum
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for i in range(1, n):
        if random.random() < copies:
            noise = random.normal(size=dim) / np.sqrt(dim)
            vectors[i] = vectors[random.integers(0, i)] + noise * random.choice([0, 0.02, 0.1, 0.3, 0.6])
            vectors[i] /= np.linalg.norm(vectors[i])
    return vectors.astype(np.float16)


def run(
    folder: Path, samples: Samples, settings: Settings, parts: int = 3, aesthetic: float = 0.0, nsfw: float = 2.0
) -> dict[str, Decision]:
    write_set(folder, samples, np.array_split(np.arange(len(samples)), parts))
    sources = sources_of(folder)
    find_pairs(folder, sources, settings)
    filters = [
        Threshold("aesthetic", "aesthetic", minimum=aesthetic),
        Threshold("nsfw", "nsfw", maximum=nsfw),
    ]
    return decided(resolve(folder, sources, filters, dedup=True))


@pytest.mark.parametrize("dim", [512, 1280])
@pytest.mark.parametrize("threshold", [0.999, 0.99, 0.95, 0.9, 0.8])
@pytest.mark.parametrize("cells", [1, 8])
def test_decides_as_brute_force(tmp_path: Path, dim: int, threshold: float, cells: int) -> None:
    samples = Samples.of(clustered(600, dim, seed=dim))
    assert run(tmp_path, samples, Settings(threshold, exact=True, cells=cells)) == brute_force(samples, threshold)


@pytest.mark.parametrize("keep", ["best", "first", "largest"])
def test_keep_and_filters(tmp_path: Path, keep: str) -> None:
    samples = Samples.of(clustered(600, 64, seed=3))
    got = run(tmp_path, samples, Settings(0.9, keep, True, cells=4), aesthetic=0.3, nsfw=0.6)  # type: ignore[arg-type]
    assert got == brute_force(samples, 0.9, keep, 0.3, 0.6)


def giant(n: int, dim: int = 32) -> Samples:
    """n near-copies of one image, each like every other, with all scores at random."""
    random = np.random.default_rng(1)
    vectors = 1 + 0.01 * random.normal(size=(n, dim))
    samples = Samples.of(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    samples.aesthetic = random.random(n)
    samples.nsfw = random.random(n)
    return samples


@pytest.mark.parametrize("nsfw", [0.9, 0.01, 0.002])
def test_giant_group_whose_best_are_filtered(tmp_path: Path, nsfw: float) -> None:
    samples = giant(3000)
    samples.nsfw[samples.aesthetic > 0.9] = 1  # none of those listed as duplicates of the others passes
    got = run(tmp_path, samples, Settings(0.99, exact=True, cells=2), nsfw=nsfw)
    assert got == brute_force(samples, 0.99, nsfw=nsfw)
    assert sum(reason == "kept" for reason, _, _ in got.values()) == 1
