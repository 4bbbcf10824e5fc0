"""Presets, and how models are found by name: pycurate's own, open_clip's and the user's, all in one way.

A model is named by
    MODULE:CLASS              a class in an importable module, such as pycurate.efficientnet:EfficientNetLite0
    path/to/file.py:CLASS     a class in a file
    either with =NUMBER       filters: the class made with that value, such as pycurate.metadata_filters:MinSide=300
    MODEL/TAG                 encoders: an open_clip pair, such as ViT-L-14/openai
    MODEL/PATH                encoders: an open_clip architecture and a checkpoint, such as ViT-B-32//data/mine.pt
    local-dir:FOLDER          encoders: a folder with open_clip_config.json and a checkpoint
"""

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, SupportsIndex

from pycurate.errors import ModelError, UsageError
from pycurate.foreign import called
from pycurate.metadata_filters import Filter
from pycurate.models import EmbeddingScorer, Encoder, PixelScorer, View


@dataclass(frozen=True)
class Preset:
    """An encoder, the scorers that belong to it (None: there is none) and its cosine threshold for duplicates."""

    name: str
    encoder: str
    aesthetic: str | None
    nsfw: str | None
    dedup_threshold: float


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "light",
            encoder="pycurate.efficientnet:EfficientNetLite0",
            aesthetic="pycurate.quality:Quality",
            nsfw="pycurate.opennsfw:OpenNSFW",
            dedup_threshold=0.90,
        ),
        Preset(
            "clip-b32",
            encoder="ViT-B-32/openai",
            aesthetic="pycurate.heads:AestheticV1B32",
            nsfw="pycurate.heads:NsfwB32",
            dedup_threshold=0.95,
        ),
        Preset(
            "clip-l14",
            encoder="ViT-L-14/openai",
            aesthetic="pycurate.heads:AestheticV2L14",
            nsfw="pycurate.heads:NsfwL14",
            dedup_threshold=0.95,
        ),
    )
}


def find_preset(name: str) -> Preset:
    """The preset of this name. Raises UsageError, naming the nearest right name, if there is none."""
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}{nearest(name, PRESETS)}; presets are {', '.join(PRESETS)}.")
    return PRESETS[name]


def load_encoder(spec: str, model_dir: Path, device: str) -> Encoder:
    """Make the encoder named by `spec` (see the top of this module), with its weights out of `model_dir`.

    Never touches the network. Raises UsageError for an unknown name, a device that is not there, or a class that does
    not say what an encoder says, ModelError where weights are missing or wrong.
    """
    check_device(device)
    if is_class(spec):
        kind = load_class(spec)
        with called(f"{spec} cannot be made: it", ModelError):
            made: Encoder = kind(model_dir, device)
            fits = isinstance(getattr(made, "dim", None), SupportsIndex) and isinstance(
                getattr(made, "view", None), View
            )
            fits = fits and callable(getattr(made, "encode", None))
        if not fits:
            raise UsageError(
                f"{spec} is no encoder: it needs `dim`, how many numbers an embedding has, `view`, a "
                "pycurate.models.View, and `encode`; see Encoder in pycurate/models.py."
            )
        return made
    from pycurate.openclip import OpenClip  # here, since importing open_clip takes seconds

    return OpenClip(spec, model_dir, device)


def check_device(device: str) -> None:
    """Raise UsageError unless this is a torch device name, and where it names a GPU, that GPU is there."""
    if device == "cpu":
        return
    import torch  # here, since it takes seconds

    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"{device!r} is no device; give cpu, cuda, or one GPU of several as cuda:1.") from error
    found = torch.cuda.device_count()
    if wanted.type == "cuda" and (wanted.index or 0) >= found:
        raise UsageError(
            f"There is no device {device} here: torch finds {found} GPUs. See what nvidia-smi says, or take cpu."
        )


