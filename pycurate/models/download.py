"""Bring one file of known size and SHA-256 over HTTP: whole and right, or not at all.

Our own, in place of the hub's library, since the published heads and SSCD lie on no hub: seven files of 99 MB at most,
which need no going on where a connection broke.
"""

import hashlib
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from pycurate.errors import ModelError
from pycurate.files import atomic

log = logging.getLogger(__name__)

ATTEMPTS = 4
LEAST = 1 << 16  # bytes within one timeout, or the connection counts as broken
LASTING = {400, 401, 403, 404, 405, 410, 451}  # HTTP answers that a second attempt does not change


def download(url: str, path: Path, sha256: str, size: int, timeout: float = 30.0, pause: float = 1.0) -> None:
    """Bring the `size` bytes at `url` with this SHA-256 to `path`.

    What goes wrong is tried anew after `pause` seconds, twice that, and so on; so is a connection that brings less than
    64 KiB in `timeout` seconds. Raises ModelError if the address does not exist, fails for good, or has other bytes,
    and OSError if `path` cannot be written.
    """
    log.info("downloading %s (%d bytes) from %s", path.name, size, url)
    for attempt in range(ATTEMPTS):
        try:
            with atomic(path) as temporary:
                digest, have = hashlib.sha256(), 0
                with open(temporary, "wb") as file:
                    for block in _blocks(url, size, timeout):
                        digest.update(block)
                        have += file.write(block)
                if have < size:
                    raise _Failed(f"broke off at {have} of {size} bytes")
                if digest.hexdigest() != sha256:
                    raise _Failed(f"has SHA-256 {digest.hexdigest()} instead of the published {sha256}")
            return
        except _Failed as error:
            if attempt == ATTEMPTS - 1:
                raise ModelError(
                    f"{url} {error}, {ATTEMPTS} times; try again later, or bring the right file to {path} by other "
                    "means."
                ) from error
            log.warning("%s %s; downloading it again", url, error)
            time.sleep(pause * 2**attempt)


class _Failed(Exception):
    """What happened to one attempt, as the rest of a sentence that begins with the address."""


def _blocks(url: str, size: int, timeout: float) -> Iterator[bytes]:
    """What one connection brings, no more than `size` bytes. Raises _Failed, or ModelError where that is for good."""
    have, began = 0, time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            while have < size and (block := response.read1(min(1 << 20, size - have))):
                yield block
                have += len(block)
                if time.monotonic() - began > timeout * (1 + have / LEAST):
                    raise _Failed(f"broke off, since it brought only {have} bytes in {time.monotonic() - began:.0f} s")
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code in LASTING:
            raise ModelError(f"{url} cannot be downloaded ({error}); check the URL.") from error
        raise _Failed(f"broke off ({error or type(error).__name__})") from error
