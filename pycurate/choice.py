"""Which models a run uses, and loading them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pycurate.clip_score import ClipScore
from pycurate.models import EmbeddingScorer, Encoder, PixelScorer
from pycurate.presets import check_fit, find_preset, load_class, load_encoder, load_scorer, reads_pixels


@dataclass(frozen=True)
class ModelChoice:
    """The models of a run, by name (see pycurate.presets), and where: on `wanted`, or a GPU if there is one."""

    encoder: str
    scorers: tuple[str, ...]
    model_dir: Path
    wanted: str | None = None

    @property
    def device(self) -> str:
        """A torch device name. Asked for only by who makes a model, since to look for a GPU imports torch."""
        return self.wanted or default_device()

    def load_encoder(self) -> Encoder:
        """Make the encoder. Raises as presets.load_encoder does."""
        return load_encoder(self.encoder, self.model_dir, self.device)

    def load_pixel_scorers(self) -> list[PixelScorer]:
        """Make the scorers that are measured on pixels."""
        return [cast(PixelScorer, self._load(spec)) for spec in self.scorers if reads_pixels(spec)]

    def load_embedding_scorers(self) -> list[EmbeddingScorer]:
        """Make the scorers that are computed from embeddings."""
        return [cast(EmbeddingScorer, self._load(spec)) for spec in self.scorers if not reads_pixels(spec)]

    def pixel_scorer_classes(self) -> list[type[PixelScorer]]:
        """The classes of the pixel scorers; to read what they measured needs no weights."""
        return [load_class(spec) for spec in self.scorers if reads_pixels(spec)]

    def load_clip_score(self) -> ClipScore:
        """Make the scorer of captions. Raises UsageError if the encoder has no text tower."""
        return ClipScore(self.encoder, self.model_dir, self.device)

    def _load(self, spec: str) -> PixelScorer | EmbeddingScorer:
        return load_scorer(spec, self.model_dir, self.device, self.encoder)


def choose_models(
    preset: str,
    model_dir: Path,
    *,
    encoder: str | None = None,
    aesthetic: bool = True,
    nsfw: bool = True,
    scorers: tuple[str, ...] = (),
    device: str | None = None,
) -> ModelChoice:
    """The models of a preset, without the scorers that are off, with the user's own.

    Another `encoder` than the preset's brings no scorer with it: a head fits one encoder only.
    `device` None: cuda where there is one. Raises UsageError for an unknown preset, or a scorer that does not fit.
    """
    found = find_preset(preset)
    own = [found.aesthetic if aesthetic else None, found.nsfw if nsfw else None] if encoder is None else []
    names = tuple(dict.fromkeys([name for name in own if name] + list(scorers)))
    chosen = encoder or found.encoder
    for name in names:
        check_fit(name, chosen)
    return ModelChoice(chosen, names, model_dir, device)


def default_device() -> str:
    """cuda where there is a GPU, else cpu."""
    import torch  # here, since it takes seconds

    return "cuda" if torch.cuda.is_available() else "cpu"


def cores() -> int:
    """The cores that this process may use, which under Slurm or in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0))
