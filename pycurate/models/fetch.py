"""Bring what a run's models need to their folder, and see that they can be made from it."""

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pycurate.errors import ModelError
from pycurate.files import atomic, believed, exclusive, sha256_of
from pycurate.models import weights
from pycurate.models.presets import is_open_clip, load_encoder, load_scorer
from pycurate.models.selection import ModelSelection
from pycurate.plugins import is_class, load_class

log = logging.getLogger(__name__)

FETCHED = "fetched.sha256"
"""The file that says, for `sha256sum -c`, what a model folder holds. It is written when nothing is missing."""


def run_folder(home: Path, *names: str | None) -> Path:
    """The folder in `home`, its --model_dir, from which a run of the workflow takes its models.

    `names` are its parameters encoder or preset, pixel_scorer, dedup_encoder and scorer; None or empty where they are
    not given (lib/Models.groovy). A `home` that holds weights itself, as one for scripts does, is that folder.
    """
    name = re.sub(r"[^\w.-]+", "_", "_".join(filter(None, names)), flags=re.ASCII)
    # Classes may be named by long paths, and file systems take 255 bytes.
    folder = home / (name if len(name) <= 120 else f"{name[:80]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}")
    return home if (home / FETCHED).is_file() and not folder.exists() else folder


def fetch_models(models: ModelSelection, offline: bool) -> None:
    """Fetch the weights of the models that are not in the model folder yet, then make each model once, on the CPU.

    Making them shows that the weights fit, and is what leaves files that a model derives for itself. With `offline`
    nothing is fetched, and a folder that others filled and this user cannot write to is only read. Who fetches to the
    same folder at once waits, and then changes nothing there. Raises ModelError, naming the file, if weights are
    missing, altered or cannot be brought, two classes call different ones alike, or the folder cannot be written.
    """
    folder, specs = models.model_dir, (*models.encoders.values(), *models.scorers)
    _check_names(specs)
    if offline and folder.is_dir() and not os.access(folder, os.W_OK, effective_ids=True):
        _make(models)
    else:
        with ExitStack() as stack:
            with _writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                if folder.is_symlink() and folder.lstat().st_uid not in believed(folder.absolute().parent):
                    raise ModelError(f"{folder} is a link created by another user; use a folder of your own.")
                stack.enter_context(exclusive(folder / ".lock"))
                for spec in () if offline else specs:
                    _fetch(spec, folder)
            _make(models)
            with _writing(folder):
                _note(folder)
    log.info("%s contains what %s needs", folder, ", ".join(specs))


def _make(models: ModelSelection) -> None:
    """Make each model once. Raises as loading them does."""
    for spec in models.encoders.values():
        with models.fetched_by_preset(spec):
            load_encoder(spec, models.model_dir, "cpu", models.precision)
    for spec in models.scorers:
        with models.fetched_by_preset(spec):
            load_scorer(spec, models.model_dir, "cpu", models.encoder)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raise ModelError with what to do where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{folder} cannot be written ({error}); use a folder of your own, or let its owner fetch the weights."
        ) from error


def _published(spec: str) -> Sequence[weights.Weights]:
    """What a class names in `weights`: any may, as the built-in heads do."""
    return getattr(load_class(spec), "weights", ()) if is_class(spec) else ()


def _check_names(specs: Iterable[str]) -> None:
    """Raise ModelError if two classes call different files alike, since each would replace the other's."""
    named: dict[str, tuple[str, str]] = {}  # file: its SHA-256, and the class that named it first
    for spec in specs:
        for published in _published(spec):
            sha256, other = named.setdefault(published.file, (published.sha256, spec))
            if sha256 != published.sha256:
                raise ModelError(
                    f"{other} and {spec} call different files {published.file} in `weights`; give one of them another "
                    "name."
                )


def _fetch(spec: str, folder: Path) -> None:
    for published in _published(spec):
        weights.fetch(published, folder)
    if is_open_clip(spec):
        from pycurate.models.builtin import openclip  # here, since importing open_clip takes seconds

        openclip.fetch(spec, folder)


def _note(folder: Path) -> None:
    files = sorted(path for path in folder.glob("[!.]*") if path.suffix != ".sha256" and _is_own(path))
    text = "".join(f"{sha256_of(path)}  {path.name}\n" for path in files).encode()
    place = folder / FETCHED
    if not place.is_file() or place.read_bytes() != text:  # a folder that changes embeds again
        with atomic(place) as written:
            written.write_bytes(text)


def _is_own(path: Path) -> bool:
    """Whether it is a file of the folder itself, whose name fits in a line of text, as those of all weights do.

    What another user's link may lead to is none of the folder's, and may be a secret of this one.
    """
    return path.is_file() and not path.is_symlink() and path.name.isprintable()
