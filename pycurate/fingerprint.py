"""The content of this package as a hash, by which the workflow tells one version of it from another."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from pycurate.errors import UsageError

KINDS = {".py", ".json", ".html", ".css", ".js", ".jpg", ".npz"}  # of files that the package consists of
VARIABLE = "PYCURATE_CODE"  # set by the workflow, as HASH:PART:PART..., from the package beside main.nf


def content_hash(folder: Path, parts: Iterable[str] = (".",)) -> str:
    """SHA-256 over the relative path and the SHA-256 of each file of KINDS in `folder`, in the order of the paths.

    Of the folder only `parts`, which are files and folders in it, count; what is not there does not.
    lib/Code.groovy computes the same.
    """
    digest = hashlib.sha256()
    for path in files_of(folder, parts):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def files_of(folder: Path, parts: Iterable[str]) -> list[Path]:
    """The files of KINDS that `parts` of `folder` are or hold, each once, in the order of their paths."""
    found = {path for part in parts for path in (folder / part, *(folder / part).rglob("*"))}
    return sorted((path for path in found if path.suffix in KINDS and path.is_file()), key=Path.as_posix)


def check_version() -> None:
    """Raise UsageError if a workflow of another version than this package runs it (an old container image, say).

    Compared is what the task's script can reach of the package.
    """
    wanted, *parts = os.environ.get(VARIABLE, "").split(":")
    if wanted and wanted != content_hash(Path(__file__).parent, parts):
        raise UsageError(
            f"This pycurate ({Path(__file__).parent}) differs from the one next to main.nf: it was edited during the "
            "run, or the container image or .venv belongs to another checkout; rebuild it."
        )
