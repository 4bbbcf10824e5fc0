"""Whether a folder of results is what its run left, by the manifest."""

import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pycurate.files import sha256_of
from pycurate.hardware import cores
from pycurate.results.manifest import Entry, names_in
from pycurate.text import number, size

log = logging.getLogger(__name__)
EVERY = 10.0  # seconds between two lines on how far it is


@dataclass(frozen=True)
class Deviation:
    """A file that is not as the run left it, and how it differs: missing, cut, changed, left over, not readable."""

    name: str
    what: str


def verify(results: Path, entries: Mapping[str, Entry], quick: bool = False) -> Iterator[Deviation]:
    """Hold the files of `results` against the entries of its manifest; each deviation as it is found.

    Names and sizes come first, then SHA-256s, unless it has to be `quick`. What no run leaves is not looked at.
    """
    sound = []
    for entry in entries.values():
        if deviation := _by_size(results, entry):
            yield deviation
        else:
            sound.append(entry)
    yield from (Deviation(name, "left over from another run") for name in names_in(results) if name not in entries)
    if not quick:
        yield from _by_hash(results, sound)


def _by_size(results: Path, entry: Entry) -> Deviation | None:
    try:
        found = (results / entry.name).stat().st_size
    except FileNotFoundError:
        return Deviation(entry.name, "missing")
    except OSError as error:
        return Deviation(entry.name, f"not readable: {error.strerror}")
    if found == entry.bytes:
        return None
    return Deviation(
        entry.name,
        f"{'truncated' if found < entry.bytes else 'changed'}: {number(found)} of {number(entry.bytes)} bytes",
    )


def _by_hash(results: Path, entries: list[Entry]) -> Iterator[Deviation]:
    def compare(entry: Entry) -> Deviation | None:
        try:
            same = sha256_of(results / entry.name) == entry.sha256
        except OSError as error:
            return Deviation(entry.name, f"not readable: {error.strerror}")
        return None if same else Deviation(entry.name, "changed: its SHA-256 differs")

    whole, done, said = sum(entry.bytes for entry in entries), 0, time.monotonic()
    with ThreadPoolExecutor(cores()) as pool:  # hashing frees the interpreter's lock
        for entry, deviation in zip(entries, pool.map(compare, entries), strict=True):
            done += entry.bytes
            if deviation:
                yield deviation
            if time.monotonic() > said + EVERY:
                said = time.monotonic()
                log.info("%s of %s read", size(done), size(whole))
