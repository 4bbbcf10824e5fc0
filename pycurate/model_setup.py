"""Bring what a run's models need to their folder, and see that they can be made from it."""

import logging

from pycurate import weights
from pycurate.choice import ModelChoice
from pycurate.presets import is_class, load_class, load_encoder, load_scorer

log = logging.getLogger(__name__)


def fetch_models(models: ModelChoice, offline: bool) -> None:
    """Fetch the weights of the models that are not in the model folder yet, then make each model once, on the CPU.

    Making them shows that the weights fit, and is what leaves files that a model derives for itself. With `offline`
    nothing is fetched. Raises ModelError, naming the file, if weights are missing, altered or cannot be brought.
    """
    models.model_dir.mkdir(parents=True, exist_ok=True)
    if not offline:
        for spec in (models.encoder, *models.scorers):
            _fetch(spec, models)
    load_encoder(models.encoder, models.model_dir, "cpu")
    for spec in models.scorers:
        load_scorer(spec, models.model_dir, "cpu", models.encoder)
    log.info("%s holds what %s needs", models.model_dir, ", ".join((models.encoder, *models.scorers)))


def _fetch(spec: str, models: ModelChoice) -> None:
    if is_class(spec):
        # Any class may name its published files in `weights`, as the built-in heads do.
        for published in getattr(load_class(spec), "weights", ()):
            weights.fetch(published, models.model_dir)
        return
    from pycurate import openclip  # here, since importing open_clip takes seconds

    openclip.fetch(spec, models.model_dir)
