#!/usr/bin/env python3
"""REPORT: check that every sample is accounted for, sum the run up, and show it on one page."""

import logging
from pathlib import Path

import click

from pycurate.cli.command import Group
from pycurate.cli.options import FILE, FOLDER, results_option
from pycurate.files import write_json
from pycurate.report.examples import select_examples
from pycurate.results.manifest import LISTED
from pycurate.stages.report import Setup, read_parameters, weights_in, write_report

log = logging.getLogger(__name__)


@click.group(cls=Group, context_settings={"max_content_width": 110})
def main() -> None:
    """Summarise a run, in two steps: select example images, then render the report.

    Both read the tables in --results. Without the first step, the report has no images.
    """


@main.command("examples")
@results_option
def examples_command(results: Path) -> None:
    """Select example images; writes RESULTS/examples.parquet, and examples.tsv with the shards that contain them.

    Reads the thresholds, on whose sides the examples are, from decisions.json.
    """
    chosen = select_examples(results)
    log.info("%d example images", chosen.num_rows)


@main.command("render")
@results_option
@click.option("--partitions", type=int, help="Number of partitions; fewer tables are an error.")
@click.option("--parameters", type=FILE, help="JSON file with the parameters of the run, to be shown.")
@click.option(
    "--kinds",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the file name patterns of results to this JSON file.",
)
@click.option("--model-dir", type=FOLDER, help="Folder of the run's weights, to show their hashes.")
def render_command(
    results: Path,
    partitions: int | None,
    parameters: Path | None,
    kinds: Path | None,
    model_dir: Path | None,
) -> None:
    """Check that inputs = kept + dropped, then write RESULTS/summary.json and RESULTS/report.html.

    Reads the criteria from decisions.json. If the counts do not add up, nothing is written and the exit code is 1.
    """
    setup = Setup(
        read_parameters(parameters) if parameters else {},
        weights_in(model_dir) if model_dir else {},
    )
    summary = write_report(results, setup, partitions)
    if kinds:
        write_json(kinds, [kind.regex for kind in LISTED])
    log.info("%d samples: %d kept, %d dropped", summary["inputs"], summary["kept"], sum(summary["dropped"].values()))


if __name__ == "__main__":
    main()
