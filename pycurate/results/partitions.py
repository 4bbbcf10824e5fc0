"""The files of PARTITION: which shards a partition consists of."""

from collections.abc import Sequence
from pathlib import Path

from pycurate.errors import TableError
from pycurate.files import atomic
from pycurate.results.layout import numbers, path_of, paths_of
from pycurate.shards.listing import Shard
from pycurate.stores.address import is_address
from pycurate.stores.store import Object


def write_partitions(results: Path, groups: Sequence[Sequence[Shard]]) -> None:
    """Write partitions/partitions_00000.tsv and on: a line for each shard, its fields separated by tabs.

    They are its name, path or address, bytes and, where it is known, time stamp in nanoseconds or, in a store, ETag.
    Names hold every character but tabs and line breaks (find_shards sees to that), so nothing is quoted, and only a
    line feed ends a line. The last file is written first, so that who finds it knows how many there must be.
    """
    for old in paths_of(results, "partitions").values():
        old.unlink()  # of an earlier input
    width = max(5, len(str(len(groups) - 1)))
    for number, group in reversed([*enumerate(groups)]):
        with atomic(path_of(results, "partitions", f"{number:0{width}}")) as temporary:
            temporary.write_text("".join(map(_line, group)), encoding="utf-8", newline="\n")


def read_partition(results: Path, number: str) -> list[Shard]:
    """The shards of one partition. Raises TableError if the file cannot be read as such."""
    path = path_of(results, "partitions", number)
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
        return [_shard_of(*line.split("\t")) for line in lines if line]
    except (OSError, ValueError, TypeError) as error:
        raise TableError(f"{path} is not a partition file ({error}); run partition.py again.") from error


def read_all(results: Path) -> dict[str, Shard]:
    """Every shard of every partition, by name."""
    return {shard.name: shard for number in numbers(results, "partitions") for shard in read_partition(results, number)}


def _line(shard: Shard) -> str:
    known = shard.path.identity if isinstance(shard.path, Object) else shard.modified
    fields = (shard.name, shard.path, shard.bytes, *(() if known is None else (known,)))
    return "\t".join(map(str, fields)) + "\n"


def _shard_of(name: str, path: str, size: str, modified: str | None = None) -> Shard:
    if is_address(path):
        return Shard(name, Object(path, int(size), modified or ""), int(size))
    return Shard(name, Path(path), int(size), None if modified is None else int(modified))
