"""Classes by name: pycurate's own and the user's, all in one way.

A class is named by
    MODULE:CLASS              a class in an importable module, such as pycurate.models.builtin.quality:Quality
    path/to/file.py:CLASS     a class in a file
"""

import difflib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from pycurate.errors import PycurateError, UsageError

_NOT_THEIRS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<frozen ")


_BUILT_IN_MODULES = [
    *(f"pycurate.models.builtin.{name}" for name in ("efficientnet", "laion", "light_copy", "opennsfw")),
    *(f"pycurate.models.builtin.{name}" for name in ("quality", "sscd", "text_area")),
    "pycurate.filters.metadata",
]

_SEE = "see pycurate/models/protocols.py and pycurate/filters/protocol.py"


TORCHSCRIPT = "torchscript:"
"""What a model in a file of torch.jit.save is named with, before its path."""

LOCAL = "local-dir:"
"""What an open_clip model in a folder is named with, before its path."""

_PIN = re.compile(r"#([0-9a-f]{64})\Z")

_PAIR = re.compile(r"([\w.-]+?)(?:-quickgelu)?/([\w-]+)", re.ASCII)


@contextmanager
def called(what: str, wrong: type[PycurateError], remedy: str = "fix it there") -> Iterator[None]:
    """Raise `wrong` with `what`, the cause and the remedy for whatever the block raises, a call of sys.exit too.

    Errors of pycurate and Ctrl-C pass. How numpy is to take an underflow, say, is afterwards as it was: what a class
    chooses for itself would stop pycurate where it rounds.
    """
    import numpy as np  # here, since --help does without

    try:
        with np.errstate():
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


def is_class(spec: str) -> bool:
    """Whether `spec` names a class rather than an open_clip model or a file."""
    return ":" in spec and not spec.startswith((LOCAL, "hf-hub:", TORCHSCRIPT))


def unpinned(spec: str) -> tuple[str, str | None]:
    """The name of an encoder, and the SHA-256 that its files must have, if the workflow wrote that behind it.

    It stands behind a `#` (lib/Checkpoints.groovy), so that Nextflow knows other files under one name.
    """
    pin = _PIN.search(spec)
    return (spec[: pin.start()], pin[1]) if pin else (spec, None)


def one_name(spec: str) -> str:
    """The name, of all by which open_clip knows one model of its list, that stands for it; any other as it is.

    QuickGELU comes with the tag, so `ViT-B-32/openai` and `ViT-B-32-quickgelu/openai` are one encoder. In a tag neither
    capitals nor hyphens count: `laion2B-s34B-b79K`, as repositories are called, is `laion2b_s34b_b79k`.
    """
    pair = _PAIR.fullmatch(spec)
    return f"{pair[1]}/{pair[2].lower().replace('-', '_')}" if pair else spec


def load_class(spec: str) -> type[Any]:
    """The class named `module:Class` or `path/to/file.py:Class`.

    Raises UsageError, naming the nearest right name, if the module or the class cannot be found, or the module, with
    the line that did it, if it cannot be imported.
    """
    module_name, _, class_name = spec.rpartition(":")
    if not module_name or not class_name:
        raise UsageError(f"{spec!r} does not name a class; write it as module:Class or path/to/file.py:Class.")
    # What it prints meanwhile must not get into what a command prints, JSON say.
    with called(f"{module_name} cannot be imported: it", UsageError), redirect_stdout(sys.stderr):
        module = _module_of_file(Path(module_name)) if module_name.endswith(".py") else _module(module_name)
    classes = [name for name, value in vars(module).items() if inspect.isclass(value)]
    if class_name not in classes:
        raise UsageError(f"{module_name} has no class {class_name!r}{nearest(class_name, classes) or '.'}")
    return getattr(module, class_name)


def check_method(spec: str, what: str, name: str, *arguments: str) -> None:
    """Raise UsageError unless the class named by `spec` has a method of this name that takes these arguments.

    `what` the class is meant to be, such as `a scorer`.
    """
    kind = load_class(spec)
    method = getattr(kind, name, None)
    if not callable(method):
        raise UsageError(f"{spec} is not {what}: it needs `{name}`; {_SEE}.")
    of_instances = inspect.isfunction(inspect.getattr_static(kind, name))  # and no static method, say
    check_arguments(f"`{name}` of {spec}", method, *(["self"] if of_instances else []), *arguments)


def check_arguments(what: str, function: Callable[..., Any], *arguments: str) -> None:
    """Raise UsageError unless a function or a class of the user's own can be called with these arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise UsageError(f"{what} cannot be called with ({', '.join(arguments)}): {error}; {_SEE}.") from error
    except ValueError:  # what is not written in Python need not say what it takes
        pass


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'X'?` for the nearest of `names`, or nothing if none is near."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise  # the module is there; something that it imports is not
        raise UsageError(
            f"there is no module {name!r}{nearest(name, _BUILT_IN_MODULES)}; add your folder to PYTHONPATH, "
            "or give the file as path/to/file.py:Class."
        ) from error


def _module_of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {path} to load a class from.")
    name = str(path.resolve())  # so messages call its classes as they were given, and no two files share a name
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    module.__package__ = ""  # whatever dots its path has, a file by itself is in no package
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
