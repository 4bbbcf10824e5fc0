"""What the scripts in bin/ take."""

import runpy
from collections.abc import Sequence
from pathlib import Path

import click

BIN = Path(__file__).resolve().parents[2] / "bin"
NAMES = sorted(path.stem for path in BIN.glob("*.py"))


def commands(name: str) -> Sequence[click.Command]:
    """A script, or its subcommands."""
    main = runpy.run_path(str(BIN / f"{name}.py"))["main"]
    return list(main.commands.values()) if isinstance(main, click.Group) else [main]


def options_of(command: click.Command) -> set[str]:
    """The options of a command, such as --no-nsfw."""
    return {option for one in command.params for option in [*one.opts, *one.secondary_opts]}
