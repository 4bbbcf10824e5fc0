#!/usr/bin/env python3
"""DEDUP: find duplicates over the whole set, apply the filters, decide about every sample."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pycurate import dedup, training
from pycurate.cells import Cells
from pycurate.cli import exits, partition_option, results_option
from pycurate.filters import Threshold
from pycurate.order import checked_keep
from pycurate.presets import find_preset
from pycurate.resolve import resolve as decide
from pycurate.sources import embeddings_of, sources_of
from pycurate.tables import write_table
from pycurate.write import plan_output


def search_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the search; they arrive as one Settings, `settings`."""

    @functools.wraps(function)
    def run(
        dedup_threshold: float | None,
        preset: str,
        dedup_keep: str,
        dedup_recall: str,
        cells: int | None,
        buckets: int | None,
        **options: Any,
    ) -> Any:
        threshold = find_preset(preset).dedup_threshold if dedup_threshold is None else dedup_threshold
        exact = {"auto": None, "exact": True, "fast": False}[dedup_recall]
        settings = training.Settings(threshold, checked_keep(dedup_keep), exact, cells, buckets)
        return function(settings=settings, **options)

    for option in (
        click.option("--buckets", type=int, help="Number of match tasks.  [default: from the number of samples]"),
        click.option("--cells", type=int, help="Number of cells.  [default: what is cheapest]"),
        click.option(
            "--dedup-recall",
            type=click.Choice(["auto", "exact", "fast"]),
            default="auto",
            show_default=True,
            help="Lose no duplicate, or measure how few are lost; auto is exact where that is cheap.",
        ),
        click.option(
            "--dedup-keep",
            type=click.Choice(["best", "first", "largest"]),
            default="best",
            show_default=True,
            help="Which of several duplicates to keep.",
        ),
        click.option("--preset", default="light", show_default=True, help="The models that embedded the images."),
        click.option(
            "--dedup-threshold",
            type=float,
            help="Cosine from which two images are duplicates.  [default: the preset's]",
        ),
    ):
        run = option(run)
    return run


def resolve_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which samples are chosen and laid out; they arrive as one Choice, `choice`."""

    @functools.wraps(function)
    def run(
        aesthetic_threshold: float | None,
        nsfw_threshold: float | None,
        images_per_tar: int,
        tars_per_task: int,
        **options: Any,
    ) -> Any:
        filters = []
        if aesthetic_threshold is not None:
            filters.append(Threshold("aesthetic", "aesthetic", minimum=aesthetic_threshold))
        if nsfw_threshold is not None:
            filters.append(Threshold("nsfw", "nsfw", maximum=nsfw_threshold))
        return function(choice=Choice(filters, images_per_tar, tars_per_task), **options)

    for option in (
        click.option(
            "--tars-per-task", type=click.IntRange(1), default=100, show_default=True, help="Tars of a WRITE task."
        ),
        click.option(
            "--images-per-tar", type=click.IntRange(1), default=100, show_default=True, help="Images in a tar."
        ),
        click.option("--nsfw-threshold", type=float, help="Keep images that score below it.  [default: all]"),
        click.option("--aesthetic-threshold", type=float, help="Keep images that score at least it.  [default: all]"),
    ):
        run = option(run)
    return run


@dataclass(frozen=True)
class Choice:
    """What `resolve` keeps, and how it is laid out."""

    filters: list[Threshold]
    images_per_tar: int
    tars_per_task: int

    def carry_out(self, results: Path, dedup: bool) -> None:
        """Write the decisions and the plan."""
        decisions = decide(results, sources_of(results), self.filters, dedup)
        decisions = plan_output(results, decisions, self.images_per_tar, self.tars_per_task)
        write_table(results / "decisions.parquet", decisions)


@click.group(context_settings={"max_content_width": 110})
def main() -> None:
    """Find the duplicates among all samples and decide which to keep.

    `pairs` finds them in one process; `train`, then `assign` for each partition, then `match` for each bucket do the
    same as separate tasks. `resolve` applies the filters and decides; `all` is `pairs` and `resolve`.
    """


@main.command()
@results_option
@search_options
@exits
def train(results: Path, settings: training.Settings) -> None:
    """Choose cells from a sample of RESULTS/img_emb; leaves RESULTS/cells."""
    training.train(results, sources_of(results), settings)


@main.command()
@results_option
@partition_option
@exits
def assign(results: Path, partitions: tuple[str, ...]) -> None:
    """Send each vector of a partition to the cells that it visits; leaves RESULTS/assigned."""
    cells = Cells.load(training.cells_path(results))
    for source in sources_of(results):
        if not partitions or source.name in partitions:
            dedup.assign(source, results, cells)


@main.command()
@results_option
@click.option("--bucket", "buckets", type=int, multiple=True, help="A bucket, from 0 on; else all of them.")
@exits
def match(results: Path, buckets: tuple[int, ...]) -> None:
    """Find the duplicates that meet in a bucket of cells; leaves RESULTS/pairs. Reads assigned, cells and img_emb."""
    cells = Cells.load(training.cells_path(results))
    embeddings = embeddings_of(sources_of(results))
    for bucket in buckets or range(len(cells.buckets) - 1):
        dedup.match(results, bucket, cells, embeddings)


@main.command()
@results_option
@search_options
@exits
def pairs(results: Path, settings: training.Settings) -> None:
    """Find all duplicates in this process; leaves RESULTS/pairs, cells and assigned."""
    dedup.find_pairs(results, sources_of(results), settings)


@main.command()
@results_option
@click.option("--dedup/--no-dedup", default=True, show_default=True, help="Drop the duplicates of RESULTS/pairs.")
@resolve_options
@exits
def resolve(results: Path, dedup: bool, choice: Choice) -> None:
    """Apply the filters, drop duplicates; leaves RESULTS/decisions.parquet and plan. Reads samples, scores and pairs.

    Where the best of many near-copies fail a filter, it reads assigned and img_emb too.
    """
    choice.carry_out(results, dedup)


@main.command("all")
@results_option
@search_options
@resolve_options
@exits
def all_steps(results: Path, settings: training.Settings, choice: Choice) -> None:
    """`pairs` and `resolve` in one process."""
    dedup.find_pairs(results, sources_of(results), settings)
    choice.carry_out(results, dedup=True)


if __name__ == "__main__":
    main()
