"""A small TorchScript model in a file, as one is published, and what it gives."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pycurate.models.builtin.torchscript import FACTS

SIDE = 6
VIEW = {"height": SIDE, "width": SIDE, "resize": "squash", "interpolation": "bilinear"}


class Patches(torch.nn.Module):
    """Float32 (n, 3, h, w) -> (n, 12): the mean of each quarter of each channel, some of them weighted."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(1, weight, 12))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1) * self.weight


def write_model(path: Path, weight: float = 2, facts: Any = None, model: torch.nn.Module | None = None) -> Path:
    """Save a model; what it says of itself are `facts`, by default VIEW, a mean of 0.5 and a deviation of 1."""
    said = {"view": VIEW, "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]} if facts is None else facts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        scripted = torch.jit.script((model or Patches(weight)).eval())
        torch.jit.save(scripted, str(path), _extra_files={FACTS: json.dumps(said)} if said != {} else {})
    return path


def patches(images: np.ndarray, weight: float = 2) -> np.ndarray:
    """uint8 (n, SIDE, SIDE, 3) -> float64 (n, 12), unit length: what EMBED makes of images of the view's size."""
    half = SIDE // 2
    quarters = [images[:, y : y + half, x : x + half].mean((1, 2)) for y in (0, half) for x in (0, half)]
    rows = np.stack(quarters, axis=2).reshape(len(images), 12) / 255 - 0.5
    rows *= np.linspace(1, weight, 12)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
