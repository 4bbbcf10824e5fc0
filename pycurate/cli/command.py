"""What the scripts in bin/ and the command `pycurate` are: commands of click, with logging, that end alike."""

import io
import logging
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from pycurate.cli import begin_work
from pycurate.cli.terminal import echo, log_to_stderr
from pycurate.errors import PycurateError, explained
from pycurate.fingerprint import check_version

log = logging.getLogger(__name__)


class _Ends:
    """Mixed into a command of click: sets logging up, and ends each error in one sentence and an exit code.

    The code is 2 where the call was wrong, 1 where the work failed, 130 after Ctrl-C. A fault of pycurate's own is
    logged with its traceback.
    """

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """As click's, but that it always ends the process."""
        begin_work()
        _open_what_is_closed()
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
            log.critical("This is a bug in pycurate; please report it with the lines below.", exc_info=True)
        sys.exit(status)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, but that it refuses what no table, JSON file or library of Arrow could name."""
        for word in args:
            try:
                word.encode()
            except UnicodeEncodeError:
                ctx.fail(f"{word} has bytes that are not UTF-8; rename what it names.")
        return super().parse_args(ctx, args)  # type: ignore[misc]


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
    if context is None:
        return [f"Error: {error.format_message()}"]
    usage = [*context.get_usage().splitlines(), f"Try '{context.command_path} --help' for help.", ""]
    return [*usage, f"Error: {error.format_message()}{_advice(error.format_message(), context.command)}"]


def _advice(fault: str, command: click.Command) -> str:
    """What else is to be said to someone whose shell has made several words of one pattern."""
    flags = {flag for parameter in command.params for flag in parameter.opts} & {"--input-path", "--input"}
    if not flags or "unexpected extra argument" not in fault:
        return ""
    return f"; quote patterns, as in {max(flags)} 'shards/*.tar'"


def _open_what_is_closed() -> None:
    """Let stdout and stderr go nowhere that were closed by who called: Python has None in their place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def _give_up_stdout() -> None:
    """What stdout does not take goes nowhere: else Python tries once more when it ends, and ends otherwise."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
