"""An example scorer on embeddings: a linear probe, for example from scikit-learn's logistic regression.

    bin/score.py --scorer examples/embedding_scorer.py:Probe --model-dir models ...

It runs in SCORE, on the embeddings stored by EMBED, so it can be added to a finished run without embedding again.
Needs models/probe.npz with `weight` (dim,) and `bias` (), trained on unit embeddings of the run's encoder.
"""

from pathlib import Path

import numpy as np

from pycurate.errors import ModelError


class Probe:
    """A logistic probe. Implements pycurate.models.protocols.EmbeddingScorer: it has no `view`, so it
    receives embeddings.
    """

    name = "probe"  # of the score column, as in decide.py --min-score probe=0.5

    # List the encoders that the probe was trained on to refuse any others; leave it out to accept any encoder.
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
