#!/usr/bin/env python3
"""PARTITION: find the input's shards and cut them into groups of about equal bytes."""

import logging
from pathlib import Path

import click

from pycurate.cli.options import parameters, stage_command
from pycurate.cli.terminal import echo
from pycurate.results.partitions import write_partitions
from pycurate.shards.listing import search
from pycurate.stages.partition import bytes_in, partition

log = logging.getLogger(__name__)

FOLDER = click.Path(path_type=Path)  # which need not be there


@stage_command
@click.option("--input", "source", required=True, help="Folder, glob, brace range ({00000..00099}.tar) or list file.")
@click.option("--outdir", type=FOLDER, help="Output directory of the run; shards in it are not input.")
@click.option("--work-dir", type=FOLDER, help="Work directory of the run; shards in it are not input.")
@parameters("partition_bytes", "partition_minutes", "images_per_second")
def main(
    results: Path,
    source: str,
    outdir: Path | None,
    work_dir: Path | None,
    partition_bytes: int,
    partition_minutes: float | None,
    images_per_second: float | None,
) -> None:
    """Find the shards of --input and write RESULTS/partitions/partitions_00000.tsv, ..., one file per partition.

    Prints which shards were left out of the input, and why.
    """
    found = search(source, outdir, work_dir)
    echo(*found.remarks)
    shards = found.shards
    if partition_minutes is not None:
        if images_per_second is None:
            raise click.UsageError("--partition-minutes requires --images-per-second.")
        partition_bytes = bytes_in(partition_minutes, images_per_second, shards)
    groups = partition(shards, partition_bytes)
    write_partitions(results, groups)
    total = sum(shard.bytes for shard in shards)
    log.info("%d shards, %d bytes, %d partitions", len(shards), total, len(groups))


if __name__ == "__main__":
    main()
