"""The content of this package as one hash, by which the workflow tells one version of it from another."""

import hashlib
import os
from pathlib import Path

from pycurate.errors import UsageError

KINDS = {".py", ".html", ".css", ".js", ".jpg"}  # of files that the package consists of
VARIABLE = "PYCURATE_CODE"  # set by the workflow to the hash of the package beside main.nf


def content_hash(folder: Path) -> str:
    """SHA-256 over the relative path and the SHA-256 of each file of KINDS in `folder`, in the order of the paths.

    lib/Code.groovy computes the same.
    """
    digest = hashlib.sha256()
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in KINDS and path.is_file()
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
            "it was edited during the run, or the container image or .venv is of another checkout: build that anew."
        )
