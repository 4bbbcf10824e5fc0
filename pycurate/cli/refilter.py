"""`pycurate refilter`: other thresholds for a finished run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pycurate.cli.filter_options import filter_options, recipe_option
from pycurate.cli.options import FOLDER, parameters
from pycurate.cli.terminal import echo
from pycurate.results.layout import path_of
from pycurate.results.reasons import in_order
from pycurate.text import count_of, pad


def _from_run(context: click.Context, _parameter: click.Parameter, results: Path) -> Path:
    """Make what decided the run the defaults of the options."""
    from pycurate.filters.filtering import Filtering
    from pycurate.results.criteria import read_criteria
    from pycurate.results.plan import Layout
    from pycurate.results.tables import read_summary

    summary = read_summary(results)  # which says that the run ended well
    criteria = read_criteria(results)
    shown = summary["parameters"]  # which state the layout of a run that wrote nothing, too
    layout = criteria.layout or Layout(**{name: shown[name] for name in Layout.__dataclass_fields__ if name in shown})
    known = asdict(Filtering.of_criteria(criteria)) | {"dedup": criteria.search is not None}
    # A recipe on the command line may have been read before.
    context.default_map = known | {"images_per_tar": layout.images_per_tar} | dict(context.default_map or {})
    context.obj = layout.tars_per_task
    return results


@click.command()
@click.argument("results", type=FOLDER, is_eager=True, callback=_from_run)
@recipe_option
@filter_options
@parameters(dedup=None, images_per_tar=None)
@click.option(
    "--write",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the curated set to this new folder, or replace the one in RESULTS.",
)
@click.pass_obj
def refilter(
    tars_per_task: int,
    results: Path,
    filtering: Any,
    dedup: bool,
    images_per_tar: int,
    folder: Path | None,
) -> None:
    """Show what other thresholds would keep of the run in RESULTS; with --write, write that set.

    Nothing is embedded, scored or compared again. Options that are not given keep the values of the run.
    """
    from pycurate.results.plan import Layout
    from pycurate.review.refilter import Wanted, preview, remake

    wanted = Wanted(filtering, dedup, Layout(images_per_tar, tars_per_task))
    change = remake(results, wanted, folder) if folder else preview(results, wanted)
    echo(f"{'':20} {'run':>12} {'now':>12}")
    for reason in in_order([*change.before, *change.after], [rule.reason for rule in filtering.rules()]):
        echo(f"{pad(reason, 20)} {change.before.get(reason, 0):>12,} {change.after.get(reason, 0):>12,}")
    echo(*change.selection)
    echo(f"{count_of(change.gained, 'sample')} added, {change.lost:,} removed.")
    if folder:
        echo(f"Curated shards: {folder / 'curated'}   Report: {path_of(folder, 'page')}")
