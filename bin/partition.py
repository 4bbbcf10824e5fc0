#!/usr/bin/env python3
"""PARTITION: find the input's shards and cut them into groups of about equal bytes."""

import logging
from pathlib import Path
from typing import Any

import click

from pycurate.cli.options import parameters, stage_command
from pycurate.cli.terminal import echo
from pycurate.parameters import optional_scores
from pycurate.results.comparisons import S_CLIP_LOSS
from pycurate.results.partitions import write_partitions
from pycurate.shards.listing import search
from pycurate.stages.partition import bytes_in, check_criteria, check_models, partition
from pycurate.stores.upload import check_writable

log = logging.getLogger(__name__)

PLACE = click.Path(path_type=Path)  # of a folder that need not be there
FILTERS = ("min_score", "language", "filter", "score", "keep_top", "balance_by")  # that name scores, classes or codes


@stage_command
@click.option("--input", "source", required=True, help="Folder, glob, brace range ({00000..00099}.tar) or list file.")
@click.option("--outdir", type=PLACE, help="Output directory; shards in it are not input.")
@click.option("--work-dir", type=PLACE, help="Work directory of the run; shards in it are not input.")
@click.option("--upload", metavar="ADDRESS", help="Where in a store the run's results go; shards there are not input.")
@parameters("partition_bytes", "partition_minutes", "images_per_second")
@parameters("preset", "encoder", "dedup_encoder", "scorer", "pixel_scorer", *optional_scores())
@parameters("clip_score_threshold", *FILTERS)
@parameters("similar", "concept", "s_clip_loss", "clip_score_masked", "blocklist")
def main(
    results: Path,
    source: str,
    outdir: Path | None,
    work_dir: Path | None,
    upload: str | None,
    partition_bytes: int,
    partition_minutes: float | None,
    images_per_second: float | None,
    **own: Any,
) -> None:
    """Divide the shards of --input into partitions: RESULTS/partitions/partitions_00000.tsv, ...

    Says which shards are left out, and why. Refuses classes that cannot be used and unknown scores.
    """
    _check(**own)
    if upload:
        check_writable(upload)
    found = search(source, outdir, work_dir, upload)
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


def _check(
    preset: str,
    encoder: str | None,
    dedup_encoder: str | None,
    scorer: tuple[str, ...],
    pixel_scorer: tuple[str, ...],
    clip_score_threshold: float | None,
    similar: tuple[str, ...],
    concept: tuple[str, ...],
    s_clip_loss: bool,
    clip_score_masked: bool,
    blocklist: tuple[str, ...],
    **others: Any,
) -> None:
    """Raise UsageError where what the user names does not fit; a preset's own models do."""
    if blocklist:
        from pycurate.filters.blocklist import Blocking

        Blocking.of(blocklist)
    chosen = {name: others.pop(name) for name in FILTERS}
    if not any((encoder, dedup_encoder, scorer, pixel_scorer, similar, concept, *chosen.values())):
        return
    from pycurate.comparison.wanted import Wanted
    from pycurate.filters.filtering import Filtering  # here and below, since they take time that most calls need not
    from pycurate.models.selection import select_models

    scorers = (*pixel_scorer, *scorer)
    off = {score for score, on in others.items() if not on}  # what is left are the scores that can be switched off
    models = select_models(
        preset,
        Path(),
        encoder=encoder,
        dedup_encoder=dedup_encoder,
        scorers=scorers,
        without=off,
        masked=clip_score_masked,
    )
    check_models(models.encoders.values() if encoder or dedup_encoder else (), scorer, pixel_scorer)
    filtering = Filtering(clip_score_threshold=clip_score_threshold, **chosen)
    comparisons = Wanted.of(similar, concept, s_clip_loss or S_CLIP_LOSS in filtering.columns())
    check_criteria(models, filtering, [score for score, on in others.items() if on], comparisons)


if __name__ == "__main__":
    main()
