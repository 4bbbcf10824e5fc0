"""Published heads that score CLIP embeddings: LAION's aesthetic predictors and NSFW detectors.

Each fits one encoder, named in `encoders`, and needs its embeddings at unit length. A dozen small matrices are
evaluated in float64 on the CPU, each embedding by itself: a head then gives the same number wherever it runs, and
whatever comes before and after a row.
"""

import pickle
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from pycurate.errors import ModelError
from pycurate.models import weights
from pycurate.models.weights import Weights


class Head:
    """What the heads share: their weights are in one published file, and they fit some encoders only."""

    name: str
    encoders: ClassVar[tuple[str, ...]]
    weights: ClassVar[tuple[Weights, ...]]
    dim: int

    def __init__(self, model_dir: Path, device: str) -> None:
        """Read the weights in `model_dir`. Raises ModelError if they are missing, altered or not what they should be.

        `device` is part of the protocol; a head is too small for a GPU.
        """
        del device
        kind = type(self)
        wanted_by = f"--encoder {self.encoders[0]} --scorer {kind.__module__}:{kind.__name__}"
        with weights.opened(self.weights[0], model_dir, wanted_by) as path:
            try:
                self.read(path)
            except (RuntimeError, ValueError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
                published = model_dir / self.weights[0].file
                raise ModelError(f"{published} does not contain what {kind.__name__} needs ({error}).") from error

    def read(self, path: Path) -> None:
        """Take the parameters out of the published file."""
        raise NotImplementedError

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 (n, dim), unit length -> float32 (n,), raw scale."""
        raise NotImplementedError


class LinearHead(Head):
    """One weight vector and a bias, with a logistic scale: `calibrate` is sigmoid((raw - centre) / width)."""

    name = "aesthetic"
    centre: ClassVar[float]
    width: ClassVar[float]

    def read(self, path: Path) -> None:
        """Linear layers one after the other, without activation between them, are one linear layer: fold them."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        arrays = [tensor.double().numpy() for tensor in state.values()]
        self.dim = arrays[0].shape[1]
        fold, bias = np.eye(self.dim), np.zeros(self.dim)
        for matrix, shift in zip(arrays[::2], arrays[1::2], strict=True):
            fold, bias = matrix @ fold, matrix @ bias + shift
        (self.vector,), (self.bias,) = fold, bias

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 (n, dim), unit length -> float32 (n,): a rating, about 1 to 10."""
        return (_each(embeddings.astype(np.float64), self.vector[:, np.newaxis])[:, 0] + self.bias).astype(np.float32)

    @classmethod
    def calibrate(cls, raw: np.ndarray) -> np.ndarray:
        """float32 (n,) rating -> float32 (n,) in 0-1."""
        return _sigmoid((raw.astype(np.float64) - cls.centre) / cls.width)


class AestheticV2L14(LinearHead):
    """LAION aesthetic predictor V2 for ViT-L/14.

    The scale puts 0.5 near the median of LAION-2B, 0.7 near its best fifth, 0.9 near its best hundredth. LAION
    published what ratings keep of it: 4.5 keeps 52 %, 5 keeps 26 %, 6 keeps 0.5 %.
    """

    encoders = ("ViT-L-14/openai",)
    weights = (weights.AESTHETIC_V2_L14,)
    centre = 4.65
    width = 0.565


class AestheticV1(LinearHead):
    """LAION aesthetic predictor V1, trained on 4,000 images rated 0-10; its ratings spread wider than V2's.

    Scale: of the 5.85 billion pairs of LAION-5B, LAION published the 120 million above 7 (2.05 %) and the 8 million
    above 8 (0.137 %) by the L/14 head. The two numbers here give these ratings the value that V2's scale gives to
    the ratings that keep the same shares of LAION-2B (5.72 and 6.22, by a normal curve through V2's published
    shares), so that a threshold means about the same with either head. For the heads of B/32 and B/16 no shares are
    published; they were trained on the same ratings, so they are given the same scale.
    """

    centre = 4.82
    width = 1.146


class AestheticV1L14(AestheticV1):
    """V1 for ViT-L/14."""

    encoders = ("ViT-L-14/openai",)
    weights = (weights.AESTHETIC_V1_L14,)


class AestheticV1B32(AestheticV1):
    """V1 for ViT-B/32."""

    encoders = ("ViT-B-32/openai",)
    weights = (weights.AESTHETIC_V1_B32,)


class AestheticV1B16(AestheticV1):
    """V1 for ViT-B/16."""

    encoders = ("ViT-B-16/openai",)
    weights = (weights.AESTHETIC_V1_B16,)


class NsfwHead(Head):
    """LAION's NSFW detector: the input standardised, dense layers with ReLU between them, a sigmoid at the end."""

    name = "nsfw"
    widths: ClassVar[tuple[int, ...]]

    def read(self, path: Path) -> None:
        """The little-endian float32 tensors lie one after the other in the SavedModel's data file, the optimiser's
        after them: mean, variance, a counter of 8 bytes, then kernel (in, out) and bias (out) of each layer."""
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("variables.data-00000-of-00001"))
            data = archive.read(name)
        dim = self.dim = self.widths[0]
        mean, variance = np.frombuffer(data, "<f4", 2 * dim).astype(np.float64).reshape(2, dim)
        self.mean, self.deviation = mean, np.sqrt(variance)
        self.layers: list[tuple[np.ndarray, np.ndarray]] = []
        at = 2 * dim * 4 + 8
        for rows, columns in zip(self.widths[:-1], self.widths[1:], strict=True):
            kernel = np.frombuffer(data, "<f4", rows * columns, at).reshape(rows, columns)
            bias = np.frombuffer(data, "<f4", columns, at + 4 * rows * columns)
            self.layers.append((kernel.astype(np.float64), bias.astype(np.float64)))
            at += 4 * (rows + 1) * columns

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 (n, dim), unit length -> float32 (n,): the probability of "not safe for work"."""
        x = (embeddings.astype(np.float64) - self.mean) / self.deviation
        for kernel, bias in self.layers[:-1]:
            x = np.maximum(_each(x, kernel) + bias, 0)
        kernel, bias = self.layers[-1]
        return _sigmoid((_each(x, kernel) + bias)[:, 0])


class NsfwL14(NsfwHead):
    """The detector for ViT-L/14."""

    encoders = ("ViT-L-14/openai",)
    weights = (weights.NSFW_L14,)
    widths = (768, 64, 512, 256, 1)


class NsfwB32(NsfwHead):
    """The detector for ViT-B/32."""

    encoders = ("ViT-B-32/openai",)
    weights = (weights.NSFW_B32,)
    widths = (512, 32, 32, 1)


def _each(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(n, k) times (k, m) -> (n, m), as n products of one row: within one product rows may be rounded differently."""
    return (rows[:, np.newaxis] @ matrix)[:, 0]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x)).astype(np.float32)


HEADS: tuple[type[Head], ...] = (AestheticV2L14, AestheticV1L14, NsfwL14, AestheticV1B32, NsfwB32, AestheticV1B16)
