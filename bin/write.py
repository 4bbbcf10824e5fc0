#!/usr/bin/env python3
"""WRITE: copy the kept samples, byte for byte, into new shards."""

from pathlib import Path

import click

from pycurate.cli.options import parameters, stage_command
from pycurate.results.costs import record
from pycurate.stages.write import write_curated


@stage_command
@click.option(
    "--plan",
    "plans",
    multiple=True,
    metavar="NUMBER",
    help="Number of a plan, such as 00000; repeatable.  [default: all]",
)
@parameters("dali_index")
def main(results: Path, plans: tuple[str, ...], dali_index: bool) -> None:
    """Copy the kept samples, as listed in RESULTS/plan, from the shards in RESULTS/partitions to RESULTS/curated."""
    left = write_curated(results, plans, dali_index)
    record(results, "WRITE", plans[0] if plans else "00000", left)


if __name__ == "__main__":
    main()
