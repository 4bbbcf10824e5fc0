"""Bring one file of known size and SHA-256 over HTTP: whole and right, or not at all.

What has arrived waits beside the file's place under a name that starts with a dot, and a later attempt, or a later
process, goes on from there. Processes that want the same file at once wait for the first and find it done.
"""

import fcntl
import http.client
import logging
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pycurate.errors import ModelError
from pycurate.files import sha256_of

log = logging.getLogger(__name__)

BREAKS = 5  # in a row, each with less than PROGRESS bytes since the one before, until we give up
PROGRESS = 1 << 20
LEAST = 1 << 16  # bytes within one timeout, or the connection counts as broken
LASTING = {400, 401, 403, 404, 405, 410, 451}  # HTTP answers that a second attempt does not change


def download(url: str, path: Path, sha256: str, size: int, timeout: float = 30.0, pause: float = 1.0) -> None:
    """Bring the `size` bytes at `url` with this SHA-256 to `path`; nothing is done if they are there already.

    A connection that breaks, or brings less than 64 KiB in `timeout` seconds, is made anew after `pause` seconds,
    twice that, and so on. Raises ModelError if the address does not exist, breaks off for good, or has other bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part(path) as part:
        if path.is_file() and sha256_of(path) == sha256:
            return
        log.info("fetching %s (%d bytes) from %s", path.name, size, url)
        for last in (False, True):
            _receive_all(url, part, size, timeout, pause)
            found = sha256_of(part)
            if found == sha256:
                break
            part.unlink()
            if last:
                raise ModelError(
                    f"{url} has SHA-256 {found} where {sha256} is published; "
                    f"try again later, or bring the right file to {path} by other means."
                )
            log.warning("%s: SHA-256 %s is wrong; fetching it once more", url, found)
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)


@contextmanager
def alone(lock: Path) -> Iterator[bool]:
    """Hold a lock, which the file `lock` stands for; whether it holds: there are file systems that know no locks.

    The system frees the lock when its holder ends, however it ends.
    """
    with open(lock, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            yield False
        else:
            yield True


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """The name of what has arrived so far of `path`, while nobody else fetches it.

    Without a lock each process has a name of its own: nothing is shared, so nothing is gone on with, and nothing can
    be spoilt.
    """
    with alone(path.with_name(f".{path.name}.lock")) as locked:
        yield path.with_name(f".{path.name}.{'' if locked else f'{socket.gethostname()}.{os.getpid()}.'}part")


def _receive_all(url: str, part: Path, size: int, timeout: float, pause: float) -> None:
    """Bring `part` to `size` bytes, through as many connections as it takes."""
    breaks, mark = 0, _bytes_of(part)
    while _bytes_of(part) != size:
        try:
            _receive(url, part, size, timeout)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code in LASTING:
                raise ModelError(f"{url} cannot be had ({error}); is the address still right?") from error
            breaks = 1 if _bytes_of(part) >= mark + PROGRESS else breaks + 1
            mark = max(mark, _bytes_of(part))
            if breaks == BREAKS:
                raise ModelError(
                    f"{url} broke off {BREAKS} times ({error or type(error).__name__}) at {_bytes_of(part)} of {size} "
                    "bytes; run the same command again to go on from there."
                ) from error
            log.warning("%s: %s; going on at byte %d", url, error or type(error).__name__, _bytes_of(part))
            time.sleep(pause * 2 ** (breaks - 1))


def _receive(url: str, part: Path, size: int, timeout: float) -> None:
    """Append to `part` what one connection brings. Raises OSError or HTTPException unless that completes it."""
    have = _bytes_of(part)
    if have > size:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=timeout) as response, open(part, "ab") as file:
        if have and not _continues(response, have):
            file.truncate(0)
            have = 0
        since, then = 0, time.monotonic()
        while have < size and (block := response.read1(min(1 << 20, size - have))):
            file.write(block)
            have += len(block)
            since += len(block)
            if (now := time.monotonic()) - then > timeout:
                if since < LEAST:
                    raise TimeoutError(f"only {since} bytes in {now - then:.0f} s")
                log.info("%s: %d of %d bytes", part.name, have, size)
                since, then = 0, now
    if have < size:
        raise ConnectionError(f"the connection ended at {have} of {size} bytes")


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    """Whether the answer starts at byte `have`; a server may ignore the wish and start at 0."""
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status == 206 and found is not None and int(found[1]) == have


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
