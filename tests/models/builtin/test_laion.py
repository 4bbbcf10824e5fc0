"""Heads give the published models' scores, on a scale whose thresholds mean what the README says."""

from pathlib import Path

import numpy as np
import pytest

from pycurate.errors import ModelError
from pycurate.models.batching import checked_embedding_score
from pycurate.models.builtin.laion import (
    HEADS,
    AestheticV1B16,
    AestheticV1B32,
    AestheticV1L14,
    AestheticV2L14,
    Head,
    LinearHead,
    NsfwB32,
    NsfwL14,
)


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs", "tolerance"),
    [
        (AestheticV2L14, "l14_x", "l14_aesthetic_mlp", 1e-4),
        (AestheticV1L14, "l14_x", "l14_aesthetic_linear", 1e-4),
        (AestheticV1B32, "b32_x", "b32_aesthetic_linear", 1e-4),
        (NsfwL14, "l14_x", "l14_nsfw", 5e-4),
        (NsfwB32, "b32_x", "b32_nsfw", 1e-5),
    ],
)
def test_scores_are_those_of_the_published_model(
    heads: Path, kind: type[Head], inputs: str, outputs: str, tolerance: float
) -> None:
    expected = np.load(heads / "expected.npz")
    scores = kind(heads, "cpu").score(expected[inputs])
    assert scores.dtype == np.float32
    assert scores.shape == (74,)
    np.testing.assert_allclose(scores, expected[outputs], rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", HEADS)
def test_a_score_does_not_depend_on_its_neighbours(heads: Path, kind: type[Head]) -> None:
    head = kind(heads, "cpu")
    vectors = np.random.default_rng(0).standard_normal((1500, head.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [str(row) for row in range(1500)]
    together = checked_embedding_score(head, vectors, "0", names)
    apart = [checked_embedding_score(head, vectors[a:b], "0", names[a:b]) for a, b in ((0, 1), (1, 700), (700, 1500))]
    assert np.array_equal(np.concatenate(apart), together)


@pytest.mark.parametrize("kind", HEADS)
def test_a_score_does_not_depend_on_its_place_its_neighbours_or_its_address(heads: Path, kind: type[Head]) -> None:
    head, random = kind(heads, "cpu"), np.random.default_rng(0)
    vectors = random.normal(size=(67, head.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.concatenate([head.score(vector[np.newaxis]) for vector in vectors])
    for count in range(1, 68):
        which = random.integers(0, 67, count)
        room = np.empty(count * head.dim + 16, dtype=np.float32)
        at = int(random.integers(16))  # of 64 bytes
        placed = room[at : at + count * head.dim].reshape(count, head.dim)
        placed[:] = vectors[which]
        assert np.array_equal(head.score(placed), expected[which])


def test_reference_embeddings_are_rated_in_their_order(heads: Path) -> None:
    """LAION's reference embeddings for ratings 0-9: each next one is rated higher, by every aesthetic head."""
    expected = np.load(heads / "expected.npz")
    for kind, inputs in ((AestheticV2L14, "l14_x"), (AestheticV1L14, "l14_x"), (AestheticV1B32, "b32_x")):
        assert (np.diff(kind(heads, "cpu").score(expected[inputs][:10])) > 0).all()


def kept(rating: float, ratings: list[float], shares: list[float]) -> float:
    """The share of a set above a rating, by a line through published shares on a normal scale."""
    from scipy.stats import norm

    return float(norm.sf(np.interp(rating, ratings, norm.isf(shares))))


def rating_at(kind: type[LinearHead], score: float) -> float:
    """The raw rating to which `calibrate` gives this score."""
    ratings = np.linspace(-5, 15, 200_001)
    return float(np.interp(score, kind.calibrate(ratings.astype(np.float32)), ratings))


def test_v2_puts_thresholds_where_the_published_shares_of_laion_2b_lie() -> None:
    ratings, shares = [4.5, 5.0, 6.0], [0.52, 0.26, 0.005]  # LAION-2B: 1.2, 0.6 and 0.012 of 2.3 billion
    assert 0.4 < kept(rating_at(AestheticV2L14, 0.5), ratings, shares) < 0.5  # near the median
    assert 0.17 < kept(rating_at(AestheticV2L14, 0.7), ratings, shares) < 0.23  # near the best fifth
    assert 0.005 < kept(rating_at(AestheticV2L14, 0.9), ratings, shares) < 0.015  # near the best hundredth
    found = AestheticV2L14.calibrate(np.array(ratings, dtype=np.float32))
    assert found[0] < 0.5 < found[1] < 0.7 < 0.9 < found[2]  # 52 % is below balanced, 26 % below high, 0.5 % above 0.9


def test_v1_gives_a_threshold_the_meaning_that_it_has_with_v2() -> None:
    """The published rows of LAION-5B: above 7, 120 million of 5.85 billion; above 8, 8 million."""
    v1 = AestheticV1L14.calibrate(np.array([7, 8], dtype=np.float32))
    for score, share in zip(v1, (120 / 5850, 8 / 5850), strict=True):
        # The last two published shares of V2, and the line through them beyond the last.
        from scipy.stats import norm

        slope = norm.isf(0.005) - norm.isf(0.26)
        same = norm.sf(norm.isf(0.26) + slope * (rating_at(AestheticV2L14, float(score)) - 5))
        assert same == pytest.approx(share, rel=0.02)


@pytest.mark.parametrize("kind", [AestheticV2L14, AestheticV1B16])
def test_calibrated_scores_are_in_0_to_1_and_keep_the_order(kind: type[LinearHead]) -> None:
    scores = kind.calibrate(np.array([-1e6, -3, 0, 3, 4.5, 5, 6, 9, 1e6], dtype=np.float32))
    assert scores.dtype == np.float32
    assert scores[0] == 0
    assert scores[-1] == 1
    assert (np.diff(scores) > 0).all()


def test_a_file_with_something_else_in_it_is_refused(heads: Path, tmp_path: Path) -> None:
    published = NsfwB32.weights[0]
    (tmp_path / published.file).write_bytes((heads / published.file).read_bytes()[:-1])
    with pytest.raises(ModelError, match="has SHA-256"):
        NsfwB32(tmp_path, "cpu")
