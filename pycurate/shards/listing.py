"""The shards of an input, found and named."""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pycurate.errors import ShardError, UsageError
from pycurate.shards.patterns import absolute, also_named, named

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    name: str  # relative to the input root, with forward slashes
    path: Path
    bytes: int
    modified: int | None = None  # time stamp, nanoseconds since 1970; None if it is not known


def find_shards(text: str) -> list[Shard]:
    """The shards that `text` names, sorted by name, each once.

    `text` is a folder (every `.tar` beneath it), one `.tar` file, a glob (`shards/**/*.tar`), a brace range
    (`shards/{00000..00099}.tar`), or a text file with one of these a line (empty lines and `#` comments aside;
    relative lines start from the file's folder). Names are relative to the input root: the folder that was
    named, the folder before the first wildcard or brace, or for a text file its folder if that holds every shard,
    else the deepest folder that does. What exists under the name that is given is meant by it, pattern or not.

    Raises UsageError if a shard is missing or its name cannot be handed on, or there is none.
    """
    given = Path(text)
    if text and given.is_file() and given.suffix.lower() != ".tar":
        paths, root = _listed(given)
    else:
        paths, root = named(text)
    if not paths:
        raise UsageError(f"The input {text!r} names no .tar shard; give a folder, a glob, a brace range or a list.")
    unique = sorted(set(paths), key=lambda path: path.relative_to(root).as_posix())
    if len(unique) < len(paths):
        log.warning("%d shards are named more than once; each is used once.", len(paths) - len(unique))
    return [_shard(path, root) for path in unique]


def check_unchanged(shard: Shard) -> None:
    """Raise ShardError if the shard is gone, or has another size or time stamp than when it was partitioned."""
    try:
        found = shard.path.stat()
    except OSError as error:
        raise ShardError(f"Shard {shard.name} is gone ({error}); bring it back and run again.") from error
    if found.st_size != shard.bytes:
        raise ShardError(
            f"Shard {shard.name} had {shard.bytes} bytes and now has {found.st_size}; run again from PARTITION."
        )
    if shard.modified is not None and not _same_time(found.st_mtime_ns, shard.modified):
        raise ShardError(f"Shard {shard.name} was written to after it had been listed; run again from PARTITION.")


def _same_time(one: int, other: int) -> bool:
    """Whether two time stamps are one. Some file systems keep whole seconds, once they have written a file back."""
    whole = 10**9
    return one == other or (one // whole == other // whole and 0 in (one % whole, other % whole))


def _listed(listing: Path) -> tuple[list[Path], Path]:
    """The shards that a list names, and its folder or, if one lies outside of that, the deepest folder of all.

    Raises UsageError for an entry that is one shard's name and as a pattern names more than the list does.
    """
    entries = [str(listing.parent / entry) for entry in _entries(listing)]
    literal = {entry for entry in entries if os.path.isfile(entry)}
    paths = [path for entry in entries for path in ([absolute(entry)] if entry in literal else named(entry)[0])]
    listed = set(paths)
    for entry in literal:
        if more := [path for path in also_named(entry) if path not in listed]:
            raise UsageError(
                f"The entry {entry!r} of the list is a shard, and a pattern that names {len(more)} more; "
                "write [*], [?] or [{] in the name of the one."
            )
    root = absolute(str(listing.parent))
    if not all(path.is_relative_to(root) for path in paths):
        root = Path(os.path.commonpath([path.parent for path in paths]))
    return paths, root


def _entries(listing: Path) -> Iterator[str]:
    """The lines of a list that name shards. White space around one counts only where a file is called so."""
    try:
        text = listing.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{listing} is neither a .tar shard nor a text file (in UTF-8) that lists shards.") from error
    for line in re.split("\r\n|\r|\n", text):
        entry = line.strip(" \t")
        if entry and not entry.startswith("#"):
            yield line if os.path.isfile(listing.parent / line) else entry


def _shard(path: Path, root: Path) -> Shard:
    """The shard at `path`. Raises UsageError if it is no file, or no line of a partition file can hold its path."""
    if any(character in str(path) for character in "\t\r\n"):
        raise UsageError(f"The shard {str(path)!r} holds a tab or a line break in its path; rename it.")
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"The shard {str(path)!r} holds bytes that are not UTF-8 in its path; rename it.") from error
    if not path.is_file():
        raise UsageError(f"The shard {str(path)!r} cannot be opened: it is a link to nothing, or no file.")
    found = path.stat()
    return Shard(path.relative_to(root).as_posix(), path, found.st_size, found.st_mtime_ns)


def read_bytes(shard: Shard, offset: int, size: int) -> bytes:
    """`size` bytes of the shard from `offset`. Raises ShardError if it changed since it was partitioned."""
    check_unchanged(shard)
    with open(shard.path, "rb") as file:
        file.seek(offset)
        return file.read(size)
