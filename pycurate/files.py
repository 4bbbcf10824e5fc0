"""Files that are whole or not there: each is written beside its place, then renamed."""

import errno
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pycurate.errors import StorageError

_FAULTS: dict[int | None, tuple[str, str]] = {
    None: ("not all of it was written", "see that its disk has space left"),  # numpy's, which names no cause
    errno.ENOSPC: ("no space is left on its disk", "free some, or choose a folder on another disk"),
    errno.EDQUOT: ("your quota of disk space is used up", "free some, or choose a folder on another disk"),
    errno.EROFS: ("its file system can only be read", "choose a folder that can be written"),
    errno.EACCES: ("you have no permission", "have it given to you, or choose another folder"),
    errno.EPERM: ("it is not permitted", "have it permitted, or choose another folder"),
    errno.ENOENT: ("there is no such file or folder", "check the path"),
    errno.ENOTDIR: ("a file is where a folder should be", "move that file away, or choose another folder"),
    errno.EEXIST: ("a file is where a folder should be", "move that file away, or choose another folder"),
    errno.EISDIR: ("a folder is where a file should be", "move that folder away, or choose another name"),
    errno.ENAMETOOLONG: ("its name is too long", "choose a shorter one"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.EFBIG: ("it is too large for its file system", "choose a folder on another disk"),
}
_FULL = (None, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def explained(error: OSError, doing: str = "") -> str:
    """A fault of the file system as one sentence: where, the cause, and what to do about it.

    `doing` says what failed, such as `x.npy cannot be written`; without it, the file that the error names does.
    """
    what = doing or (f"{error.filename} cannot be used" if error.filename else "A file or the output cannot be used")
    cause, remedy = _FAULTS.get(error.errno, ("the system reports an error", "see that the disk is sound"))
    return f"{what}, since {cause} ({error.strerror or error}): {remedy}."


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` when the block ends well, remove it when not.

    The name starts with a dot, so that no glob over finished files finds a half-written one, and carries the
    process id, so that two writers of the same file do not meet. Nothing waits for the disk: a process that is killed
    leaves no half file, and what a machine lost with its power is made again, since its task never came to report.

    Raises StorageError if the file cannot be written, in the block too. An error of another file, which is read in the
    block, stays what it is.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in _FULL or error.filename is None or _names(error, beside):
            raise StorageError(explained(error, f"{path} cannot be written")) from error
        raise


def _names(error: OSError, path: Path) -> bool:
    """Whether the error is about this file or a folder above it."""
    return str(error.filename) in map(str, (path, *path.parents))


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
