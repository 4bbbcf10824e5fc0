"""What a terminal and a log are given: to each of them, whatever comes with the data is text and no command.

Nothing of pycurate writes past these three: lines by `echo`, logs by `LogFormatter`, tables by `console`.
"""

from __future__ import annotations

import logging
import warnings
from typing import IO, TYPE_CHECKING, Any

import click

from pycurate.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def echo(*lines: str, err: bool = False) -> None:
    """Print the lines, each on one, to stdout or stderr."""
    for line in lines:
        click.echo(printable(line), err=err)


class LogFormatter(logging.Formatter):
    """A record on one line; with an exception, its traceback beneath, line by line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return "\n".join(map(printable, super().formatException(ei).split("\n")))


def log_to_stderr() -> None:
    """Send logs, and the warnings of libraries, to stderr, unless somebody has set logging up before."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    warnings.formatwarning = _one_line
    logging.captureWarnings(True)


def _one_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: Any = None) -> str:
    """A warning without the line of code that raised it."""
    return f"{filename}:{lineno}: {category.__name__}: {message}"


def console(file: IO[str] | None = None) -> Console:
    """rich's console on stdout, or another file, to which a string is its signs and no markup: [red], :smile:."""
    from rich.console import Console  # here, since it takes time that a stage need not take

    class Literal(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options | {"markup": False, "emoji": False})

    return Literal(file=file, highlight=False)
