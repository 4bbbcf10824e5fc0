"""What the scripts in bin/ and the command `pycurate` share: options, logging, and how they end."""

import dataclasses
import functools
import inspect
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from pycurate.cli.terminal import echo, log_to_stderr
from pycurate.errors import PycurateError, UsageError, explained
from pycurate.fingerprint import check_version
from pycurate.models.selection import select_models

log = logging.getLogger(__name__)

results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder that the stages share; each adds its files to it.  [default: the current folder]",
)


class _Ends:
    """Mixed into a command of click: sets logging up, and ends each error in one sentence and an exit code.

    The code is 2 where the call was wrong, 1 where the work failed, 130 after Ctrl-C. A fault of pycurate's own is
    logged with its traceback.
    """

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """As click's, but that it always ends the process."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal that has not every letter
        log_to_stderr()
        status = 1
        try:
            check_version()
            ended = super().main(*args, **extra, standalone_mode=False)  # type: ignore[misc]
            sys.stdout.flush()
            status = ended if isinstance(ended, int) else 0
        except click.Abort:
            status = 130
        except click.ClickException as error:
            status = error.exit_code
            echo(*_shown(error), err=True)
        except PycurateError as error:
            status = error.exit_code
            echo(_sentence(str(error)), err=True)
        except BrokenPipeError:  # whoever read it has seen enough
            _give_up_stdout()
        except OSError as error:
            echo(_sentence(explained(error)), err=True)
            _give_up_stdout()
        except Exception:
            log.critical("This is a fault of pycurate's own; please report it with the lines below.", exc_info=True)
        sys.exit(status)


class Command(_Ends, click.Command):
    """A command that is a script by itself."""


class Group(_Ends, click.Group):
    """A script with subcommands."""


def _sentence(text: str) -> str:
    return f"{Path(sys.argv[0]).name}: {text}"


def _shown(error: click.ClickException) -> list[str]:
    """What click says of a wrong call, line by line: the usage, a hint, the fault."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.message.splitlines()
    context = getattr(error, "ctx", None)
    usage = [*context.get_usage().splitlines(), f"Try '{context.command_path} --help' for help.", ""] if context else []
    return [*usage, f"Error: {error.format_message()}"]


def _give_up_stdout() -> None:
    """What stdout does not take goes nowhere: else Python tries once more when it ends, and ends otherwise."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stage_command(function: Callable[..., Any]) -> click.Command:
    """A command with --results; the first docstring line of `function` is its help."""
    return click.command(cls=Command, context_settings={"max_content_width": 110})(results_option(function))


def _weights_at_home() -> str:
    """The folder of weights where none is named, as nextflow.config has it. Raises UsageError where HOME is not set."""
    if not os.environ.get("HOME"):
        raise UsageError("HOME is not set, so there is no ~/.cache/pycurate; name a folder of weights by --model-dir.")
    return f"{os.environ['HOME']}/.cache/pycurate"


_MODEL_OPTIONS = (
    click.option("--preset", default="light", show_default=True, help="light, clip-b32 or clip-l14."),
    click.option("--encoder", help="Another encoder: an open_clip MODEL/PRETRAINED pair or module:Class."),
    click.option("--aesthetic/--no-aesthetic", default=True, help="Score looks with the preset's scorer."),
    click.option("--nsfw/--no-nsfw", default=True, help="Score safety with the preset's scorer."),
    click.option("--scorer", "scorers", multiple=True, help="One more scorer, as module:Class; repeatable."),
    click.option(
        "--model-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=_weights_at_home,
        show_default="~/.cache/pycurate",
        help="Folder of the models' weights.",
    ),
    click.option("--device", default=None, help="cuda, cpu, ...  [default: cuda where there is one]"),
)


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which stages are told the same models; they arrive as one ModelChoice, `models`."""

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        chosen = {name: options.pop(name) for name in inspect.signature(select_models).parameters}
        return function(models=select_models(**chosen), **options)

    for option in _MODEL_OPTIONS:
        run = option(run)
    return run


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which samples are chosen; they arrive as one Filtering, `filtering`. One left out is off."""

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        from pycurate.filters.filtering import Filtering  # here, since it brings numpy and pyarrow

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
