"""The shards of an input, found and named."""

import errno
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pycurate.errors import ShardError, UsageError
from pycurate.shards.intact import ImagePlace, check_image
from pycurate.shards.opening import open_shard, reading
from pycurate.shards.outputs import without_outputs
from pycurate.shards.patterns import absolute, also_named, deepest, named
from pycurate.shards.remote import Named, check_names, named_at, named_by, without_upload
from pycurate.stores.address import is_address
from pycurate.stores.store import Object

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    name: str  # relative to the input root, with forward slashes
    path: Path | Object  # the latter in a store
    bytes: int
    modified: int | None = None  # time stamp, nanoseconds since 1970; None if it is not known, or in a store


@dataclass(frozen=True)
class Found:
    """The shards of an input, sorted by name, and sentences about what was named and is not among them."""

    shards: list[Shard]
    remarks: list[str]


def find_shards(text: str) -> list[Shard]:
    """As `search`, where nothing is known of a run; its remarks are logged."""
    found = search(text)
    for remark in found.remarks:
        log.warning("%s", remark)
    return found.shards


def search(text: str, outdir: Path | None = None, work: Path | None = None, upload: str | None = None) -> Found:
    """The shards that `text` names, each once, without those that pycurate made (shards/outputs.py).

    `text` is a folder (every `.tar` beneath it), one `.tar` file, a glob (`shards/**/*.tar`), a brace range
    (`shards/{00000..00099}.tar`), an address of the same in a store (shards/remote.py), or a text file with one of
    these a line (empty lines and `#` comments aside; relative lines start from the file's folder). Names are relative
    to the input root: the folder that was named, or the folder before the first wildcard or brace, or that of the text
    file; if it does not hold every shard, the deepest folder that does. What exists under the name that is given is
    meant by it, pattern or not. `upload` is where in a store the run's results go.

    Raises UsageError if a shard is missing or its name cannot be handed on, or there is none.
    """
    given = Path(text)
    if is_address(text):
        return _with(named_at(text), upload, Found([], []))
    if not (text and _is_list(given)):
        return _local(text, *named(text), outdir, work)
    entries = list(_entries(given))
    addresses = [entry for entry in entries if is_address(entry)]
    paths = [entry for entry in entries if not is_address(entry)]
    if not addresses:
        return _local(text, *_listed(given, paths), outdir, work)
    local = _local(text, *_listed(given, paths), outdir, work) if paths else Found([], [])
    return _with(named_by(addresses, mixed=bool(paths)), upload, local)


def _is_list(given: Path) -> bool:
    """Whether this is a text file with shards' names. Raises OSError if it cannot be told."""
    try:
        return given.suffix.lower() != ".tar" and given.is_file()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # a pattern may be longer than any name
            return False
        raise


def _with(remote: Sequence[Named], upload: str | None, local: Found) -> Found:
    """All of them by name. Raises UsageError if two have one name, a name cannot be handed on, or none is left."""
    others = without_upload(remote, upload) if upload else remote
    remarks = list(local.remarks)
    if left := len(remote) - len(others):
        remarks.append(f"{str(upload)!r} is left out ({left} .tar): it contains the output of a run.")
    shards = local.shards + [Shard(name, known, known.bytes) for name, known in others]
    if not shards:
        raise UsageError(f"The input is in --outdir {upload}; choose another --outdir.")
    check_names(shard.name for shard in shards)
    return Found(sorted(shards, key=lambda shard: shard.name), remarks)


def _local(text: str, paths: list[Path], root: Path, outdir: Path | None, work: Path | None) -> Found:
    """The shards at these paths. Raises as `search` does."""
    if not paths:
        raise UsageError(
            f"The input {text!r} contains no .tar shard; give a folder, a glob, a brace range or a list file."
        )
    kept, left = without_outputs(paths, root, outdir, work)
    remarks = [
        f"{str(folder)!r} is left out ({number} .tar): it contains the output of a run."
        for folder, number in left.items()
    ]
    if not kept:
        raise UsageError(
            f"The input {text!r} contains only output of earlier runs in {', '.join(map(str, left))}; to curate "
            "it again, give that folder itself."
        )
    unique = _once(kept, root)
    if len(unique) < len(kept):
        remarks.append(
            f"Files listed or linked several times are used once (names left out: {len(kept) - len(unique)})."
        )
    return Found(unique, remarks)


