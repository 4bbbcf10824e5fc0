"""Encoders that are published as TorchScript: a file that holds the network's code beside its weights."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from pycurate.errors import ModelError, UsageError
from pycurate.files import unchanging
from pycurate.hardware import on_all_cores
from pycurate.images.render import normalise
from pycurate.images.views import View
from pycurate.models.identity import check_pin
from pycurate.plugins import TORCHSCRIPT, unpinned

FACTS = "pycurate.json"
"""An extra file within the model's (`_extra_files` of torch.jit.save): `view`, by the fields of View, `mean`, `std`."""

VIEW = View(320, 320, "squash", "bilinear")
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

FAILURES = (RuntimeError, torch.jit.Error)
"""What comes out of a model's code, whatever went wrong in it; the second where it says `raise`."""


class TorchScript:
    """A model in a file of torch.jit.save: float32 (n, 3, height, width), normalised -> float32 (n, dim).

    `spec` is `torchscript:FILE`, or `torchscript:FILE#SHA256` where the file must have that hash. Such a file is code
    as well as weights, which torch runs: name none that you do not trust. What the model wants, it says in FACTS;
    else it gets VIEW and IMAGENET, the square input that the authors of SSCD publish for their models.

    Raises UsageError where there is no file, ModelError for one that is no such model or has another hash.
    """

    name = "torchscript"

    def __init__(self, spec: str, device: str) -> None:
        self.identity = self.name  # not its path: the file may lie elsewhere the next time
        file, due = unpinned(spec.removeprefix(TORCHSCRIPT))
        try:
            with unchanging(Path(file)) as (name, self.sha256):
                check_pin(file, self.sha256, due)
                self._load(name, file, device)
        except FileNotFoundError as error:
            raise UsageError(f"There is no file {file} to load a TorchScript model from.") from error
        except OSError as error:
            raise ModelError(f"{file} cannot be read ({error}).") from error

    def _load(self, path: Path, shown: str, device: str) -> None:
        """Make it of the file at `path`, which errors call `shown`. Raises ModelError."""
        self._device = torch.device(device)
        if self._device.type == "cpu":
            self.batch: int | None = None  # it takes any number, see pycurate.models.protocols
        try:
            self._model, facts = _read(path, device)
            self.view = View(**facts["view"]) if "view" in facts else VIEW
            values = (facts.get(name, default) for name, default in IMAGENET.items())
            self._mean, self._std = (torch.tensor(three, device=self._device).float().reshape(3) for three in values)
            probe = torch.zeros(1, 3, self.view.height, self.view.width, dtype=torch.uint8, device=self._device)
            _, self.dim = self._run(probe).shape
        except (AttributeError, TypeError, ValueError, UsageError, *FAILURES) as error:  # UsageError: of the View
            raise ModelError(
                f"{shown} is no TorchScript model that makes rows of numbers from images ({_gist(error)}); see "
                "TorchScript in docs/models.md."
            ) from error

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (n, 3, view.height, view.width), RGB -> float32 (n, dim), as the model gives it."""
        if self._device.type == "cpu":
            rows = on_all_cores(self._run, pixels.split(1))
            return torch.cat(rows) if rows else torch.empty(0, self.dim)
        return self._run(pixels.to(self._device, non_blocking=True))

    def _run(self, pixels: torch.Tensor) -> torch.Tensor:
        # Unoptimised, since TorchScript's optimiser looks at the first calls and may round later ones otherwise.
        with torch.inference_mode(), torch.jit.optimized_execution(False):
            images = normalise(pixels, self._mean, self._std)
            try:
                rows: torch.Tensor = self._model(images)
            except FAILURES as error:
                if "out of memory" in str(error):
                    raise torch.OutOfMemoryError(_gist(error)) from error
                raise
            return rows.float()


def _read(path: Path, device: str) -> tuple[Any, dict[str, Any]]:
    """The model, and what it says in FACTS. Raises what torch raises, or ValueError for FACTS that are none."""
    extra = {FACTS: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch now wants torch.export; the models are as published
        model = torch.jit.load(str(path), map_location=device, _extra_files=extra).eval()
    return model, dict(json.loads(extra[FACTS] or "{}"))


def _gist(error: Exception) -> str:
    """What TorchScript says last, since a traceback of the model's code comes first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
