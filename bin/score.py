#!/usr/bin/env python3
"""SCORE: compute each scorer's column from embeddings and what EMBED measured."""

from pathlib import Path

import click

from pycurate.cli.model_options import model_options
from pycurate.cli.options import partition_option, stage_command
from pycurate.models.selection import ModelSelection
from pycurate.results.costs import record
from pycurate.results.layout import kinds_of, numbers
from pycurate.results.manifest import left
from pycurate.stages.score import score_partition


@stage_command
@model_options
@partition_option
@click.option(
    "--clip-score",
    is_flag=True,
    help="Also compute how well each caption fits its image, with the encoder's text tower.",
)
def main(results: Path, models: ModelSelection, partitions: tuple[str, ...], clip_score: bool) -> None:
    """Compute the scores of all samples in RESULTS/img_emb and measures; writes RESULTS/scores, and with
    --clip-score or --clip-score-masked RESULTS/text_emb."""
    measured = models.pixel_scorer_classes()
    scorers = models.load_embedding_scorers()
    clip = models.load_clip_score() if clip_score or models.masked else None
    for number in partitions or numbers(results, "measures"):
        score_partition(results, number, measured, scorers, clip, models.masked, models.encoder)
        record(results, "SCORE", number, left(results, kinds_of("SCORE"), number))


if __name__ == "__main__":
    main()
