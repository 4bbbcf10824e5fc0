"""Tar shards made in code, for tests."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Member = tuple[str, bytes]


def jpeg(seed: int, width: int = 64, height: int = 48) -> bytes:
    """A small JPEG that differs for each seed: smooth noise, as photographs are."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_tar(path: Path, members: Sequence[Member], format: int = tarfile.PAX_FORMAT) -> Path:
    """A tar of these members, in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format, errors="surrogateescape") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
    return path


def read_tar(path: Path) -> list[tuple[str, bytes, int]]:
    """Name, bytes and time of each member, as Python's tarfile reads them."""
    with tarfile.open(path, errors="surrogateescape") as tar:
        return [(member.name, _bytes(tar, member), int(member.mtime)) for member in tar if member.isreg()]


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()
