#!/usr/bin/env python3
"""UPLOAD: bring results into a store as tasks leave them, and see at the end that all is there."""

from pathlib import Path

import click

from pycurate.cli.command import Group
from pycurate.cli.options import FILE, results_option
from pycurate.errors import UsageError
from pycurate.stages.upload import begin, finish, upload_task
from pycurate.stores.address import is_address


def _address(_context: click.Context, _parameter: click.Parameter, given: str) -> str:
    """What --to gives. Raises UsageError if it is no address."""
    if not is_address(given):
        raise UsageError(f"--to {given} is not an address; give s3://BUCKET/PATH, gs://... or az://...")
    return given


to = click.option(
    "--to",
    "address",
    required=True,
    metavar="ADDRESS",
    callback=_address,
    help="Where results go: s3://BUCKET/PATH, gs://... or az://...",
)


@click.group(cls=Group, context_settings={"max_content_width": 110})
def main() -> None:
    """Upload the results of a run, in three steps: begin, each task, end.

    Files that are in the store with the same size and SHA-256 are not uploaded again.
    """


@main.command("begin")
@to
def begin_command(address: str) -> None:
    """Remove the summary, the manifest and the parameters of an earlier run at ADDRESS."""
    begin(address)


@main.command("task")
@to
@click.option("--record", type=FILE, required=True, help="times/STAGE_NUMBER.json of the task, in its folder.")
def task_command(address: str, record: Path) -> None:
    """Upload the files that one task left."""
    upload_task(record, address)


@main.command("end")
@results_option
@to
def end_command(results: Path, address: str) -> None:
    """Upload what is missing of the files in RESULTS/manifest.tsv, remove those of other runs, then add the summary."""
    finish(results, address)


if __name__ == "__main__":
    main()
