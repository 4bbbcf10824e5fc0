"""`pycurate refilter`: other thresholds for a finished run."""

from pathlib import Path
from typing import Any

import click

from pycurate.cli import exits, filter_options
from pycurate.errors import UsageError


def _from_run(context: click.Context, _parameter: click.Parameter, results: Path) -> Path:
    """Make the parameters of the run the defaults of the options."""
    from dataclasses import asdict

    from pycurate.filters import Filtering
    from pycurate.refilter import run_parameters
    from pycurate.tables import read_summary

    @exits
    def read() -> dict[str, Any]:
        return run_parameters(read_summary(results))

    parameters = read()
    context.default_map = parameters | asdict(Filtering.of(parameters))
    context.obj = parameters
    return results


@click.command()
@click.argument(
    "results", type=click.Path(exists=True, file_okay=False, path_type=Path), is_eager=True, callback=_from_run
)
@filter_options
@click.option("--dedup/--no-dedup", help="Drop duplicates.")
@click.option("--images-per-tar", type=click.IntRange(1), metavar="COUNT", help="Samples in an output shard.")
@click.option(
    "--write",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make the curated set anew in this folder; RESULTS itself is replaced.",
)
@click.pass_obj
@exits
def refilter(
    parameters: dict[str, Any],
    results: Path,
    filtering: Any,
    dedup: bool,
    images_per_tar: int,
    target: Path | None,
) -> None:
    """Say what other thresholds would keep of the run in RESULTS, at once; with --write make it so.

    Nothing is embedded, scored or compared again. What is not given stays as it was in the run.
    """
    from pycurate.page import in_order
    from pycurate.refilter import preview, remake, with_search

    for score in ("aesthetic", "nsfw"):
        if getattr(filtering, f"{score}_threshold") is not None and not parameters[score]:
            raise UsageError(f"That run has no score {score}; leave --{score}-threshold out.")
    chosen = filtering.parameters()
    wanted = with_search(results, parameters | chosen | {"dedup": dedup, "images_per_tar": images_per_tar})
    change = remake(results, wanted, target) if target else preview(results, wanted)
    click.echo(f"{'':20} {'run':>12} {'now':>12}")
    for reason in in_order([*change.before, *change.after]):
        click.echo(f"{reason:20} {change.before.get(reason, 0):>12,} {change.after.get(reason, 0):>12,}")
    click.echo(f"{change.gained:,} more would be kept, {change.lost:,} no longer.")
    if target:
        click.echo(f"Curated shards: {target / 'curated'}   Report: {target / 'report.html'}")
