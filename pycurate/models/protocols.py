"""What an encoder and a scorer are.

A model is named as `module:Class`; pycurate's own are named in the same way in presets.json. Classes are made with
`Class(model_dir, device)`: the folder that holds weights, and a torch device name.

A class may have besides
    batch      how many rows it is always given at once, so that a row's result does not depend on how many come with
               it; None if it computes each row by itself: on a CPU it is then called in a thread that its class has to
               itself. Without it, an image is alone on a CPU (see pycurate.models.batching)
    encoders   scorers: the names of the encoders that it fits; any other is refused
    sha256     encoders: the SHA-256 of its weights, recorded with its embeddings; by default, that of `weights`
    weights    the published files that it needs, as pycurate.models.weights.Weights; `models.py fetch` brings them
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:  # torch takes seconds to import, and most stages need no more of a model than its name
    import torch

    from pycurate.images.decode import ImageInfo

from pycurate.images.views import View


class Encoder(Protocol):
    """Pixels to embeddings."""

    name: str
    dim: int
    view: View

    def __init__(self, model_dir: Path, device: str) -> None: ...

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (n, 3, view.height, view.width), RGB -> float32 (n, dim). EMBED brings the rows to unit length."""


class PixelScorer(Protocol):
    """A score measured on pixels, in EMBED.

    A scorer whose raw scale is not 0-1 has besides `calibrate`, a static method: float32 (n,) raw -> float32 (n,) in
    0-1, the scale of thresholds. SCORE then writes both, the raw score as `NAME_raw`.
    """

    name: str  # of the column
    view: View

    def __init__(self, model_dir: Path, device: str) -> None: ...

    def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
        """uint8 (n, 3, view.height, view.width), RGB, and what is known of each image -> float32 (n,), raw scale."""


class EmbeddingScorer(Protocol):
    """A score computed from embeddings, in SCORE. It may have `calibrate`, as a PixelScorer may."""

    name: str

    def __init__(self, model_dir: Path, device: str) -> None: ...

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 (n, dim), unit length -> float32 (n,), raw scale."""
