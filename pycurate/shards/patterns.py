"""Which files a text names: a path as it is, a glob, or a brace range. What exists under that very name comes first."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from braceexpand import braceexpand

from pycurate.errors import UsageError
from pycurate.shards.walk import folders_beneath

MOST = 10_000_000  # names in a range; more are no range but somebody's idea of a file name
NUMBERS = re.compile(r"\{(-?\d+)\.\.(-?\d+)")


def named(text: str) -> tuple[list[Path], Path]:
    """The files that `text` names, as absolute paths, and the folder from which they are named.

    A folder stands for every `.tar` beneath it. What exists is taken as it is: `a[1].tar` is that file, not `a1.tar`.
    Only where a glob or a brace range names more files than one that is called like the pattern, all of them are meant.
    Links are not resolved: names stay the user's. Raises UsageError if there is no such file, or part of a range.
    """
    if not os.path.lexists(text):
        return _matching(text)
    if others := also_named(text):
        return others + ([] if os.path.isdir(text) else [absolute(text)]), absolute(_split(text)[0])
    if os.path.isdir(text):
        return [absolute(name) for name in _tars_beneath(text)], absolute(text)
    return [absolute(text)], absolute(text).parent


def also_named(text: str) -> list[Path]:
    """What `text`, under which something exists, names beside that as a glob or a brace range."""
    try:
        return [path for path in _matching(text)[0] if path != absolute(text)]
    except UsageError:  # it is just a name
        return []


def absolute(name: str) -> Path:
    """An absolute path without `.` and `..`; links in it stay."""
    return Path(os.path.normpath(os.path.abspath(name)))


def deepest(paths: Iterable[Path]) -> Path:
    """The deepest folder that holds all of these files."""
    return Path(os.path.commonpath([path.parent for path in paths]))


def _matching(text: str) -> tuple[list[Path], Path]:
    """The files that the pattern names, and the folder before its first wildcard or range, if all of them lie in it.

    Else it is the deepest folder of all; where a range is of whole paths, too, before which there is no folder.

    Raises UsageError if there is none, or none of a part of a range.
    """
    folder, pattern = _split(text)
    pieces = ranges(pattern)
    paths = []
    for piece in pieces:
        whole = folder + piece
        exact = os.path.lexists(whole) and not _wild(piece)
        found = [whole] if exact else _globbed(folder, piece)
        if not found:
            raise UsageError(f"The input {whole!r} matches no file; check the path and the braces.")
        paths += [absolute(name) for name in found if not os.path.isdir(name)]
    root = absolute(folder)
    within = not any(map(os.path.isabs, pieces)) and all(path.is_relative_to(root) for path in paths)
    return paths, root if within or not paths else deepest(paths)


def _split(text: str) -> tuple[str, str]:
    """The folders at the beginning of `text` that exist under that very name, and the pattern beneath them.

    The pattern begins at the first wildcard or range, though something be called just so.
    """
    parts = text.split("/")
    count = 0
    while count < len(parts) and not _wild(parts[count]) and ranges(parts[count]) == [parts[count]]:
        if not os.path.lexists("/".join(parts[: count + 1]) or "/"):
            break
        count += 1
    return "/".join([*parts[:count], ""]) if count else "", "/".join(parts[count:])


def _wild(text: str) -> bool:
    """Whether it matches several names, itself among them. Brackets do not match themselves: `a[1]` is just a name."""
    return "*" in text or "?" in text


def ranges(pattern: str) -> list[str]:
    """The pattern for each value of its brace ranges and lists. What cannot be expanded is just a name."""
    sizes = [abs(int(last) - int(first)) for first, last in NUMBERS.findall(pattern)]
    if "{" not in pattern or max(sizes, default=0) > MOST:
        return [pattern]
    try:
        pieces = list(islice(braceexpand(pattern), MOST + 1))
    except ValueError:
        return [pattern]
    return pieces if len(pieces) <= MOST else [pattern]


def _tars_beneath(folder: str) -> Iterator[str]:
    """Every .tar in the folder and in those beneath it, linked ones too. Raises UsageError for one that is closed."""
    for place, names in folders_beneath(folder):
        yield from (os.path.join(place, name) for name in names if name.lower().endswith(".tar"))


def _globbed(folder: str, pattern: str) -> list[str]:
    """What `glob` finds of the pattern beneath the folder; `**` meets each folder once, though links go in circles.

    A `**` stands for folders at any depth, none too, whose names begin with no dot.
    """
    parts = pattern.split("/")
    if "**" not in parts:
        return sorted(glob.glob(glob.escape(folder) + pattern))
    at = parts.index("**")
    before, behind = "/".join(parts[:at]), "/".join(parts[at + 1 :]) or "*"
    tops = [f"{top}/" for top in sorted(glob.glob(glob.escape(folder) + before))] if before else [folder]
    found: list[str] = []
    for top in tops:
        if os.path.isdir(top or "."):
            for place, _ in folders_beneath(top, hidden=False):
                found += _globbed(os.path.join(place, "") if place else "", behind)
    return sorted(found)
