"""Embeddings of images without the text in them: T-MARS (Maini et al. 2023, arXiv:2307.03132)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from pycurate.errors import ModelError, UsageError
from pycurate.hardware import on_all_cores
from pycurate.images.decode import ImageInfo
from pycurate.images.filling import filled
from pycurate.images.render import place
from pycurate.models.batching import Rows, raised, start_encode
from pycurate.models.builtin.text_area import TextArea
from pycurate.models.protocols import Encoder, PixelScorer


@dataclass(frozen=True)
class Masking:
    """What embeds images with their text painted over: the encoder that also sees them as they are, and what finds
    the text."""

    encoder: Encoder
    scorer: TextArea

    @classmethod
    def of(cls, encoder: Encoder, scorers: Sequence[PixelScorer]) -> Self:
        """With the one among the scorers that finds text. Raises UsageError if there is none."""
        for scorer in scorers:
            if isinstance(scorer, TextArea):
                return cls(encoder, scorer)
        raise UsageError("Embeddings without text require a TextArea among the pixel scorers.")

    def find(
        self, pixels: torch.Tensor, images: Sequence[ImageInfo], partition: str, samples: Sequence[str]
    ) -> list[np.ndarray]:
        """As TextArea.boxes. Raises ModelError, naming partition and samples, if that raises."""
        try:
            return self.scorer.boxes(pixels, images)
        except Exception as error:
            raise ModelError(raised(self.scorer, error, partition, samples)) from error

    def start(
        self,
        whole: Rows,
        pixels: torch.Tensor,
        text: Sequence[np.ndarray],
        images: Sequence[ImageInfo],
        partition: str,
        samples: Sequence[str],
    ) -> Rows:
        """As start_encode, of `pixels` with the boxes of `text` (TextArea.boxes) painted over.

        `whole` are the embeddings of `pixels` as they are, which images without text keep.
        """
        rows = [row for row, boxes in enumerate(text) if len(boxes)]
        if not rows:
            return whole
        places = [place(self.encoder.view, images[row].height, images[row].width) for row in rows]
        views = zip(pixels[rows].cpu().numpy(), [text[row] for row in rows], places, strict=True)
        painted = torch.from_numpy(np.stack(on_all_cores(lambda view: filled(*view), views))).to(pixels.device)
        part = start_encode(self.encoder, painted, partition, [samples[row] for row in rows])

        def finish() -> np.ndarray:
            vectors = whole().copy()
            vectors[rows] = part()
            return vectors

        return finish
