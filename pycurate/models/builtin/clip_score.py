"""The CLIP score: how well a caption fits its image, as the cosine of their embeddings by one model.

Hessel et al., CLIPScore (2021), without its factor of 2.5. As a threshold on the raw cosine it is the strongest
single filter of the DataComp benchmark (Gadre et al. 2023). Good values depend on the model: LAION kept 0.28 and more
for OpenAI's ViT-B/32. Computed from stored embeddings, so a finished run needs no embedding again.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pycurate.errors import UsageError
from pycurate.parameters import default_of
from pycurate.plugins import TORCHSCRIPT, is_class


def check_text(encoder: str) -> None:
    """Raise UsageError if the encoder has no text tower, ModelError if the tokenizer of that is not at hand.

    That is seen without weights.
    """
    if is_class(encoder) or encoder.startswith(TORCHSCRIPT):
        raise UsageError(
            f"{encoder} cannot embed captions; a CLIP score or a concept by words needs an open_clip model as the "
            "encoder."
        )
    from pycurate.models.builtin.openclip import check_tokenizer, find_source  # here, since open_clip takes seconds

    check_tokenizer(find_source(encoder).model)


class ClipScore:
    """Scores captions with the text tower of the open_clip model that embedded the images."""

    name = "clip_score"
    masked = "clip_score_masked"
    """The same of the image with its text painted over, from the embeddings `masked_emb`."""

    def __init__(self, encoder: str, model_dir: Path, device: str, precision: str = default_of("precision")) -> None:
        """Raises as `check_text`, and ModelError where weights are missing."""
        check_text(encoder)
        from pycurate.models.builtin.openclip import OpenClip  # here, since importing open_clip takes seconds

        self.tower = OpenClip(encoder, model_dir, device, precision)

    def embed(self, captions: Sequence[str | None]) -> np.ndarray:
        """n captions -> float32 (n, dim), unit length; zero where there is none, or nothing in it but white space."""
        rows = [row for row, caption in enumerate(captions) if caption and caption.strip()]
        texts = np.zeros((len(captions), self.tower.dim), np.float32)
        texts[rows] = self.tower.encode_text([captions[row] or "" for row in rows])
        return texts

    def score(self, embeddings: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Twice float32 (n, dim), unit length, `texts` of `embed` -> float32 (n,): cosines; NaN without a caption."""
        scores = np.einsum("nd,nd->n", embeddings.astype(np.float32), texts)
        return np.where(texts.any(axis=1), scores, np.float32(np.nan))
