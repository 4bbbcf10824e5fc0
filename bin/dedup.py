#!/usr/bin/env python3
"""DEDUP: find the duplicates among all readable samples, whatever the filters say."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pycurate.cli.command import Group
from pycurate.cli.options import FOLDER, parameters, partition_option, reference_option, results_option
from pycurate.cli.terminal import echo
from pycurate.dedup.cells import Cells
from pycurate.dedup.leakage import find_leaks
from pycurate.dedup.pairs import read_pairs
from pycurate.dedup.partitions import Source, check_count, embeddings_of, references_of, source_named, sources_of
from pycurate.dedup.rank import checked_keep
from pycurate.dedup.sets import whole
from pycurate.dedup.settings import Settings
from pycurate.dedup.train import train as choose_cells
from pycurate.errors import UsageError
from pycurate.models.presets import dedup_threshold_of, find_preset
from pycurate.results.costs import record
from pycurate.results.encoder import read_encoder
from pycurate.results.layout import compared, kinds_of, numbers, path_of
from pycurate.results.manifest import left
from pycurate.results.tables import read_table, write_table
from pycurate.stages import dedup


def search_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the search; they arrive as one Settings, `settings`."""

    @functools.wraps(function)
    def run(
        preset: str,
        dedup_threshold: float | None,
        dedup_keep: str,
        dedup_recall: str,
        dedup_cells: int | None,
        dedup_buckets: int | None,
        **options: Any,
    ) -> Any:
        threshold = _own_threshold(options.get("results"), preset) if dedup_threshold is None else dedup_threshold
        exact = {"auto": None, "exact": True, "fast": False}[dedup_recall]
        settings = Settings(threshold, checked_keep(dedup_keep), exact, dedup_cells, dedup_buckets)
        return function(settings=settings, **options)

    names = ("preset", "dedup_threshold", "dedup_keep", "dedup_recall", "dedup_cells", "dedup_buckets")
    return parameters(*names)(run)


def _own_threshold(results: Path | None, preset: str) -> float:
    """That of the encoder whose embeddings are compared: of the preset, if that is the one that scores, or of the
    descriptor that the tables state.

    Raises UsageError if nothing is known of that.
    """
    if results is None or (kind := compared(results)) == "img_emb":
        return find_preset(preset).dedup_threshold
    samples = path_of(results, "samples", numbers(results, "samples")[0])
    stated = read_encoder(samples, kind)
    if stated and replace(stated, views=1) == read_encoder(samples, "img_emb"):
        return find_preset(preset).dedup_threshold
    threshold = dedup_threshold_of(stated.name) if stated else None
    if threshold is None:
        raise UsageError(
            f"{results / kind} holds embeddings of {stated or 'an unnamed encoder'}, of which no threshold is known; "
            "give one by --dedup-threshold."
        )
    return threshold


@click.group(cls=Group, context_settings={"max_content_width": 110})
def main() -> None:
    """Find duplicates among all samples; decide.py then drops them.

    `pairs` does it in one process; `train`, then `assign` for each partition, then `match` for each bucket do the
    same in separate tasks. `all` deduplicates an embedding folder of another tool; `check` verifies the decisions.
    """


@main.command()
@results_option
@search_options
@reference_option
def train(results: Path, settings: Settings, references: tuple[Path, ...]) -> None:
    """Compute cells from a sample of the embeddings; writes RESULTS/cells and prints the number of buckets."""
    cells = choose_cells(results, sources_of(results, references), settings)
    record(results, "DEDUP_TRAIN", left=left(results, ["cells"]))
    echo(str(len(cells.buckets) - 1))


@main.command()
@results_option
@partition_option
@reference_option
def assign(results: Path, partitions: tuple[str, ...], references: tuple[Path, ...]) -> None:
    """Assign each vector of a partition to the cells that it visits; writes RESULTS/assigned.

    Partitions of the first reference set are numbered 1:00000, 1:00001, ...
    """
    cells = Cells.load(path_of(results, "cells"))
    named = [source_named(results, references, name, cells.kind) for name in partitions]
    for source in named or sources_of(results, references, kind=cells.kind):
        dedup.assign(source, results, cells)
        record(results, "DEDUP_ASSIGN", source.label, left(results, ["assigned"], f"{source.number:05d}"))


