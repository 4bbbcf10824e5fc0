"""The search among many hashes finds what a comparison with each finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pycurate.filters import hamming
from pycurate.filters.hamming import REACH, Hashes, bits_of, distances


def changed(hashes: np.ndarray, flips: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """uint64 (n, 4) with so many bits of each the other way round, packed together or spread."""
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    for row, count in zip(bits, flips.tolist(), strict=True):
        places = random.permutation(256)[:count] if random.random() < 0.5 else random.integers(200) + np.arange(count)
        row[places] ^= 1
    return np.packbits(bits, axis=1).view(np.uint64)


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), listed=st.integers(1, 300), asked=st.integers(0, 100), compared=st.integers(1, 500))
def test_the_nearest_are_those_of_brute_force(seed: int, listed: int, asked: int, compared: int) -> None:
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, (listed, 4), dtype=np.uint64)
    hashes[random.random(listed) < 0.3] = hashes[0]  # many alike
    near = np.flatnonzero(random.random(listed) < 0.3)  # and many nearly so
    hashes[near] = changed(hashes[np.zeros(len(near), int)], random.integers(0, 8, len(near)), random)
    queries = changed(hashes[random.integers(listed, size=asked)], random.integers(0, 45, asked), random)
    before, hamming.COMPARED = hamming.COMPARED, compared  # however many pairs are compared at a time
    try:
        place, distance = Hashes(hashes).nearest(queries)
    finally:
        hamming.COMPARED = before
    every = np.unpackbits((queries[:, None] ^ hashes).view(np.uint8), axis=2).sum(axis=2, dtype=int)
    nearest = every.argmin(axis=1) if asked else np.zeros(0, int)
    least = every.min(axis=1) if asked else np.zeros(0, int)
    assert np.array_equal(place, np.where(least <= REACH, nearest, -1))
    assert np.array_equal(distance, np.where(least <= REACH, least, -1))


def test_digits_are_read_as_bits() -> None:
    one, other = bits_of(["0" * 63 + "1", "f" + "0" * 63])
    assert distances(one, other) == 5 and one[3] == 1
