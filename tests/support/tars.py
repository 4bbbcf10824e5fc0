"""Tar shards made in code, for tests."""

import io
import random
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pycurate.shards.listing import Shard, find_shards
from pycurate.shards.samples import Sample, read_samples

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


def read_shard(path: Path) -> list[Sample]:
    """The samples of a shard, whole or not."""
    return list(read_samples(path, "a/00000.tar"))


def readable(path: Path) -> list[str]:
    """The keys of its whole samples."""
    return [sample.key for sample in read_shard(path) if sample.error is None]


def errors(path: Path) -> dict[str, str | None]:
    """The codes of the others, by key."""
    return {sample.key: sample.error for sample in read_shard(path) if sample.error}


def made_shards(folder: Path, shards: int, seed: int) -> list[Shard]:
    """Shards of very different numbers of samples, and of samples of very different sizes."""
    source = random.Random(seed)
    for shard in range(shards):
        size = source.lognormvariate(6, 0.4)
        samples = [
            (f"{shard}-{at}.jpg", b"\xff\xd8\xff" + b"x" * int(size * source.lognormvariate(0, 0.5)))
            for at in range(source.randint(3, 60))
        ]
        write_tar(folder / f"{shard:05}.tar", samples)
    return find_shards(str(folder))
