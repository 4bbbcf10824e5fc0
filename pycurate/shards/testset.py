"""A tiny set of shards, drawn on the spot, to see that an installation works (`-profile test`)."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pycurate.files import atomic

SHARDS = 2
SAMPLES = 12  # in a shard; the last two are a byte copy of the first and a broken file


def make_testset(folder: Path) -> None:
    """Write the shards to `folder`; equal calls give equal bytes."""
    for shard in range(SHARDS):
        with atomic(folder / f"{shard:05}.tar") as temporary, tarfile.open(temporary, "w") as tar:
            for number, image in enumerate(_images(shard)):
                key = f"{shard:05}{number:04}"
                record = {"caption": f"Clouds of colour, number {number}", "shard": shard}
                for extension, data in (("jpg", image), ("json", json.dumps(record).encode())):
                    info = tarfile.TarInfo(f"{key}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


def _images(shard: int) -> Iterator[bytes]:
    drawn = [_draw(shard * SAMPLES + number) for number in range(SAMPLES - 2)]
    yield from drawn
    yield drawn[0]
    yield drawn[1][: len(drawn[1]) // 2]


def _draw(seed: int) -> bytes:
    """A JPEG of 320 x 240 pixels: noise of all sizes, the fine weaker than the coarse, as in photographs."""
    random = np.random.default_rng(seed)
    height, width = 240, 320
    picture = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 24, 48, 96):
        noise = random.normal(size=(cells * 3 // 4, cells, 3)).astype(np.float32)
        planes = [
            Image.fromarray(noise[:, :, band]).resize((width, height), Image.Resampling.BICUBIC) for band in range(3)
        ]
        picture += np.stack([np.asarray(plane) for plane in planes], axis=2) * 150 / cells**0.5
    buffer = io.BytesIO()
    Image.fromarray((128 + picture).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
