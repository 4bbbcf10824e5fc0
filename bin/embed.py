#!/usr/bin/env python3
"""EMBED: decode each image once; leave its embedding and what is measured on pixels."""

from pathlib import Path

import click

from pycurate.cli.model_options import model_options
from pycurate.cli.options import parameters, partition_option, stage_command
from pycurate.models.selection import ModelSelection
from pycurate.results.costs import record
from pycurate.results.layout import kinds_of, numbers
from pycurate.results.manifest import left
from pycurate.stages.embed import LoaderOptions, check_digests, embed_partition


@stage_command
@model_options
@partition_option
@parameters("loader", "batch_size", "max_pixels", "digests", "caption_key")
@click.option("--workers", type=click.IntRange(1), help="Number of decoding workers.  [default: one per core]")
def main(
    results: Path,
    models: ModelSelection,
    partitions: tuple[str, ...],
    loader: str | None,
    batch_size: int,
    max_pixels: int,
    digests: tuple[str, ...],
    caption_key: str,
    workers: int | None,
) -> None:
    """Embed the images of the shards in RESULTS/partitions.

    Writes RESULTS/img_emb, metadata and measures, with --dedup-encoder or --dedup-views dedup_emb, with
    --clip-score-masked masked_emb, and samples with a row for every sample, readable or not.
    """
    check_digests(digests)
    encoders = models.load_encoders()
    scorers = models.load_pixel_scorers()
    options = LoaderOptions.fill(loader, models.device, batch_size, max_pixels, workers)
    for number in partitions or numbers(results, "partitions"):
        embed_partition(results, number, encoders, scorers, options, models.views, digests, caption_key)
        record(results, "EMBED", number, left(results, kinds_of("EMBED"), number))


if __name__ == "__main__":
    main()
