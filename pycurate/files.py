"""Files that are whole or not there, in folders where others may plant links, locks and files of their own.

Nothing here writes through a link that lay there before: a temporary file is always a new one, and what is written to
is that file and not its name. What is checked is the opened file, too, and not its name.
"""

import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, BinaryIO

from pycurate.errors import StorageError, explained

log = logging.getLogger(__name__)

FULL = (None, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # None: numpy's, which names no cause

NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}  # what file systems say that know none


@contextmanager
def atomic(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary file to write to; it becomes `path` when the block ends well, and is removed when not.

    `mode` are its permissions, less what the umask takes away.

    What is given leads to the open file and not to its name, by which another user of the folder could lead the writer
    elsewhere. The name is drawn at random, so that no two writers meet, on whatever hosts, and none is hindered by what
    a killed one left; it starts with a dot, so that no glob over finished files finds it. Nothing waits for the disk: a
    process that is killed leaves no half file, and what a machine lost with its power is made again, since its task
    never came to report.

    Raises StorageError if the file cannot be written, in the block too, and if `path` is a device or a pipe, which a
    file would replace. An error of another file, which is read in the block, stays what it is.
    """
    temporary = _unused(path)
    opened = temporary
    try:
        _refuse_device(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        opened = Path(f"/proc/self/fd/{file}")
        try:
            yield opened
            os.replace(temporary, path)
        finally:
            os.close(file)
            temporary.unlink(missing_ok=True)
    except OSError as error:
        own = {str(name) for name in (opened, temporary, path, *path.parents)}
        if error.errno in FULL or error.filename is None or str(error.filename) in own:
            raise StorageError(explained(error, f"{path} cannot be written")) from error
        raise


def _refuse_device(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise StorageError(f"{path} is a device or a pipe, not a file; choose another name.")


@contextmanager
def exclusive(lock: Path) -> Iterator[bool]:
    """Hold a lock, which the file `lock` stands for; whether it holds: there are file systems that know no locks.

    The system frees the lock when its holder ends, however it ends. A link of that name is refused, and what a file of
    that name holds stays as it is. Raises OSError if the file cannot be made or written.
    """
    from filelock import FileLock, Timeout  # here, since most of what imports this module locks nothing

    held = FileLock(lock, fallback_to_soft=False)  # a soft lock outlives a holder that is killed on another host
    try:
        try:
            held.acquire(timeout=2)
        except Timeout:
            log.info("waiting for the process that holds %s", lock)
            held.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield held.is_locked
    finally:
        held.release()


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read, and do not wait. Raises OSError for a pipe, a device or a folder, too."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)  # which Python's own open does not do for a folder
        raise OSError(errno.EINVAL, "This is not a regular file", os.fspath(path))
    return open(opened, "rb")


OWN = {0, os.geteuid()}
"""Users who can do to this process whatever they like: root and itself."""


def believed(folder: Path) -> set[int]:
    """The users who are believed in what they say of the files in `folder`: OWN, and its owner.

    Who names a folder trusts its owner, but not all who may write there.
    """
    return OWN | {folder.stat().st_uid}


def changed_only_by(file: BinaryIO, users: set[int]) -> bool:
    """Whether nobody but these users may change what an open file holds."""
    status = os.fstat(file.fileno())
    return status.st_uid in users and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@contextmanager
def unchanging(path: Path) -> Iterator[tuple[Path, str]]:
    """A name for the bytes of `path`, which nobody else can change while the block runs, and their SHA-256.

    The name has the suffix of `path`. It leads to the opened file, whatever becomes of `path`, or, where another user
    could write to that, to a copy that has no name. Raises OSError if the file cannot be read, and StorageError if
    there is no room for the name.
    """
    with open_regular(path) as file, _private(file) as private, _named(private, path.suffix) as name:
        yield name, _sha256(private)


@contextmanager
def _named(file: BinaryIO, suffix: str) -> Iterator[Path]:
    """A name with this suffix for an open file, in a folder for temporary files."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix="pycurate-"))
            name = Path(folder) / f"file{suffix}"
            name.symlink_to(f"/proc/self/fd/{file.fileno()}")
        except OSError as error:  # which must not pass for a fault of the file
            raise StorageError(
                f"Temporary files cannot be created ({error}); free some space, or set TMPDIR to another folder."
            ) from error
        yield name


def _private(file: BinaryIO) -> BinaryIO:
    """The file itself if it is one's own, else a copy: in memory, or on disk without a name.

    The latter where Python knows no files in memory, as the one that uv installs.
    """
    if changed_only_by(file, OWN):
        return file
    copy = open(os.memfd_create("pycurate"), "w+b") if hasattr(os, "memfd_create") else TemporaryFile()
    shutil.copyfileobj(file, copy, 1 << 24)
    copy.flush()
    return copy


def link_from_sibling(source: Path, path: Path, sha256: str, size: int) -> bool:
    """Whether `source` holds these bytes, which are then those of `path`; no more than `size` bytes of it are read.

    It is linked, so that the disk holds the bytes once, and copied where the file system knows no links or another user
    could change the file later. What was checked is what is taken, whatever happens to either name meanwhile. Raises
    OSError if `path` cannot be written.
    """
    try:
        file = open_regular(source)
    except OSError:
        return False
    with file:
        if os.fstat(file.fileno()).st_size != size:
            return False
        if changed_only_by(file, OWN):
            if _sha256(file) != sha256:
                return False
            if _linked(file, source, path):
                return True
            file.seek(0)
        with suppress(_OtherBytes), atomic(path) as temporary:
            with open(temporary, "wb") as copy:
                while block := file.read(min(1 << 24, size - copy.tell())):
                    copy.write(block)
            os.chmod(temporary, 0o644)  # whatever the umask: not even a group may change it later
            with open(temporary, "rb") as copied:
                if _sha256(copied) != sha256:
                    raise _OtherBytes
            return True
    return False


class _OtherBytes(Exception):
    """What was copied is not what was wanted."""


def _linked(file: BinaryIO, source: Path, path: Path) -> bool:
    """Whether `path` is now a link to the opened `file`, whose name is `source` unless that was replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _unused(path)
    try:
        os.link(os.path.realpath(source), temporary)
        same = os.path.samestat(os.lstat(temporary), os.fstat(file.fileno()))
        if same:
            os.replace(temporary, path)
        return same
    except OSError:  # another file system, or one without links: then it is copied
        return False
    finally:
        temporary.unlink(missing_ok=True)


def _unused(path: Path) -> Path:
    return path.with_name(f".pycurate-{secrets.token_hex(8)}.tmp")


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hex digits. Raises OSError as `open_regular` does."""
    with open_regular(path) as file:
        return _sha256(file)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, so that equal values give equal bytes."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
