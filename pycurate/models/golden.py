"""Known numbers: what pycurate's own models give for inputs that anyone can make.

Vectors for heads are sin(k j / 100), j from 1 on, at unit length, for the k of VECTORS. Pixels are rings in colours of
skin, all in whole numbers, so that they are the same everywhere; for those of an encoder the numbers are the cosines of
its embeddings to the vectors.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

VECTORS = (7, 201, 319, 587, 2086, 2204, 4452, 9272)
RINGS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Golden:
    """Numbers, and how far off the same model may be on another machine."""

    values: Any  # of the shape of what `answers` gives
    within: float


def _head(*values: float) -> Golden:
    return Golden(values, 5e-4)  # the difference of LAION's own port of the NSFW head


GOLDEN = {
    # Computed from the published layers, one by one, in float64.
    "pycurate.models.builtin.laion:AestheticV2L14": _head(
        5.30666, 5.72954, 5.35110, 5.60024, 5.94248, 5.50798, 4.74874, 3.96768
    ),
    "pycurate.models.builtin.laion:AestheticV1L14": _head(
        4.04763, 4.13833, 3.72448, 3.35992, 4.24950, 3.69808, 2.95881, 1.40622
    ),
    "pycurate.models.builtin.laion:NsfwL14": _head(
        0.00000, 0.96998, 0.00004, 0.00048, 0.98811, 0.00006, 0.96659, 0.96247
    ),
    "pycurate.models.builtin.laion:AestheticV1B32": _head(
        2.82129, 2.60989, 3.39668, 3.52392, 2.71531, 3.36033, 3.01016, 4.93003
    ),
    "pycurate.models.builtin.laion:NsfwB32": _head(
        0.00000, 0.00000, 1.00000, 0.45193, 0.00000, 1.00000, 0.00087, 0.00001
    ),
    "pycurate.models.builtin.laion:AestheticV1B16": _head(
        3.44481, 5.08060, 3.54265, 2.99047, 4.82733, 3.52689, 1.99971, 2.09067
    ),
    # Computed by torch from the published tensors, in float64.
    "pycurate.models.builtin.efficientnet:EfficientNetLite0": Golden(
        (
            (0.02174, 0.03334, 0.01294, -0.02997, 0.02970, 0.01427, 0.02778, -0.01524),
            (0.00554, -0.00426, -0.03049, -0.00368, -0.01264, -0.03497, 0.01337, -0.02644),
            (0.01025, -0.01214, -0.04580, 0.01550, -0.02166, -0.05447, 0.01119, -0.01504),
            (0.01357, -0.01616, -0.04813, 0.02160, -0.02322, -0.05235, 0.00041, -0.00227),
        ),
        5e-4,
    ),
    # By the package's own classifier. The model's preparation has a JPEG in it, and encoders differ.
    "pycurate.models.builtin.opennsfw:OpenNSFW": Golden((0.3578, 0.2148, 0.1232, 0.0223), 0.01),
}


def golden_vectors(dim: int) -> np.ndarray:
    """float32 (8, dim), unit length."""
    waves = np.sin(np.outer(VECTORS, np.arange(1, dim + 1) * 0.01))
    return (waves / np.linalg.norm(waves, axis=1, keepdims=True)).astype(np.float32)


def golden_pixels(height: int, width: int) -> torch.Tensor:
    """uint8 (4, 3, height, width), RGB."""
    y, x = np.mgrid[:height, :width]
    waves = [(k * (x * x + 3 * y * y) // 256) % 256 // 4 - 32 for k in RINGS]
    return torch.from_numpy(np.array([[level + wave for level in (200, 150, 120)] for wave in waves], dtype=np.uint8))


def answers(model: Any) -> np.ndarray:
    """What the model gives for its golden input: a score for each image or vector, an encoder (4, 8) cosines."""
    if not hasattr(model, "view"):
        return model.score(golden_vectors(model.dim))
    pixels = golden_pixels(model.view.height, model.view.width)
    if not hasattr(model, "encode"):
        return model.score(pixels, [])
    embeddings = torch.nn.functional.normalize(model.encode(pixels).cpu())
    return embeddings.numpy() @ golden_vectors(model.dim).T
