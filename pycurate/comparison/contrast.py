"""s-CLIPLoss: how well a caption fits its image, less what the image has in common with any caption, and the reverse.

Wang et al. 2024 (arXiv:2405.19547, there first called negCLIPLoss). With c the cosine of image i and caption j,

    s_i = c_ii - tau/2 (log sum_j exp(c_ij / tau) + log sum_j exp(c_ji / tau))

which is the negative of the loss that sample i has in CLIP's training, times tau. The paper takes the mean over batches
drawn at random; here all samples are compared with one set, that of the captioned samples of the whole input whose uids
have the smallest hashes. So no batch and no split matters. j goes through this set and through i itself, which counts
once whether it is of the set or not.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pycurate.comparison.products import cosines

TAU = 0.01  # of the published models
SIZE = 32768  # samples to compare with: a batch of the paper
BLOCK = 256  # rows that are compared at a time


@dataclass(frozen=True)
class Contrast:
    """What all samples are compared with: float16 (m, dim) twice, each row of one sample, and the uids, str (m,)."""

    images: np.ndarray
    texts: np.ndarray
    uids: np.ndarray


def hashes(uids: Iterable[str]) -> np.ndarray:
    """uint64 (n,): the first eight bytes of each uid's BLAKE2b."""
    return np.frombuffer(b"".join(hashlib.blake2b(uid.encode(), digest_size=8).digest() for uid in uids), ">u8")


def s_clip_loss(images: np.ndarray, texts: np.ndarray, uids: np.ndarray, contrast: Contrast) -> np.ndarray:
    """float32 (n,): s_i of each sample; NaN where its row of `texts` is zero, as without a caption.

    Args:
        images: float16 (n, dim), unit length.
        texts: float16 (n, dim), the same of the captions.
        uids: str (n,), by which a sample is known among the contrast set.
        contrast: what they are compared with.
    """
    scores = np.full(len(images), np.nan, np.float32)
    captioned = np.flatnonzero(texts.any(axis=1))
    inside = np.isin(uids, contrast.uids)
    for start in range(0, len(captioned), BLOCK):
        rows = captioned[start : start + BLOCK]
        own = np.array([cosines(images[[row]], texts[[row]])[0, 0] for row in rows])
        itself = np.where(inside[rows], 0, _exponential(own))
        by_text = _exponential(cosines(images[rows], contrast.texts)).sum(axis=1) + itself
        by_image = _exponential(cosines(texts[rows], contrast.images)).sum(axis=1) + itself
        scores[rows] = own - TAU / 2 * (np.log(by_text) + np.log(by_image) + 2 / TAU)
    return scores


def _exponential(values: np.ndarray) -> np.ndarray:
    """exp((values - 1) / TAU), which does not overflow, since a cosine is at most 1."""
    return np.exp((values - 1) / TAU)
