"""Presets, and how models are found by name: pycurate's own, open_clip's and the user's, all in one way.

A model is named by
    MODULE:CLASS              a class in an importable module, such as pycurate.models.builtin.quality:Quality
    path/to/file.py:CLASS     a class in a file
    either with =NUMBER       filters: the class made with that value, such as pycurate.filters.metadata:MinSide=300
    MODEL/TAG                 encoders: an open_clip pair, such as ViT-L-14/openai
    MODEL/PATH                encoders: an open_clip architecture and a checkpoint, such as ViT-B-32//data/mine.pt
    local-dir:FOLDER          encoders: a folder with open_clip_config.json and a checkpoint
    torchscript:FILE          encoders: a model in a file of torch.jit.save
"""

import inspect
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

from pycurate.errors import ModelError, UsageError
from pycurate.images.views import View
from pycurate.models.protocols import EmbeddingScorer, Encoder, PixelScorer
from pycurate.parameters import default_of
from pycurate.plugins import (
    TORCHSCRIPT,
    called,
    check_arguments,
    check_method,
    is_class,
    load_class,
    nearest,
    one_name,
    unpinned,
)


@dataclass(frozen=True)
class Preset:
    """One entry of presets.json.

    Attributes:
        name: by which --preset asks for it.
        encoder: what it embeds with, by name.
        text: whether the encoder has a text tower.
        scorers: {score: the class that gives it}.
        dedup_encoder: whose embeddings are compared for duplicates: a name in DESCRIPTORS, or SAME.
        dedup_threshold: cosine of duplicates among the embeddings of `encoder`.
    """

    name: str
    encoder: str
    text: bool
    scorers: dict[str, str]
    dedup_encoder: str
    dedup_threshold: float

    @property
    def threshold(self) -> float:
        """Cosine of duplicates among the embeddings of `dedup_encoder`."""
        return self.dedup_threshold if self.dedup_encoder == SAME else DESCRIPTORS[self.dedup_encoder].dedup_threshold

    def models(self) -> set[str]:
        """The names of its encoders and scorers."""
        descriptor = set() if self.dedup_encoder == SAME else {DESCRIPTORS[self.dedup_encoder].encoder}
        return {self.encoder, *self.scorers.values()} | descriptor


@dataclass(frozen=True)
class Descriptor:
    """One entry of descriptors.json: an encoder made to find copies, and the cosine of duplicates by it."""

    encoder: str
    dedup_threshold: float


def _entries(file: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / file).read_text(encoding="utf-8"))
    return entries


PRESETS = {
    name: Preset(name, **entry | {"scorers": {score: one["class"] for score, one in entry["scorers"].items()}})
    for name, entry in _entries("presets.json").items()
}

DESCRIPTORS = {name: Descriptor(**entry) for name, entry in _entries("descriptors.json").items()}

SAME = "same"
"""What `--dedup-encoder` calls the encoder that scores."""


def find_preset(name: str) -> Preset:
    """The preset of this name. Raises UsageError, naming the nearest right name, if there is none."""
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}{nearest(name, PRESETS)}; presets are {', '.join(PRESETS)}.")
    return PRESETS[name]


def find_descriptor(name: str) -> str | None:
    """The encoder, by name, that `--dedup-encoder` means; None for SAME. Raises UsageError for what can be none."""
    if name == SAME or name in DESCRIPTORS:
        return DESCRIPTORS[name].encoder if name in DESCRIPTORS else None
    if not any(sign in name for sign in ":/"):
        known = [SAME, *DESCRIPTORS]
        raise UsageError(
            f"there is no duplicate descriptor {name!r}{nearest(name, known)}; give {', '.join(known)}, "
            "torchscript:FILE, module:Class or another encoder."
        )
    return name


def dedup_threshold_of(encoder: str) -> float | None:
    """The cosine of duplicates among the embeddings of the encoder that says this of itself; None if none is known."""
    presets = {one.encoder: one.dedup_threshold for one in PRESETS.values()}
    return (presets | {one.encoder: one.dedup_threshold for one in DESCRIPTORS.values()}).get(one_name(encoder))


def is_open_clip(spec: str) -> bool:
    """Whether an encoder of this name is an open_clip model."""
    return not is_class(spec) and not spec.startswith(TORCHSCRIPT)


def load_encoder(spec: str, model_dir: Path, device: str, precision: str = default_of("precision")) -> Encoder:
    """Make the encoder named by `spec` (see the top of this module), with its weights out of `model_dir`.

    `precision` is that of open_clip's models (pycurate.models.precision); others have one of their own.

    Never touches the network. Raises UsageError for an unknown name, a device that is not there, or a class that does
    not say what an encoder says, ModelError where weights are missing or wrong.
    """
    check_device(device)
    if is_class(spec):
        check_encoder(spec)
        kind = load_class(spec)
        with called(f"{spec} cannot be created: it", ModelError):
            made: Encoder = kind(model_dir, device)
            fits = _is_count(getattr(made, "dim", None)) and isinstance(getattr(made, "view", None), View)
            _check_optional(spec, made)
        if not fits:
            raise UsageError(
                f"{spec} is not an encoder: it needs `dim`, the dimension of an embedding, and `view`, a "
                "pycurate.images.views.View; see Encoder in pycurate/models/protocols.py."
            )
        return made
    if spec.startswith(TORCHSCRIPT):
        from pycurate.models.builtin.torchscript import TorchScript  # here and below, since torch takes seconds

        return TorchScript(spec, device)
    from pycurate.models.builtin.openclip import OpenClip

    return OpenClip(spec, model_dir, device, precision)