def load_scorer(spec: str, model_dir: Path, device: str, encoder: str) -> PixelScorer | EmbeddingScorer:
    """Make the scorer named by `spec` as `module:Class` for a run whose encoder is named `encoder`.

    Never touches the network. Raises UsageError for an unknown name, an encoder that the scorer does not fit, or a
    `view` that is none, ModelError where weights are missing or wrong.
    """
    check_fit(spec, encoder)
    kind, pixels = load_class(spec), reads_pixels(spec)
    with called(f"{spec} cannot be made: it", ModelError):
        made: PixelScorer | EmbeddingScorer = kind(model_dir, device)
        view, score = getattr(made, "view", None), getattr(made, "score", None)
    if pixels and not isinstance(view, View):
        raise UsageError(f"The `view` of {spec} is no pycurate.models.View; see PixelScorer in pycurate/models.py.")
    if not callable(score):
        raise UsageError(f"{spec} is no scorer: it needs `score`; see the protocols in pycurate/models.py.")
    return made


def load_filter(spec: str) -> Filter:
    """Make the filter named by `spec`: `module:Class`, or `module:Class=VALUE` with a number for its one argument.

    Raises UsageError for an unknown name, a value that is no number, or a class that cannot be made or is no filter.
    """
    name, given, value = spec.partition("=")
    kind = load_class(name)
    with called(f"{spec!r} does not make a filter: it", UsageError, "write module:Class or module:Class=NUMBER"):
        made: Filter = kind(float(value)) if given else kind()
        passes, _ = getattr(made, "passes", None), getattr(made, "reason", None)  # which may be properties that raise
    if not callable(passes):
        raise UsageError(f"{spec} is no filter: it needs `passes`; see Filter in pycurate/metadata_filters.py.")
    return made


def reads_pixels(spec: str) -> bool:
    """Whether this scorer is measured on pixels, in EMBED, and not on embeddings, in SCORE.

    A pixel scorer's class has a `view`, as an attribute or an annotation; an embedding scorer's has none.
    """
    return any("view" in vars(kind) or "view" in inspect.get_annotations(kind) for kind in load_class(spec).__mro__)


def check_fit(spec: str, encoder: str) -> None:
    """Raise UsageError if the scorer's class has `encoders`, the names of those it was trained on, and not this one."""
    encoders: tuple[str, ...] | None = getattr(load_class(spec), "encoders", None)
    # QuickGELU follows from the tag, so both names of an open_clip model mean the same encoder.
    if encoders is not None and encoder.replace("-quickgelu/", "/") not in encoders:
        raise UsageError(
            f"{spec} was trained on embeddings of {' or '.join(encoders)} and says nothing about those of {encoder}; "
            f"pairs that fit: {'; '.join(fitting_pairs())}."
        )


def fitting_pairs() -> list[str]:
    """Each pair of an encoder and a built-in head that fits it, as text."""
    from pycurate.heads import HEADS

    return [f"{encoder} with pycurate.heads:{head.__name__}" for head in HEADS for encoder in head.encoders]


def is_class(spec: str) -> bool:
    """Whether `spec` names a class rather than an open_clip model."""
    return ":" in spec and not spec.startswith(("local-dir:", "hf-hub:"))


def load_class(spec: str) -> type[Any]:
    """The class named `module:Class` or `path/to/file.py:Class`.

    Raises UsageError, naming the nearest right name, if the module or the class cannot be found, or the module, with
    the line that did it, if it cannot be imported.
    """
    module_name, _, class_name = spec.rpartition(":")
    if not module_name or not class_name:
        raise UsageError(f"{spec!r} names no class; write it as module:Class or path/to/file.py:Class.")
    with called(f"{module_name} cannot be imported: it", UsageError):
        module = _module_of_file(Path(module_name)) if module_name.endswith(".py") else _module(module_name)
    classes = [name for name, value in vars(module).items() if inspect.isclass(value)]
    if class_name not in classes:
        raise UsageError(f"{module_name} has no class {class_name!r}{nearest(class_name, classes)}.")
    return getattr(module, class_name)


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'X'?` for the nearest of `names`, or nothing if none is near."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


_BUILT_IN_MODULES = [
    f"pycurate.{name}" for name in ("efficientnet", "heads", "metadata_filters", "opennsfw", "quality")
]


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise  # the module is there; something that it imports is not
        raise UsageError(
            f"there is no module {name!r}{nearest(name, _BUILT_IN_MODULES)}; put the folder of your own on PYTHONPATH "
            "or name its file as path/to/file.py:Class."
        ) from error


def _module_of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {path} to load a class from.")
    name = f"pycurate_user_{path.resolve().as_posix().strip('/').replace('/', '_').removesuffix('.py')}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
