"""s-CLIPLoss is that of the paper's formula, against a set that depends on nothing but the uids."""

import hashlib

import numpy as np
import pytest

from pycurate.comparison.contrast import BLOCK, TAU, Contrast, hashes, s_clip_loss


def vectors(seed: int, rows: int, spread: float = 1.0) -> np.ndarray:
    """float16 (rows, 32) of length 1, near each other if the spread is small."""
    rng = np.random.default_rng(seed)
    wide = rng.normal(size=(1, 32)) + spread * rng.normal(size=(rows, 32))
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float16)


def by_brute_force(image: np.ndarray, text: np.ndarray, images: np.ndarray, texts: np.ndarray) -> float:
    """s of one sample against these, as the paper has it: (c_ii - log-mean terms), without any trick, in longdouble."""
    image, text, images, texts = (part.astype(np.longdouble) for part in (image, text, images, texts))
    image, text = image / np.sqrt(image @ image), text / np.sqrt(text @ text)
    own, tau = image @ text, np.longdouble(TAU)
    rows = [np.exp(image @ other / np.sqrt(other @ other) / tau) for other in texts]
    columns = [np.exp(text @ other / np.sqrt(other @ other) / tau) for other in images]
    return float(own - tau / 2 * (np.log(sum(rows)) + np.log(sum(columns))))


@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_it_is_the_formula_in_full_precision(spread: float) -> None:
    rows, chosen = 2 * BLOCK + 3, 50
    images, texts = vectors(1, rows, spread), vectors(2, rows, spread)
    texts[[5, 70]] = 0  # no caption
    uids = np.array([f"{number:032x}" for number in range(rows)])
    others = np.array([number for number in range(rows) if number not in (5, 70)])[-chosen:]
    scores = s_clip_loss(images, texts, uids, Contrast(images[others], texts[others], uids[others]))
    assert np.isnan(scores[[5, 70]]).all() and np.isfinite(np.delete(scores, [5, 70])).all()
    for row in [0, 1, 64, rows - 1]:  # a sample counts once, of the set or not
        with_it = others if row in others else np.append(others, row)
        due = by_brute_force(images[row], texts[row], images[with_it], texts[with_it])
        assert scores[row] == pytest.approx(due, abs=1e-6)
    part = s_clip_loss(images[60:80], texts[60:80], uids[60:80], Contrast(images[others], texts[others], uids[others]))
    np.testing.assert_array_equal(part, scores[60:80])


def test_a_hash_is_that_of_the_uid_alone() -> None:
    found = hashes(["a" * 32, "b" * 32])
    assert found[1] == int.from_bytes(hashlib.blake2b(b"b" * 32, digest_size=8).digest(), "big")
    assert len(hashes([])) == 0