def check_encoder(spec: str) -> None:
    """Raise UsageError where `spec` names no encoder, as far as that is seen without its weights."""
    if is_class(spec):
        check_method(spec, "an encoder", "encode", "pixels")
        check_arguments(spec, load_class(spec), "model_dir", "device")
        _check_optional(spec, load_class(spec))
    elif is_open_clip(spec):
        from pycurate.models.builtin.openclip import find_source  # here, since importing open_clip takes seconds

        find_source(spec)


def check_scorer(spec: str) -> None:
    """Raise UsageError where `spec` names no scorer, as far as that is seen without its weights."""
    kind = load_class(spec)
    view = getattr(kind, "view", None)
    if view is not None and not hasattr(view, "__get__"):  # a property is known of instances only
        _check_view(spec, view)
    check_method(spec, "a scorer", "score", *(["pixels", "images"] if reads_pixels(spec) else ["embeddings"]))
    check_arguments(spec, kind, "model_dir", "device")
    _check_optional(spec, kind)
    if hasattr(kind, "calibrate"):
        check_arguments(f"`calibrate` of {spec}", kind.calibrate, "raw")  # called without an instance


def check_device(device: str) -> None:
    """Raise UsageError unless this is what torch calls the CPU or a GPU for CUDA, and that GPU is there."""
    named = re.fullmatch(r"cpu|cuda(?::(0|[1-9]\d*))?", device)
    if named is None:
        raise UsageError(f"{device!r} is not a device for pycurate; give cpu, cuda, or a specific GPU such as cuda:1.")
    if device == "cpu":
        return
    import torch  # here, since it takes seconds

    found = torch.cuda.device_count()
    if int(named[1] or 0) >= found:
        raise UsageError(f"There is no device {device} here: torch finds {found} GPUs. See nvidia-smi, or use cpu.")


def load_scorer(spec: str, model_dir: Path, device: str, encoder: str) -> PixelScorer | EmbeddingScorer:
    """Make the scorer named by `spec` as `module:Class` for a run whose encoder is named `encoder`.

    Never touches the network. Raises UsageError for an unknown name, an encoder that the scorer does not fit, or a
    `view` that is none, ModelError where weights are missing or wrong.
    """
    check_fit(spec, encoder)
    check_scorer(spec)
    kind, pixels = load_class(spec), reads_pixels(spec)
    with called(f"{spec} cannot be created: it", ModelError):
        made: PixelScorer | EmbeddingScorer = kind(model_dir, device)
        view = getattr(made, "view", None)
        _check_optional(spec, made)
    if pixels:
        _check_view(spec, view)
    return made


def _check_optional(spec: str, model: object) -> None:
    """Raise UsageError for what a class, or a model that it made, need not say of itself, but says wrongly.

    Of a class a property is not known yet.
    """
    batch, published = getattr(model, "batch", None), getattr(model, "weights", ())
    if not (batch is None or hasattr(batch, "__get__") or _is_count(batch)):
        raise UsageError(
            f"The `batch` of {spec} is {batch!r}; it is the number of rows per call, or None for any number."
        )
    if published == () or hasattr(published, "__get__"):
        return
    from pycurate.models.weights import Weights  # here, since it imports what downloads

    if not (isinstance(published, Sequence) and all(isinstance(one, Weights) for one in published)):
        raise UsageError(
            f"The `weights` of {spec} are {published!r}; they are files as pycurate.models.weights.Weights."
        )


def _is_count(value: object) -> bool:
    """Whether it is a whole number from 1 on."""
    return isinstance(value, SupportsIndex) and not isinstance(value, bool) and value.__index__() >= 1


def _check_view(spec: str, view: object) -> None:
    if not isinstance(view, View):
        raise UsageError(
            f"The `view` of {spec} is no pycurate.images.views.View; see PixelScorer in pycurate/models/protocols.py."
        )


def reads_pixels(spec: str) -> bool:
    """Whether this scorer is measured on pixels, in EMBED, and not on embeddings, in SCORE.

    A pixel scorer's class has a `view`, as an attribute or an annotation; an embedding scorer's has none.
    """
    return any("view" in vars(kind) or "view" in inspect.get_annotations(kind) for kind in load_class(spec).__mro__)


def check_fit(spec: str, encoder: str) -> None:
    """Raise UsageError if the scorer's class has `encoders`, the names of those it was trained on, and not this one."""
    encoders: tuple[str, ...] | None = getattr(load_class(spec), "encoders", None)
    encoder, _ = unpinned(encoder)
    of_names = isinstance(encoders, (list, tuple, set, frozenset)) and all(isinstance(name, str) for name in encoders)
    if encoders is not None and not of_names:  # one name alone would be taken for its letters
        raise UsageError(f"The `encoders` of {spec} are {encoders!r}; they are names, such as ('ViT-L-14/openai',).")
    if encoders is not None and one_name(encoder) not in map(one_name, encoders):
        raise UsageError(
            f"{spec} was trained on embeddings of {' or '.join(encoders)} and cannot score those of {encoder}; "
            f"pairs that fit: {'; '.join(fitting_pairs())}."
        )


def fitting_pairs() -> list[str]:
    """Each pair of an encoder and a built-in head that fits it, as text."""
    from pycurate.models.builtin.laion import HEADS

    return [
        f"{encoder} with pycurate.models.builtin.laion:{head.__name__}" for head in HEADS for encoder in head.encoders
    ]