def _once(paths: list[Path], root: Path) -> list[Shard]:
    """The shards sorted by name. Of several names of one file its own counts before links, and the shortest first."""
    files: dict[tuple[int, int], list[Path]] = {}
    about: dict[Path, os.stat_result] = {path: _checked(path) for path in paths}
    for path, found in about.items():
        files.setdefault((found.st_dev, found.st_ino), []).append(path)
    own = Path(os.path.realpath(root))

    def rank(path: Path) -> tuple[bool, int, str]:
        name = path.relative_to(root)
        return os.path.realpath(path) != str(own / name), len(name.parts), name.as_posix()

    chosen = (names[0] if len(names) == 1 else min(names, key=rank) for names in files.values())
    return [
        Shard(name, path, about[path].st_size, about[path].st_mtime_ns)
        for name, path in sorted((path.relative_to(root).as_posix(), path) for path in chosen)
    ]


def check_unchanged(shard: Shard) -> None:
    """Raise ShardError if the shard is gone, or has another size or time stamp than when it was partitioned."""
    check_size(shard)
    if touched(shard):
        raise ShardError(f"Shard {shard.name} was modified after it had been listed; run again from PARTITION.")


def check_size(shard: Shard) -> None:
    """Raise ShardError if the shard is gone, or has another size than when it was partitioned.

    In a store that, and its ETag, is compared whenever it is read.
    """
    if isinstance(shard.path, Object):
        return
    try:
        found = shard.path.stat()
    except OSError as error:
        raise ShardError(f"Shard {shard.name} is gone ({error}); restore it and run again.") from error
    if found.st_size != shard.bytes:
        raise ShardError(
            f"Shard {shard.name} had {shard.bytes} bytes and now has {found.st_size}; run again from PARTITION."
        )


def touched(shard: Shard) -> bool:
    """Whether the shard exists and its modification time differs from the one that was recorded, if one was."""
    if shard.modified is None or isinstance(shard.path, Object) or not shard.path.exists():
        return False
    return not _same_time(shard.path.stat().st_mtime_ns, shard.modified)


def _same_time(one: int, other: int) -> bool:
    """Whether two time stamps are one. Some file systems keep whole seconds, once they have written a file back."""
    whole = 10**9
    return one == other or (one // whole == other // whole and 0 in (one % whole, other % whole))


def _listed(listing: Path, lines: list[str]) -> tuple[list[Path], Path]:
    """The shards that a list's entries name, and its folder or, if one lies outside of that, the deepest folder of all.

    Raises UsageError for an entry that is one shard's name and as a pattern names more than the list does.
    """
    entries = [str(listing.parent / entry) for entry in lines]
    literal = {entry for entry in entries if os.path.isfile(entry)}
    paths = [path for entry in entries for path in ([absolute(entry)] if entry in literal else named(entry)[0])]
    listed = set(paths)
    for entry in literal:
        if more := [path for path in also_named(entry) if path not in listed]:
            raise UsageError(
                f"The entry {entry!r} of the list is a shard, but also a pattern that matches {len(more)} more; "
                "escape the name of the single shard by [*], [?] or [{]."
            )
    root = absolute(str(listing.parent))
    if not all(path.is_relative_to(root) for path in paths):
        root = deepest(paths)
    return paths, root


def _entries(listing: Path) -> Iterator[str]:
    """The lines of a list that name shards. White space around one counts only where a file is called so."""
    for line in _lines(listing):
        entry = line.strip(" \t")
        if entry and not entry.startswith("#"):
            yield line if os.path.isfile(listing.parent / line) else entry


def _lines(listing: Path) -> Iterator[str]:
    """The lines of a text. Raises UsageError for what is none, at its beginning: it may be a compressed shard."""
    try:
        with open(listing, encoding="utf-8-sig") as text:
            for line in text:
                if "\0" in line:  # as UTF-16 has without a mark
                    raise ValueError("a NUL is no text")
                yield line.removesuffix("\n")
    except ValueError as error:
        raise UsageError(f"{listing} is neither a .tar shard nor a text file (in UTF-8) that lists shards.") from error


def _checked(path: Path) -> os.stat_result:
    """What the file is. Raises UsageError if it is none, or no line of a partition file can hold its path."""
    if any(character in str(path) for character in "\t\r\n"):
        raise UsageError(f"The shard {str(path)!r} has a tab or a line break in its path; rename it.")
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"The shard {str(path)!r} has bytes that are not UTF-8 in its path; rename it.") from error
    if not path.is_file():
        raise UsageError(f"The shard {str(path)!r} cannot be opened: it is a dangling link, or not a file.")
    return path.stat()


def read_image(shard: Shard, image: ImagePlace) -> bytes:
    """The bytes of an image. Raises ShardError if the shard is gone or truncated, or the image has changed."""
    check_size(shard)
    with reading(shard.name), open_shard(shard.path, [(image.offset, image.offset + image.size)]) as file:
        file.seek(image.offset)
        data = file.read(image.size)
    check_image(shard.name, image, hashlib.sha256(data).hexdigest())
    return data
