"""Files that are whole or not there: each is written beside its place, then renamed."""

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` when the block ends well, remove it when not.

    The name starts with a dot, so that no glob over finished files finds a half-written one, and carries the
    process id, so that two writers of the same file do not meet. Nothing waits for the disk: a process that is killed
    leaves no half file, and what a machine lost with its power is made again, since its task never came to report.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def adopt(path: Path, sha256: str | None = None) -> bool:
    """Whether `path` is there, once it was linked from a folder beside its own if only such a folder has that name.

    So folders of several models hold a file that they share once. It is copied where the file system knows no links.
    With `sha256` only a file with that hash is linked; what cannot be read, never.
    """
    folder = path.absolute().parent.parent  # absolute, since `.` is its own parent
    twins = [] if path.is_file() else sorted(folder.glob(f"*/{glob.escape(path.name)}"))
    twin = next((twin for twin in twins if _holds(twin, sha256)), None)
    if twin:
        with atomic(path) as beside:
            try:
                os.link(os.path.realpath(twin), beside)
            except OSError:
                shutil.copyfile(twin, beside)
    return path.is_file()


def _holds(path: Path, sha256: str | None) -> bool:
    """Whether it is a file that can be read, with that hash if one is given."""
    try:
        with open(path, "rb"):
            return sha256 is None or sha256_of(path) == sha256
    except OSError:
        return False


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, so that equal values give equal bytes."""
    with atomic(path) as beside:
        beside.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
