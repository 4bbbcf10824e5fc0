"""What the scripts in bin/ share: the --results option, logging, and exit codes."""

import dataclasses
import functools
import inspect
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pycurate.choice import choose_models
from pycurate.errors import PycurateError
from pycurate.package import check_version

results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder that the stages share; each adds its files to it.  [default: the current folder]",
)


def exits(function: Callable[..., Any]) -> Callable[..., Any]:
    """Set up logging; print a pycurate error as one sentence and leave with its exit code (2 wrong use, 1 failure)."""

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
        )
        try:
            check_version()
            return function(*args, **options)
        except PycurateError as error:
            click.echo(f"{Path(sys.argv[0]).name}: {error}", err=True)
            sys.exit(error.exit_code)

    return run


def stage_command(function: Callable[..., Any]) -> click.Command:
    """A click command with --results and the exit codes; the first docstring line of `function` is its help."""
    return click.command(context_settings={"max_content_width": 110})(results_option(exits(function)))


_MODEL_OPTIONS = (
    click.option("--preset", default="light", show_default=True, help="light, clip-b32 or clip-l14."),
    click.option("--encoder", help="Another encoder: an open_clip MODEL/PRETRAINED pair or module:Class."),
    click.option("--aesthetic/--no-aesthetic", default=True, help="Score looks with the preset's scorer."),
    click.option("--nsfw/--no-nsfw", default=True, help="Score safety with the preset's scorer."),
    click.option("--scorer", "scorers", multiple=True, help="One more scorer, as module:Class; repeatable."),
    click.option(
        "--model-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path.home() / ".cache" / "pycurate",
        show_default="~/.cache/pycurate",
        help="Folder of the models' weights.",
    ),
    click.option("--device", default=None, help="cuda, cpu, ...  [default: cuda where there is one]"),
)


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which stages are told the same models; they arrive as one ModelChoice, `models`."""

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        chosen = {name: options.pop(name) for name in inspect.signature(choose_models).parameters}
        return function(models=choose_models(**chosen), **options)

    for option in _MODEL_OPTIONS:
        run = option(run)
    return run


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which samples are chosen; they arrive as one Filtering, `filtering`. One left out is off."""

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        from pycurate.filters import Filtering  # here, since it brings numpy and pyarrow

        names = [field.name for field in dataclasses.fields(Filtering)]
        return function(filtering=Filtering(**{name: options.pop(name) for name in names}), **options)

    share, count, ratio = click.FloatRange(0, 1), click.IntRange(0), click.FloatRange(1)
    for option in (
        click.option(
            "--filter",
            multiple=True,
            metavar="NAME",
            help="Another filter, as module:Class or module:Class=NUMBER; repeatable.",
        ),
        click.option(
            "--caption-characters", type=count, metavar="COUNT", help="Keep captions of more characters than this."
        ),
        click.option("--caption-words", type=count, metavar="COUNT", help="Keep captions of more words than this."),
        click.option(
            "--max-aspect", type=ratio, metavar="RATIO", help="Keep images whose sides have at most this ratio."
        ),
        click.option(
            "--min-side",
            type=click.IntRange(1),
            metavar="PIXELS",
            help="Keep images whose shorter side has so many pixels.",
        ),
        click.option(
            "--missing-caption",
            type=click.Choice(["keep", "drop"]),
            default="keep",
            help="What becomes of samples without a caption.  [default: keep]",
        ),
        click.option(
            "--min-score",
            multiple=True,
            metavar="COLUMN=NUMBER",
            help="Keep images that score at least this; repeatable.",
        ),
        click.option(
            "--clip-score-threshold",
            type=click.FloatRange(-1, 1),
            metavar="COSINE",
            help="Keep captions that fit so well.",
        ),
        click.option("--nsfw-threshold", type=share, metavar="SCORE", help="Keep images that score below this."),
        click.option(
            "--aesthetic-threshold", type=share, metavar="SCORE", help="Keep images that score at least this."
        ),
    ):
        run = option(run)
    return run


partition_option = click.option(
    "--partition", "partitions", multiple=True, metavar="NUMBER", help="A partition, such as 00000; else all of them."
)

reference_option = click.option(
    "--reference",
    "references",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Results folder of a set that outranks this one and is never written; repeatable.",
)
