"""PARTITION: the input's shards, in groups of about equal bytes and in a stable order."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pycurate.errors import ShardError, TableError, UsageError
from pycurate.files import atomic
from pycurate.patterns import absolute, also_named, named
from pycurate.tables import numbers, path_of

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


def partition(shards: Sequence[Shard], partition_bytes: int) -> list[list[Shard]]:
    """Cut the shards, in their order, into groups that reach `partition_bytes` each; the last may be smaller.

    A group ends where it comes nearest to its size, so shards added behind the last change only the last group.
    """
    groups: list[list[Shard]] = []
    room = 0.0
    for shard in shards:
        if not groups or room < shard.bytes / 2:
            groups.append([])
            room = partition_bytes
        groups[-1].append(shard)
        room -= shard.bytes
    return groups


def bytes_in(minutes: float, images_per_second: float, shards: Sequence[Shard]) -> int:
    """Bytes of shards that a task of this rate embeds in so many minutes.

    The bytes of an image are those of three shards of the input (first, middle, last), whose headers are read.
    Raises UsageError if they hold no image.
    """
    from pycurate.survey import count  # here, since it brings torch, which takes seconds

    probes = {shards[at] for at in (0, len(shards) // 2, -1)}
    images = sum(count(shard).images for shard in probes)
    if not images:
        raise UsageError("The first, middle and last shard hold no image; give --partition-bytes instead.")
    return max(1, round(minutes * 60 * images_per_second * sum(shard.bytes for shard in probes) / images))


def write_partitions(results: Path, groups: Sequence[Sequence[Shard]]) -> None:
    """Write partitions/partitions_00000.tsv and on: a line for each shard, its fields separated by tabs.

    They are its name, path, bytes and, where it is known, time stamp in nanoseconds. Names hold every character but
    tabs and line breaks (find_shards sees to that), so nothing is quoted, and only a line feed ends a line.
    """
    for old in (results / "partitions").glob("partitions_*.tsv"):
        old.unlink()  # of an earlier input
    width = max(5, len(str(len(groups) - 1)))
    for number, group in enumerate(groups):
        with atomic(path_of(results, "partitions", f"{number:0{width}}")) as beside:
            beside.write_text("".join(map(_line, group)), encoding="utf-8", newline="\n")


def read_partition(results: Path, number: str) -> list[Shard]:
    """The shards of one partition; earlier versions wrote no time stamps.

    Raises TableError if the file cannot be read as such.
    """
    path = path_of(results, "partitions", number)
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
        return [_shard_of(*line.split("\t")) for line in lines if line]
    except (OSError, ValueError, TypeError) as error:
        raise TableError(f"{path} is no partition file ({error}); run partition.py again.") from error


def read_all(results: Path) -> dict[str, Shard]:
    """Every shard of every partition, by name."""
    return {shard.name: shard for number in numbers(results, "partitions") for shard in read_partition(results, number)}


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


def _line(shard: Shard) -> str:
    fields = (shard.name, shard.path, shard.bytes, *(() if shard.modified is None else (shard.modified,)))
    return "\t".join(map(str, fields)) + "\n"


def _shard_of(name: str, path: str, size: str, modified: str | None = None) -> Shard:
    return Shard(name, Path(path), int(size), None if modified is None else int(modified))


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
