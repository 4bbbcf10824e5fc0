#!/usr/bin/env python3
"""REPORT: check that every sample is accounted for, sum the run up, and show it on one page."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pycurate.cli import exits, results_option
from pycurate.examples import choose
from pycurate.presets import find_preset
from pycurate.report import Setup, read_parameters, render, weights_in

log = logging.getLogger(__name__)

WIDE = {"max_content_width": 110}
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(context_settings=WIDE)
def main() -> None:
    """The last stage of a run, in two steps: choose example images, then render the report.

    Both work on the tables in --results. The first can be left out; the report then shows no pictures.
    """


def thresholds(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which filters were on; the command gets `thresholds`, with an entry for each."""

    @click.option(
        "--aesthetic-threshold",
        type=click.FloatRange(0, 1),
        metavar="SCORE",
        help="Images from this score on are kept.",
    )
    @click.option(
        "--nsfw-threshold", type=click.FloatRange(0, 1), metavar="SCORE", help="Images below this score are kept."
    )
    @click.option(
        "--dedup-threshold",
        type=click.FloatRange(-1, 1),
        metavar="COSINE",
        help="Images from this cosine on are duplicates.",
    )
    @click.option("--preset", help="Of the run: its cosine stands where --dedup-threshold is left out.")
    @functools.wraps(command)
    def with_thresholds(preset: str | None, **options: Any) -> None:
        given = {name: options.pop(f"{name}_threshold") for name in ("aesthetic", "nsfw", "dedup")}
        if preset and given["dedup"] is None:
            given["dedup"] = find_preset(preset).dedup_threshold
        command(thresholds={name: value for name, value in given.items() if value is not None}, **options)

    return with_thresholds


@main.command("choose", context_settings=WIDE)
@results_option
@exits
@thresholds
def choose_command(results: Path, thresholds: dict[str, float]) -> None:
    """Choose example images: leaves RESULTS/examples.parquet, and examples.tsv, the shards they lie in.

    A threshold that is left out was off.
    """
    chosen = choose(results, thresholds)
    log.info("%d example images", chosen.num_rows)


@main.command("render", context_settings=WIDE)
@results_option
@exits
@thresholds
@click.option("--partitions", type=int, help="How many partitions there are; fewer tables are a loss.")
@click.option("--parameters", type=FILE, help="JSON object of names and values: how the run was set up.")
@click.option("--model-dir", type=FOLDER, help="Folder of the run's weights, whose hashes are to be shown.")
def render_command(
    results: Path,
    thresholds: dict[str, float],
    partitions: int | None,
    parameters: Path | None,
    model_dir: Path | None,
) -> None:
    """Check that inputs = kept + dropped, then write RESULTS/summary.json and RESULTS/report.html.

    A threshold that is left out was off. If the sum is wrong, nothing is written and the exit code is 1.
    """
    setup = Setup(
        read_parameters(parameters) if parameters else {},
        weights_in(model_dir) if model_dir else {},
    )
    summary = render(results, thresholds, setup, partitions)
    log.info("%d samples: %d kept, %d dropped", summary["inputs"], summary["kept"], sum(summary["dropped"].values()))


if __name__ == "__main__":
    main()
