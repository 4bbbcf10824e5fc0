"""Concepts: what words or examples show, and how much of it each image has.

**By words**, a prompt and one or more others: as CLIP classifies without examples (Radford et al. 2021,
arXiv:2103.00020), the softmax over the prompts of scale times cosine(image, prompt), where scale is the model's own
(100 for OpenAI's). The score is the probability of the first prompt; a sample belongs to the concept from 0.5 on.

**By examples**: the cosine between the image and the mean of the examples' embeddings, each of length 1. A sample
belongs to the concept if it is as near to the mean as half of the examples are.
"""

from dataclasses import dataclass

import numpy as np

from pycurate.comparison.products import unit

EVEN = 0.5  # the probability from which a sample belongs to a concept by words


@dataclass(frozen=True)
class Concept:
    """One concept.

    Attributes:
        directions: float64 (prompts, dim), or (1, dim) of examples; unit length.
        scale: of the cosines in the softmax; 0 where the score is the cosine itself.
        threshold: the score from which a sample belongs to it.
    """

    directions: np.ndarray
    scale: float
    threshold: float

    @classmethod
    def of_words(cls, texts: np.ndarray, scale: float) -> "Concept":
        """By the embeddings of prompts, float (prompts, dim), the first of which is the concept's."""
        return cls(unit(texts), scale, EVEN)

    @classmethod
    def of_examples(cls, images: np.ndarray) -> "Concept":
        """By the embeddings of images, float (n, dim) with n > 0."""
        each = unit(images)
        mean = unit(each.mean(axis=0, keepdims=True))
        return cls(mean, 0.0, float(np.median(_along(each, mean))))

    def score(self, images: np.ndarray) -> np.ndarray:
        """float (n, dim) -> float32 (n,)."""
        found = _along(unit(images), self.directions)
        if not self.scale:
            return found[:, 0].astype(np.float32)
        weights = np.exp(self.scale * (found - found.max(axis=1, keepdims=True)))
        return (weights[:, 0] / weights.sum(axis=1)).astype(np.float32)


def _along(vectors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """float64 (n, dim), (m, dim) -> (n, m): the products, summed row by row, whichever rows come together."""
    return np.stack([np.einsum("nd,d->n", vectors, direction) for direction in directions], axis=1)
