"""The CLIP score: how well a caption fits its image, as the cosine of their embeddings by one model.

Hessel et al., CLIPScore (2021), without its factor of 2.5. As a threshold on the raw cosine it is the strongest
single filter of the DataComp benchmark (Gadre et al. 2023). Good values depend on the model: LAION kept 0.28 and more
for OpenAI's ViT-B/32. Computed from stored embeddings, so a finished run needs no embedding again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from pycurate.errors import UsageError
from pycurate.presets import is_class


class ClipScore:
    """Scores captions with the text tower of the open_clip model that embedded the images."""

    name = "clip_score"

    def __init__(self, encoder: str, model_dir: Path, device: str) -> None:
        """Raises UsageError if the encoder has no text tower, ModelError where its weights or tokenizer are missing."""
        if is_class(encoder):
            raise UsageError(f"{encoder} reads no captions; a CLIP score needs an open_clip model as the encoder.")
        from pycurate.openclip import OpenClip  # here, since importing open_clip takes seconds

        self._model = OpenClip(encoder, model_dir, device)

    def score(self, embeddings: np.ndarray, captions: Sequence[str | None]) -> np.ndarray:
        """float32 (n, dim), unit length, and n captions -> float32 (n,): the cosine; NaN where there is no caption."""
        scores = np.full(len(captions), np.nan, dtype=np.float32)
        rows = [row for row, caption in enumerate(captions) if caption and caption.strip()]
        texts = self._model.encode_text([captions[row] or "" for row in rows])
        scores[rows] = np.einsum("nd,nd->n", embeddings[rows].astype(np.float32), texts)
        return scores


@dataclass(frozen=True)
class MinClipScore:
    """Pass a sample whose CLIP score is at least `minimum`, and one that has none; HasCaption drops the latter."""

    minimum: float
    reason: ClassVar[str] = "clip_score"

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,). Raises UsageError if there is no column clip_score."""
        if ClipScore.name not in table.column_names:
            raise UsageError("There is no clip_score to put a threshold on; score with --clip-score first.")
        # Scores are stored as float32: the threshold is rounded alike, so that a score printed as 0.3 passes 0.3.
        return ~(table[ClipScore.name].to_numpy().astype(np.float64) < np.float32(self.minimum))
