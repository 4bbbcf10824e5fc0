"""A scorer of your own, computed from embeddings: a linear probe, such as scikit-learn's logistic regression gives.

    bin/score.py --scorer examples/embedding_scorer.py:Probe --model-dir models ...

It runs in SCORE, on what EMBED has stored: a finished run gets the new column without embedding anything again.
Needs models/probe.npz with `weight` (dim,) and `bias` (), trained on unit embeddings of the run's encoder.
"""

from pathlib import Path

import numpy as np

from pycurate.errors import ModelError


class Probe:
    """A logistic probe. Implements pycurate.models.protocols.EmbeddingScorer: it has no `view`, so it is given
    embeddings.
    """

    name = "probe"  # of the column, and so of decide.py --min-score probe=0.5

    # Name the encoders that the probe was trained on, and any other pairing is refused; leave it out for any encoder.
    # encoders = ("ViT-L-14/openai",)

    def __init__(self, model_dir: Path, device: str) -> None:
        path = model_dir / "probe.npz"
        if not path.is_file():
            raise ModelError(f"{path} is missing; train the probe and save it there.")
        with np.load(path, allow_pickle=False) as arrays:
            self._weight, self._bias = arrays["weight"], float(arrays["bias"])

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 (n, dim), unit length -> float32 (n,): the logit."""
        return (embeddings @ self._weight + self._bias).astype(np.float32)

    @staticmethod
    def calibrate(raw: np.ndarray) -> np.ndarray:
        """float32 (n,) logit -> float32 (n,) probability."""
        return (1 / (1 + np.exp(-raw))).astype(np.float32)
