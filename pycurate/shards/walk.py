"""The folders beneath a folder, links among them, each once however many links lead to it."""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator

from pycurate.errors import UsageError


def folders_beneath(top: str, hidden: bool = True) -> Iterator[tuple[str, list[str]]]:
    """`top` and every folder beneath it, with the names of what in it is no folder.

    Names that begin with a dot count if `hidden`. A folder that several links lead to, one in a circle too, is met
    once: by its own name if that lies beneath `top`, else by the first link. Raises UsageError for a folder that cannot
    be listed.
    """
    seen: set[tuple[int, int]] = set()
    links = deque([top])
    while links:
        yield from _unlinked(links.popleft(), hidden, seen, links.append)


def _unlinked(
    top: str, hidden: bool, seen: set[tuple[int, int]], link: Callable[[str], None]
) -> Iterator[tuple[str, list[str]]]:
    """The same without those behind links, each of which goes to `link`."""
    ahead = [top]
    while ahead:
        place = ahead.pop()
        found = os.stat(place or ".")
        if (found.st_dev, found.st_ino) in seen:
            continue
        seen.add((found.st_dev, found.st_ino))
        try:
            with os.scandir(place or ".") as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise UsageError(f"{place!r} cannot be listed ({error.strerror}); check that it is readable.") from error
        names = []
        for entry in entries:
            if entry.name.startswith(".") and not hidden:
                continue
            path = os.path.join(place, entry.name)
            if not _is_folder(entry):
                names.append(entry.name)
            elif entry.is_symlink():
                link(path)
            else:
                ahead.append(path)
        yield place, names


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link that leads only to itself is none."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
