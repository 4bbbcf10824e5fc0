"""The shards that addresses of object stores and web servers name."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from pycurate.errors import StoreError, UsageError
from pycurate.shards.patterns import ranges
from pycurate.stores.address import is_web, normalised, place_of
from pycurate.stores.store import Object, heads, listed

WILD = "*?["
ASKED = 100  # shards of a brace range in a folder up to which each is asked for, and the folder is not listed

Named = tuple[str, Object]
"""The name of a shard and what the store holds."""


def named_at(address: str) -> list[Named]:
    """The shards that one address names, and their names relative to its folder or that before its first pattern.

    It is that of one `.tar`, of a folder (every `.tar` beneath), a glob, or a brace range. Raises UsageError if there
    is none, or none for a part of a range, if a store refuses or cannot be reached, or the address cannot be read.
    """
    address = normalised(address)
    folder, pattern = _split(address)
    try:
        found = _matching(folder, pattern) if pattern else _beneath(folder)
    except StoreError as error:
        raise UsageError(f"The input {error}") from error
    if not found:
        raise UsageError(f"The input {address} contains no .tar shard; give a folder, a glob or a brace range.")
    start = len(place_of(folder + "x").path) - 1
    return [(place_of(one.address).path[start:], one) for one in found]


def named_by(addresses: Iterable[str], mixed: bool) -> list[Named]:
    """The shards that the addresses of a list name.

    Names are relative to the deepest folder of all of them. If they lie in several stores, or `mixed`, since the list
    names files too, the name is all that follows `://`. Raises UsageError as `named_at` does.
    """
    found = {one.address: one for address in addresses for _, one in named_at(address)}
    places = {address: place_of(address) for address in found}
    if mixed or len({place.root for place in places.values()}) > 1:
        return [(place.root.partition("://")[2] + place.path, found[one]) for one, place in places.items()]
    folders = [place.path.split("/")[:-1] for place in places.values()]
    depth = 0
    while all(len(one) > depth and one[depth] == folders[0][depth] for one in folders):
        depth += 1
    return [("/".join(place.path.split("/")[depth:]), found[one]) for one, place in places.items()]


def without_upload(found: Sequence[Named], upload: str) -> list[Named]:
    """Those that do not lie beneath the address `upload`."""
    folder = normalised(upload).rstrip("/") + "/"
    return [(name, one) for name, one in found if not one.address.startswith(folder)]


def check_names(names: Iterable[str]) -> None:
    """Raise UsageError if two shards have one name, or a name has a tab or a line break."""
    for name, count in Counter(names).items():
        if count > 1:
            raise UsageError(f"{count} shards of the list have the name {name!r}; put them in folders that differ.")
        if any(character in name for character in "\t\r\n"):
            raise UsageError(f"The shard {name!r} has a tab or a line break in its name; rename it.")


def _split(address: str) -> tuple[str, str]:
    """The folder before the first wildcard or range, with its slash, and what follows; a folder's pattern is empty."""
    parts = address.split("/")
    count = 3  # scheme, nothing, host
    while count < len(parts) - 1 and not _is_pattern(parts[count]):
        count += 1
    rest = "/".join(parts[count:])
    if rest and not _is_pattern(rest) and not rest.lower().endswith(".tar"):
        return address.rstrip("/") + "/", ""
    return "/".join(parts[:count]) + "/", rest


def _is_pattern(text: str) -> bool:
    return any(one in text for one in WILD) or ranges(text) != [text]


def _beneath(folder: str) -> list[Object]:
    return [one for one in listed(folder, deep=True) if one.address.lower().endswith(".tar")]


def _matching(folder: str, pattern: str) -> list[Object]:
    """What the pattern names in the folder. Raises UsageError if one of its ranges' values names nothing."""
    pieces = ranges(pattern)
    wild = [piece for piece in pieces if any(one in piece for one in WILD)]
    if not wild and (len(pieces) <= ASKED or is_web(place_of(folder + "x").scheme)):
        return heads(folder + piece for piece in pieces)
    deep = any("/" in piece for piece in pieces)
    held = {one.address.removeprefix(folder): one for one in listed(folder, deep)}
    found: dict[str, Object] = {}
    for piece in pieces:
        names = list(_globbed(piece, held)) if piece in wild else [piece] * (piece in held)
        if not names:
            raise UsageError(f"The input {folder + piece} matches no object; check the path and the braces.")
        found |= {name: held[name] for name in names}
    return list(found.values())


def _globbed(pattern: str, names: Iterable[str]) -> Iterator[str]:
    parts = pattern.split("/")
    return (name for name in names if _fits(name.split("/"), parts))


def _fits(segments: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a path fits a glob, as glob.glob has it: `**` is any number of folders; hidden names have to be named."""
    if not parts or not segments:
        return not parts and not segments
    if parts[0] == "**":
        most = next((at for at, one in enumerate(segments[:-1]) if one.startswith(".")), len(segments) - 1)
        return any(_fits(segments[at:], parts[1:] or ["*"]) for at in range(most + 1))
    hidden = segments[0].startswith(".") and not parts[0].startswith(".")
    return not hidden and fnmatchcase(segments[0], parts[0]) and _fits(segments[1:], parts[1:])
