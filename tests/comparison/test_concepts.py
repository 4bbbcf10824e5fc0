"""A concept by words is a softmax over prompts, one by examples the cosine to their mean."""

import numpy as np
import torch

from pycurate.comparison.concepts import Concept


def unit(seed: int, rows: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, 24)) + 0.5
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_by_words_it_is_the_probability_of_the_first_prompt() -> None:
    images, prompts = unit(0, 30).astype(np.float16), unit(1, 3).astype(np.float32)
    concept = Concept.of_words(prompts, 100.0)
    wide = images.astype(np.float64)
    cosines = wide / np.linalg.norm(wide, axis=1, keepdims=True) @ prompts.astype(np.float64).T
    due = torch.softmax(torch.from_numpy(100 * cosines), dim=1)[:, 0].numpy()
    scores = concept.score(images)
    assert scores.dtype == np.float32 and concept.threshold == 0.5
    np.testing.assert_allclose(scores, due, atol=1e-5)
    np.testing.assert_array_equal(concept.score(images[3:5]), scores[3:5])


def test_by_examples_half_of_them_belong_to_it() -> None:
    images, examples = unit(2, 30).astype(np.float16), unit(3, 21).astype(np.float16)
    concept = Concept.of_examples(examples)
    mean = torch.nn.functional.normalize(torch.from_numpy(examples).double(), dim=1).mean(dim=0)
    due = torch.nn.functional.cosine_similarity(torch.from_numpy(images).double(), mean[None]).numpy()
    np.testing.assert_allclose(concept.score(images), due, atol=1e-6)
    assert int((concept.score(examples) >= np.float32(concept.threshold)).sum()) == 11
