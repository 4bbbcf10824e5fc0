"""PARTITION: the input's shards, in groups of about equal bytes and in a stable order."""

import csv
import glob
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from braceexpand import braceexpand

from pycurate.errors import ShardError, TableError, UsageError
from pycurate.files import atomic
from pycurate.tables import numbers, path_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    name: str  # relative to the input root, with forward slashes
    path: Path
    bytes: int


def find_shards(text: str) -> list[Shard]:
    """The shards that `text` names, sorted by name, each once.

    `text` is a folder (every `.tar` beneath it), one `.tar` file, a glob (`shards/**/*.tar`), a brace range
    (`shards/{00000..00099}.tar`), or a text file with one of these a line (empty lines and `#` comments aside;
    relative lines start from the file's folder). Names are relative to the input root: the folder that was
    named, the folder before the first wildcard or brace, or for a text file its folder if that holds every shard,
    else the deepest folder that does.

    Raises UsageError if a shard is missing, or there is none.
    """
    given = Path(text)
    if text and given.is_file() and given.suffix.lower() != ".tar":
        paths = [path for line in _lines(given) for path in _expand(str(given.parent / line))]
        root = _absolute(str(given.parent))
        if not all(path.is_relative_to(root) for path in paths):
            root = Path(os.path.commonpath([path.parent for path in paths]))
    else:
        paths, root = _expand(text), _root(text)
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
    """Write partitions/partitions_00000.tsv and on: name, path and bytes of each shard, tab separated."""
    for old in (results / "partitions").glob("partitions_*.tsv"):
        old.unlink()  # of an earlier input
    width = max(5, len(str(len(groups) - 1)))
    for number, group in enumerate(groups):
        with (
            atomic(path_of(results, "partitions", f"{number:0{width}}")) as beside,
            open(beside, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\n")
            writer.writerows((shard.name, shard.path, shard.bytes) for shard in group)


def read_partition(results: Path, number: str) -> list[Shard]:
    """The shards of one partition. Raises TableError if the file cannot be read as such."""
    path = path_of(results, "partitions", number)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            return [Shard(name, Path(place), int(size)) for name, place, size in rows]
    except (OSError, ValueError) as error:
        raise TableError(f"{path} is no partition file ({error}); run partition.py again.") from error


def read_all(results: Path) -> dict[str, Shard]:
    """Every shard of every partition, by name."""
    return {shard.name: shard for number in numbers(results, "partitions") for shard in read_partition(results, number)}


def check_unchanged(shard: Shard) -> None:
    """Raise ShardError if the shard is gone or has another size than when it was partitioned."""
    try:
        size = shard.path.stat().st_size
    except OSError as error:
        raise ShardError(f"Shard {shard.name} is gone ({error}); bring it back and run again.") from error
    if size != shard.bytes:
        raise ShardError(f"Shard {shard.name} had {shard.bytes} bytes and now has {size}; run again from PARTITION.")


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is neither a .tar shard nor a text file that lists shards.") from error
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def _expand(text: str) -> list[Path]:
    """The shards that one pattern names, as absolute paths (links are not resolved: names stay the user's)."""
    if os.path.isdir(text):
        return [_absolute(name) for name in _tars_beneath(text)]
    if os.path.isfile(text):
        return [_absolute(text)]
    try:
        patterns = list(braceexpand(text))
    except ValueError as error:
        raise UsageError(f"The braces of {text!r} do not match; write {{00000..00099}}.") from error
    paths = []
    for pattern in patterns:
        found = sorted(glob.glob(pattern, recursive=True))
        if not found:
            raise UsageError(f"The input {pattern!r} matches no file; check the path.")
        paths += [_absolute(name) for name in found if not os.path.isdir(name)]
    return paths


def _tars_beneath(folder: str) -> Iterator[str]:
    """Every .tar in the folder and in those beneath it, linked ones too. Raises UsageError for one that is closed."""

    def closed(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be listed ({error.strerror}); see that it can be read.")

    for place, _, names in os.walk(folder, onerror=closed, followlinks=True):
        yield from (os.path.join(place, name) for name in names if name.lower().endswith(".tar"))


def _absolute(name: str) -> Path:
    return Path(os.path.normpath(os.path.abspath(name)))


def _root(text: str) -> Path:
    given = _absolute(text)
    if given.is_dir():
        return given
    fixed = []
    for part in given.parts:
        if any(character in part for character in "*?[{"):
            break
        fixed.append(part)
    root = Path(*fixed)
    return root if len(fixed) < len(given.parts) else root.parent


def _shard(path: Path, root: Path) -> Shard:
    name = path.relative_to(root).as_posix()
    if not path.is_file():
        raise UsageError(f"The shard {path} cannot be opened: it is a link to nothing, or no file.")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"The shard name {name!r} is not UTF-8; rename it.") from error
    if any(character in name for character in "\t\r\n"):
        raise UsageError(f"The shard name {name!r} holds a tab or a line break; rename it.")
    return Shard(name, path, path.stat().st_size)
