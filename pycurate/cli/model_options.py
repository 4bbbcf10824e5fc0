"""The options by which scripts and commands are told which models to use."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from pycurate.cli.options import parameters
from pycurate.errors import UsageError
from pycurate.models.presets import SAME
from pycurate.models.selection import select_models
from pycurate.parameters import optional_scores

SCORES = optional_scores()
NAMES = ("preset", "encoder", "dedup_encoder", "dedup_views", "scorer", "pixel_scorer")
MODELS = (*NAMES, *SCORES, "clip_score_masked", "model_dir", "precision")


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which stages are told the same models; they arrive as one ModelSelection, `models`.

    Their --model-dir holds the weights.
    """
    return _options(function, lambda given: weights_folder(given["model_dir"]))


def run_model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for who plans a run: as in the workflow, --model-dir holds a folder of weights for each preset."""
    return _options(function, _run_folder)


def _run_folder(given: Mapping[str, Any]) -> Path:
    from pycurate.models.fetch import run_folder  # here, since --help does without

    descriptor = None if given["dedup_encoder"] == SAME else given["dedup_encoder"]
    pixel_scorers, scorers = (",".join(given[name]) for name in ("pixel_scorer", "scorer"))
    home = weights_folder(given["model_dir"])
    return run_folder(home, given["encoder"] or given["preset"], pixel_scorers, descriptor, scorers)


def _options(function: Callable[..., Any], folder_of: Callable[[Mapping[str, Any]], Path]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(device: str | None, **options: Any) -> Any:
        given = {name: options.pop(name) for name in MODELS}
        models = select_models(
            given["preset"],
            folder_of(given),
            encoder=given["encoder"],
            dedup_encoder=given["dedup_encoder"],
            dedup_views=given["dedup_views"],
            scorers=(*given["pixel_scorer"], *given["scorer"]),
            without={score for score in SCORES if not given[score]},
            masked=given["clip_score_masked"],
            device=device,
            precision=given["precision"],
        )
        return function(models=models, **options)

    on = click.option("--device", help="cuda, cpu, ...  [default: cuda if available]")
    return parameters(*MODELS)(on(run))


def weights_folder(folder: str) -> Path:
    """The folder of weights. Raises UsageError where it lies in a home that is not there."""
    if folder.startswith("~/") and not os.environ.get("HOME"):
        raise UsageError(f"HOME is not set, so there is no {folder}; give a folder for weights by --model-dir.")
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise UsageError(f"There is no user whose home {folder} could lie in; give another --model-dir.") from error
