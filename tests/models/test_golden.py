"""The golden numbers are those of the published models, and of no other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pycurate.models.builtin.efficientnet import EfficientNetLite0
from pycurate.models.builtin.laion import (
    HEADS,
    Head,
)
from pycurate.models.builtin.opennsfw import OpenNSFW
from pycurate.models.golden import GOLDEN, answers, golden_vectors


@pytest.mark.parametrize("kind", HEADS)
def test_golden_scores_hold(heads: Path, kind: type[Head]) -> None:
    head = kind(heads, "cpu")
    golden = GOLDEN[f"pycurate.models.builtin.laion:{kind.__name__}"]
    np.testing.assert_allclose(head.score(golden_vectors(head.dim)), golden.values, rtol=0, atol=golden.within)


@pytest.mark.parametrize("kind", [EfficientNetLite0, OpenNSFW])
def test_known_numbers_tell_a_model_of_pixels_from_another(kind: type[Any]) -> None:
    model, golden = kind(Path("/nonexistent"), "cpu"), GOLDEN[f"{kind.__module__}:{kind.__name__}"]
    assert np.abs(answers(model) - golden.values).max() < golden.within / 10
    method = "encode" if hasattr(model, "encode") else "score"
    ask = getattr(model, method)
    setattr(model, method, lambda pixels, *more: ask(pixels.flip(1), *more))  # blue first
    assert np.abs(answers(model) - golden.values).max() > golden.within * 3
