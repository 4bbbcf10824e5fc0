#!/usr/bin/env python3
"""COMPARE: compare each sample with others: with captions, with target sets, with concepts."""

from pathlib import Path

import click

from pycurate.cli.command import Group
from pycurate.cli.model_options import weights_folder
from pycurate.cli.options import parameters, partition_option, results_option
from pycurate.comparison.targets import Targets
from pycurate.comparison.wanted import Wanted
from pycurate.models.identity import check_embedded
from pycurate.models.selection import select_models
from pycurate.results.costs import record
from pycurate.results.layout import kinds_of, numbers, path_of
from pycurate.results.manifest import left
from pycurate.stages.compare import compare_partition, gather_targets


@click.group(cls=Group, context_settings={"max_content_width": 110})
def main() -> None:
    """Compare all samples with the same targets: `targets` gathers them, then `scores` compares each partition."""


@main.command()
@results_option
@parameters("preset", "encoder", "model_dir", "precision", "similar", "concept", "s_clip_loss")
@click.option("--device", help="cuda, cpu, ...  [default: cuda if available]")
def targets(
    results: Path,
    preset: str,
    encoder: str | None,
    model_dir: str,
    precision: str,
    similar: tuple[str, ...],
    concept: tuple[str, ...],
    s_clip_loss: bool,
    device: str | None,
) -> None:
    """Gather what is compared with; writes RESULTS/targets.npz. Reads samples, img_emb and, of captions, text_emb."""
    wanted = Wanted.of(similar, concept, s_clip_loss)
    wanted.check()
    models = select_models(preset, weights_folder(model_dir), encoder=encoder, device=device, precision=precision)
    tower = models.load_clip_score().tower if wanted.words else None
    for number in numbers(results, "samples") if tower else ():
        check_embedded(path_of(results, "samples", number), models.encoder, tower)
    gather_targets(results, wanted, tower)
    record(results, "COMPARE_TARGETS")


@main.command()
@results_option
@partition_option
def scores(results: Path, partitions: tuple[str, ...]) -> None:
    """Compare the samples of a partition with RESULTS/targets.npz; writes RESULTS/comparisons."""
    found = Targets.load(path_of(results, "targets"))
    for number in partitions or numbers(results, "samples"):
        compare_partition(results, number, found)
        record(results, "COMPARE_SCORES", number, left(results, kinds_of("COMPARE"), number))


if __name__ == "__main__":
    main()
