"""The content of this package as one hash, by which the workflow tells one version of it from another."""

import hashlib
import os
from pathlib import Path

from pycurate.errors import UsageError

VARIABLE = "PYCURATE_CODE"  # set by the workflow to the hash of the package beside main.nf


def content_hash(folder: Path) -> str:
    """SHA-256 over the relative path and the SHA-256 of every file in `folder`, in the order of the paths' text.

    Byte code is left out. lib/Code.groovy computes the same.
    """
    digest = hashlib.sha256()
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    for name in names:
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()


def check_version() -> None:
    """Raise UsageError if a workflow of another version than this package runs it (an old container image, say)."""
    wanted = os.environ.get(VARIABLE)
    if wanted and wanted != content_hash(Path(__file__).parent):
        raise UsageError(
            f"This pycurate ({Path(__file__).parent}) is not the one beside main.nf; "
            "build the container image from that checkout, or install it with make setup."
        )
