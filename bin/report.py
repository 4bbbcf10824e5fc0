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
from pycurate.report import read_parameters, render
from pycurate.trace import read_trace

log = logging.getLogger(__name__)

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(context_settings={"max_content_width": 110})
def main() -> None:
    """The last stage of a run, in two steps: choose example images, then render the report.

    Both work on the tables in --results. The first can be left out; the report then shows no pictures.
    """


def thresholds(command: Callable[..., None]) -> Callable[..., None]:
    """The three options; the command gets `thresholds`, a dict with those that are given."""

    @click.option("--aesthetic-threshold", type=click.FloatRange(0, 1), help="Images from this score on are kept.")
    @click.option("--nsfw-threshold", type=click.FloatRange(0, 1), help="Images below this score are kept.")
    @click.option("--dedup-threshold", type=click.FloatRange(-1, 1), help="Images from this cosine on are duplicates.")
    @functools.wraps(command)
    def with_thresholds(**options: Any) -> None:
        given = {name: options.pop(f"{name}_threshold") for name in ("aesthetic", "nsfw", "dedup")}
        command(thresholds={name: value for name, value in given.items() if value is not None}, **options)

    return with_thresholds


@main.command("choose")
@results_option
@thresholds
@exits
def choose_command(results: Path, thresholds: dict[str, float]) -> None:
    """Choose example images: leaves RESULTS/examples.parquet, and examples.tsv, the shards they lie in.

    A threshold that is left out was off.
    """
    chosen = choose(results, thresholds)
    log.info("%d example images", chosen.num_rows)


@main.command("render")
@results_option
@thresholds
@click.option("--parameters", type=FILE, help="JSON object of names and values: how the run was set up.")
@click.option("--trace", type=FILE, help="Nextflow's trace file, for time and memory by stage.")
@exits
def render_command(results: Path, thresholds: dict[str, float], parameters: Path | None, trace: Path | None) -> None:
    """Check that inputs = kept + dropped, then write RESULTS/summary.json and RESULTS/report.html.

    A threshold that is left out was off. If the sum is wrong, nothing is written and the exit code is 1.
    """
    summary = render(results, thresholds, read_parameters(parameters), read_trace(trace) if trace else [])
    log.info("%d samples: %d kept, %d dropped", summary["inputs"], summary["kept"], sum(summary["dropped"].values()))


if __name__ == "__main__":
    main()
