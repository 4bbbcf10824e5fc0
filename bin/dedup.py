#!/usr/bin/env python3
"""DEDUP: find duplicates over the whole set, apply the filters, decide about every sample."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from pycurate import dedup
from pycurate.cells import Cells
from pycurate.cli import exits, partition_option, results_option
from pycurate.filters import Threshold
from pycurate.order import checked_keep
from pycurate.presets import find_preset
from pycurate.resolve import resolve as decide
from pycurate.sources import embeddings_of, sources_of
from pycurate.tables import write_table
from pycurate.write import plan_output


def options(*several: Callable[..., Any]) -> Callable[..., Any]:
    """Several click options as one decorator, in the order in which help lists them."""
    return lambda function: reduce(lambda inner, option: option(inner), reversed(several), function)


search_options = options(
    click.option(
        "--dedup-threshold", type=float, help="Cosine from which two images are duplicates.  [default: the preset's]"
    ),
    click.option("--preset", default="light", show_default=True, help="The models that embedded the images."),
    click.option(
        "--dedup-keep", default="best", show_default=True, help="Which of several to keep: best, first or largest."
    ),
    click.option("--cells", type=int, help="Number of cells.  [default: from the number of samples]"),
    click.option("--buckets", type=int, help="Number of match tasks.  [default: from the number of samples]"),
)
resolve_options = options(
    click.option("--dedup/--no-dedup", default=True, help="Drop the duplicates of RESULTS/pairs.  [default: --dedup]"),
    click.option("--aesthetic-threshold", type=float, help="Keep images of at least this score.  [default: any]"),
    click.option("--nsfw-threshold", type=float, help="Keep images below this score.  [default: any]"),
    click.option(
        "--images-per-tar", type=click.IntRange(1), default=100, show_default=True, help="Images in an output tar."
    ),
    click.option(
        "--tars-per-task",
        type=click.IntRange(1),
        default=100,
        show_default=True,
        help="Tars that one WRITE task makes.",
    ),
)


def settings(
    dedup_threshold: float | None, preset: str, dedup_keep: str, cells: int | None, buckets: int | None
) -> dedup.Settings:
    """The search options as one value."""
    threshold = find_preset(preset).dedup_threshold if dedup_threshold is None else dedup_threshold
    return dedup.Settings(threshold, checked_keep(dedup_keep), cells, buckets)


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
def train(results: Path, **search: Any) -> None:
    """Choose cells from a sample of RESULTS/img_emb; leaves RESULTS/cells."""
    dedup.train(results, sources_of(results), settings(**search))


@main.command()
@results_option
@partition_option
@exits
def assign(results: Path, partitions: tuple[str, ...]) -> None:
    """Send each vector of a partition to the cells that it visits; leaves RESULTS/assigned."""
    cells = Cells.load(dedup.cells_path(results))
    for source in sources_of(results):
        if not partitions or source.name in partitions:
            dedup.assign(source, results, cells)


@main.command()
@results_option
@click.option("--bucket", "buckets", type=int, multiple=True, help="A bucket, from 0 on; else all of them.")
@exits
def match(results: Path, buckets: tuple[int, ...]) -> None:
    """Find the duplicates that meet in a bucket of cells; leaves RESULTS/pairs. Reads assigned, cells and img_emb."""
    cells = Cells.load(dedup.cells_path(results))
    embeddings = embeddings_of(sources_of(results))
    for bucket in buckets or range(len(cells.buckets) - 1):
        dedup.match(results, bucket, cells, embeddings)


@main.command()
@results_option
@search_options
@exits
def pairs(results: Path, **search: Any) -> None:
    """Find all duplicates in this process; leaves RESULTS/pairs, cells and assigned."""
    dedup.find_pairs(results, sources_of(results), settings(**search))


@main.command()
@results_option
@resolve_options
@exits
def resolve(results: Path, **choice: Any) -> None:
    """Apply the filters, drop duplicates; leaves RESULTS/decisions.parquet and plan. Reads samples, scores and pairs.

    Where many near-copies of one image meet a filter, it reads cells, assigned and img_emb too.
    """
    _resolve(results, **choice)


@main.command("all")
@results_option
@search_options
@resolve_options
@exits
def all_steps(
    results: Path,
    dedup_threshold: float | None,
    preset: str,
    dedup_keep: str,
    cells: int | None,
    buckets: int | None,
    **choice: Any,
) -> None:
    """`pairs` and `resolve` in one process."""
    dedup.find_pairs(results, sources_of(results), settings(dedup_threshold, preset, dedup_keep, cells, buckets))
    _resolve(results, **choice)


def _resolve(
    results: Path,
    dedup: bool,
    aesthetic_threshold: float | None,
    nsfw_threshold: float | None,
    images_per_tar: int,
    tars_per_task: int,
) -> None:
    filters = []
    if aesthetic_threshold is not None:
        filters.append(Threshold("aesthetic", "aesthetic", minimum=aesthetic_threshold))
    if nsfw_threshold is not None:
        filters.append(Threshold("nsfw", "nsfw", maximum=nsfw_threshold))
    decisions = decide(results, sources_of(results), filters, dedup)
    write_table(results / "decisions.parquet", plan_output(results, decisions, images_per_tar, tars_per_task))


if __name__ == "__main__":
    main()
