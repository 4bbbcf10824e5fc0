"""Code of the user's own, called so that whatever it does ends in a sentence that names it."""

import importlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pycurate.errors import PycurateError

_NOT_THEIRS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<frozen ")


@contextmanager
def called(what: str, wrong: type[PycurateError], remedy: str = "mend it there") -> Iterator[None]:
    """Raise `wrong` with `what`, the cause and the remedy for whatever the block raises, a call of sys.exit too.

    Errors of pycurate and Ctrl-C pass.
    """
    try:
        yield
    except (PycurateError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise wrong(f"{what} {cause(error)}; {remedy}.") from error


def cause(error: BaseException) -> str:
    """What an exception is, and by which line of the user's code it came: `raised KeyError: 'x' (own.py, line 3)`."""
    if isinstance(error, SystemExit):
        text = f"called sys.exit({'' if error.code is None else repr(error.code)})"
    else:
        text = f"raised {type(error).__name__}" + (f": {error}" if str(error) else "")
    place = _place(error)
    return f"{text} ({place})" if place else text


def _place(error: BaseException) -> str:
    """The last line in the file where the user's code begins. A syntax error says it by itself."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [(frame.filename, frame.lineno) for frame in frames if not frame.filename.startswith(_NOT_THEIRS)]
    if isinstance(error, SyntaxError) or not theirs:
        return ""
    file, line = [place for place in theirs if place[0] == theirs[0][0]][-1]
    return f"{file}, line {line}"
