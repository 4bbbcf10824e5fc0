#!/usr/bin/env python3
"""Generate a tiny set of shards to try the workflow on."""

from pathlib import Path

import click

from pycurate.cli.command import Command
from pycurate.shards.testset import make_testset


@click.command(cls=Command)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the shards.")
def main(out: Path) -> None:
    """Write two shards of twelve generated images each, one a copy and one broken, to --out."""
    make_testset(out)


if __name__ == "__main__":
    main()
