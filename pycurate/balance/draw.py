"""Numbers that a sample draws by its uid and a seed, whatever comes before or after it."""

import numpy as np


def drawn(uids: np.ndarray, seed: int = 0, salt: int = 0) -> np.ndarray:
    """uint64 (n, 2), uids -> uint64 (n,), evenly spread; another seed or another salt gives independent numbers.

    Each half of the uid, salt and seed go through the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    start = np.array([seed % 2**64, salt], np.uint64)
    state = _mixed(_mixed(start[:1]) ^ start[1:])
    return _mixed(_mixed(uids[:, 1] ^ state) ^ uids[:, 0])


def shares(numbers: np.ndarray) -> np.ndarray:
    """uint64 (n,) of `drawn` -> float64 (n,), evenly spread in [0, 1)."""
    return (numbers >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(numbers: np.ndarray) -> np.ndarray:
    x = numbers + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
