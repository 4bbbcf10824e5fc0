#!/usr/bin/env python3
"""DECIDE: apply the filters, drop the duplicates, decide about every sample, plan the output."""

from pathlib import Path

from pycurate.cli.filter_options import filter_options
from pycurate.cli.options import parameters, reference_option, stage_command
from pycurate.dedup.partitions import sources_of
from pycurate.filters.filtering import Filtering
from pycurate.results.costs import record
from pycurate.results.layout import kinds_of
from pycurate.results.manifest import left
from pycurate.results.plan import Layout
from pycurate.stages.decide import decide


@stage_command
@parameters(dedup=True)
@filter_options
@parameters("images_per_tar", "tars_per_task", "write")
@reference_option
def main(
    results: Path,
    dedup: bool,
    filtering: Filtering,
    images_per_tar: int,
    tars_per_task: int,
    write: bool,
    references: tuple[Path, ...],
) -> None:
    """Apply the filters and drop duplicates; writes RESULTS/decisions.parquet, decisions.json, uids_*.npy and plan.

    Reads samples, scores and the pairs found by dedup.py; also assigned and the embeddings if the best of many
    near-duplicates fail a filter.
    """
    layout = Layout(images_per_tar, tars_per_task) if write else None
    decide(results, sources_of(results, references), filtering, layout, dedup)
    record(results, "DECIDE", left=left(results, kinds_of("DECIDE")))


if __name__ == "__main__":
    main()