@main.command()
@results_option
@click.option(
    "--bucket", "buckets", type=int, multiple=True, help="Number of a bucket, from 0; repeatable.  [default: all]"
)
@reference_option
def match(results: Path, buckets: tuple[int, ...], references: tuple[Path, ...]) -> None:
    """Find the duplicates within a bucket of cells; writes RESULTS/pairs. Reads assigned, cells, embeddings."""
    cells = Cells.load(path_of(results, "cells"))
    sources = sources_of(results, references, cells.kind, cells.kind)
    embeddings, searched = embeddings_of(sources), references_of(sources)
    for bucket in buckets or range(len(cells.buckets) - 1):
        dedup.match(results, bucket, cells, embeddings, searched)
        record(results, "DEDUP_MATCH", f"{bucket:05d}", left(results, ["pairs"], f"{bucket:05d}"))


@main.command()
@results_option
@search_options
@reference_option
def pairs(results: Path, settings: Settings, references: tuple[Path, ...]) -> None:
    """Find all duplicates in one process; writes RESULTS/pairs, cells and assigned."""
    dedup.find_pairs(results, sources_of(results, references), settings)
    record(results, "DEDUP_PAIRS", left=left(results, kinds_of("DEDUP")))


@main.command()
@results_option
@search_options
@partition_option
@click.option(
    "--leakage",
    "named",
    multiple=True,
    required=True,
    metavar="NAME=FOLDER",
    help="Results folder of a set; repeatable.",
)
def leakage(results: Path, settings: Settings, partitions: tuple[str, ...], named: tuple[str, ...]) -> None:
    """Compare partitions with evaluation sets; writes RESULTS/leaks, from which decide.py makes leakage.parquet."""
    kind = compared(results)
    check_count(len(named), "leakage")
    sets: dict[str, list[Source]] = {}
    for which, text in enumerate(named, 1):
        name, _, folder = text.partition("=")
        if not name or not folder or name in sets:
            raise UsageError(f"--leakage {text!r} is not NAME=FOLDER with a name of its own; give each set one.")
        if not Path(folder).is_dir():
            raise UsageError(f"--leakage {text!r}: there is no folder {folder}; check its path.")
        sets[name] = [Source(Path(folder), part, which, kind) for part in whole(Path(folder), "samples", kind, True)]
    own = [source_named(results, (), label, kind) for label in partitions or numbers(results, "samples")]
    for source in own:
        write_table(path_of(results, "leaks", source.name), find_leaks(source, sets, settings.threshold))
        record(results, "DEDUP_LEAKAGE", source.name, left(results, ["leaks"], source.name))


@main.command("all")
@search_options
@click.option(
    "--embeddings",
    required=True,
    type=FOLDER,
    help="Folder with img_emb/*.npy, in clip-retrieval's layout.",
)
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for decisions.parquet."
)
def all_steps(settings: Settings, embeddings: Path, out: Path) -> None:
    """Deduplicate an embedding folder of another tool.

    Without scores and image sizes, the earlier of two duplicates is kept. OUT/decisions.parquet has one row per
    vector, in order: kept, duplicate_of (a row number) and similarity.
    """
    dedup.dedup_embeddings(embeddings, settings, out)


@main.command()
@results_option
@reference_option
@click.option(
    "--dedup-threshold", type=float, help="Cosine at which two images are duplicates.  [default: as in RESULTS/pairs]"
)
def check(results: Path, references: tuple[Path, ...], dedup_threshold: float | None) -> None:
    """Compare all kept samples, and each duplicate with the sample that it names; fails if a decision is wrong."""
    from pycurate.dedup.brute_force import check_decisions  # here, since torch takes seconds to import

    threshold = read_pairs(results)[0].threshold if dedup_threshold is None else Settings(dedup_threshold).threshold
    done = check_decisions(sources_of(results, references), read_table(path_of(results, "decisions")), threshold)
    echo(
        f"{done.kept} kept samples in {done.pairs} pairs, none at or above {threshold}; "
        f"{done.duplicates} duplicates, each of a kept sample."
    )


if __name__ == "__main__":
    main()
