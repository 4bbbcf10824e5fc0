"""UPLOAD: the results of a run in a store: all that the manifest lists and others may see, and no other run's files.

What is there already, by size and SHA-256, is left alone, so that a run that goes on uploads only what is missing.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pycurate.files import sha256_of
from pycurate.results.costs import files_of
from pycurate.results.layout import PARAMETERS, path_of
from pycurate.results.manifest import Entry, entry_of, listed, read_manifest
from pycurate.stores.store import listed as objects
from pycurate.stores.upload import TEMPORARY, delete, hash_of, put, size_of
from pycurate.text import number, size

log = logging.getLogger(__name__)
THREADS = 8  # files on their way at once
# The first its owner alone may read: who may read a bucket is not known here. Without the others nobody takes what is
# there for the results of a run.
PRIVATE, MANIFEST, SUMMARY = (path_of(Path(), kind).name for kind in ("blocked", "manifest", "summary"))


def begin(address: str) -> None:
    """Remove from the store what says that all of a run is there, and by which parameters. Raises StoreError."""
    delete([_in(address, SUMMARY), _in(address, MANIFEST), _in(address, PARAMETERS)])


def upload_task(record: Path, address: str) -> list[Entry]:
    """Upload what a task left by its record, times/X.json in the task's folder; returns what was not there yet.

    Raises StoreError if the store refuses, ManifestError if a file is no longer what the task left, TableError if the
    record cannot be read.
    """
    folder = record.parent.parent
    return _upload(folder, files_of(record), address, lambda entry: size_of(_in(address, entry.name)))


def finish(results: Path, address: str) -> list[Entry]:
    """Make the store hold the run whose manifest is in `results`; returns what was not there yet.

    Files of other runs are removed; what has other names than a run's files stays. The summary comes last. Raises as
    `upload_task` does, TableError if there is no manifest.
    """
    entries = read_manifest(results)
    folder = _in(address, "")
    there = {found.address.removeprefix(folder): found.bytes for found in objects(folder, deep=True)}
    manifest = entry_of(results, results / MANIFEST)
    last = entries.pop(SUMMARY)
    uploaded = _upload(results, list(entries.values()), address, lambda entry: there.get(entry.name))
    old = [name for name in there if TEMPORARY.fullmatch(name.rpartition("/")[2]) or listed(name)]
    delete(_in(address, name) for name in old if name not in entries.keys() - {PRIVATE} and name != SUMMARY)
    notes = results / PARAMETERS
    if notes.exists():
        put(notes, _in(address, PARAMETERS), sha256_of(notes))
    for entry in (manifest, last):
        put(results / entry.name, _in(address, entry.name), entry.sha256)
    return uploaded


def _in(address: str, name: str) -> str:
    return f"{address.rstrip('/')}/{name}"


def _upload(folder: Path, entries: Sequence[Entry], address: str, there: Callable[[Entry], int | None]) -> list[Entry]:
    """Upload those of `entries` that are not in the store; `there` tells the size of what is there instead."""
    entries = [entry for entry in entries if entry.name != PRIVATE]

    def one(entry: Entry) -> bool:
        place = _in(address, entry.name)
        if there(entry) == entry.bytes and hash_of(place) == entry.sha256:
            return False
        put(folder / entry.name, place, entry.sha256)
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(one, entries))
    uploaded = [entry for entry, new in zip(entries, made, strict=True) if new]
    log.info("%s files uploaded, %s", number(len(uploaded)), size(sum(entry.bytes for entry in uploaded)))
    return uploaded
