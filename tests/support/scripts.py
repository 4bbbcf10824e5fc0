"""The scripts in bin/: what they take, and calls of them."""

import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result
from flows import environment

BIN = Path(__file__).resolve().parents[2] / "bin"
NAMES = sorted(path.stem for path in BIN.glob("*.py"))


def main_of(name: str) -> click.Command:
    """The command that a script runs."""
    main: click.Command = runpy.run_path(str(BIN / f"{name}.py"))["main"]
    return main


def commands(name: str) -> Sequence[click.Command]:
    """A script, or its subcommands."""
    main = main_of(name)
    return list(main.commands.values()) if isinstance(main, click.Group) else [main]


def options_of(command: click.Command) -> set[str]:
    """The options of a command, such as --no-nsfw."""
    return {option for one in command.params for option in [*one.opts, *one.secondary_opts]}


def words_of(name: str, *words: object) -> list[str]:
    """A call of a script as words."""
    return [sys.executable, str(BIN / f"{name}.py"), *map(str, words)]


def called(name: str, *words: object) -> Result:
    """A script in this process."""
    return CliRunner().invoke(main_of(name), list(map(str, words)))


def said(name: str, *words: object, code: int = 0) -> str:
    """What a script says that is called in this process and leaves with `code`."""
    done = called(name, *words)
    assert done.exit_code == code, done.output
    return done.output


def started(name: str, *words: object, **more: Any) -> "subprocess.CompletedProcess[str]":
    """A script in a process of its own, until it ends."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(words_of(name, *words), env=environment(), text=True, timeout=120, **streams | more)
