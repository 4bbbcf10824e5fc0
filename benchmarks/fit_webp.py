#!/usr/bin/env python3
"""Fit POWER and FACTOR of pycurate/images/vp8.py to folders of photographs, and print them.

Each is encoded by Pillow as WebP of many qualities and as JPEG of many. Of each WebP the mean step of the JPEG that has
the same mean square error of luminance is set against the WebP's own step, both by their logarithms. Photographs that
are no PNG are reduced first, so that no earlier compression shows. The committed numbers are of the 24 of Kodak
(github.com/MohamedBakrAli/Kodak-Lossless-True-Color-Image-Suite) and 40 of BSDS500 (github.com/BIDS/BSDS500).
"""

import io
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image

from pycurate.images.jpeg import MEAN_STEP, scale_of
from pycurate.images.vp8 import webp_step

JPEG = (10, 15, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 93, 95, 97, 98)
WEBP = (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
FINEST = 97  # of a JPEG that is compared: of better ones the rounding of pixels is what differs


def saved(image: Image.Image, format: str, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format, quality=quality)
    return file.getvalue()


def error(image: Image.Image, data: bytes) -> float:
    """log2 of the mean square error of luminance."""
    difference = np.asarray(Image.open(io.BytesIO(data)).convert("L"), float) - np.asarray(image.convert("L"), float)
    return float(np.log2(np.square(difference).mean()))


def compared(path: Path) -> list[tuple[float, float]]:
    """log2 of the step of each WebP of a photograph, and of the mean step of the JPEG that is as good."""
    image = Image.open(path).convert("RGB")
    if path.suffix != ".png":
        image = image.resize((image.width * 7 // 10, image.height * 7 // 10), Image.Resampling.LANCZOS)
    errors = [error(image, saved(image, "JPEG", quality)) for quality in JPEG]
    steps = [np.log2(MEAN_STEP * scale_of(quality) / 100) for quality in JPEG]
    found = []
    for quality in WEBP:
        data = saved(image, "WEBP", quality)
        own = webp_step(data)
        assert own is not None
        found.append((float(np.log2(own)), float(np.interp(error(image, data), errors[::-1], steps[::-1]))))
    return [pair for pair in found if pair[1] > np.log2(MEAN_STEP * scale_of(FINEST) / 100)]


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", default=40, show_default=True, help="Photographs of each folder, evenly chosen.")
def main(folders: Sequence[Path], count: int) -> None:
    pairs: list[tuple[float, float]] = []
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
        for path in paths[:: max(1, len(paths) // count)][:count]:
            pairs += compared(path)
    webp, jpeg = np.array(pairs).T
    power, constant = np.polyfit(webp, jpeg, 1)
    spread = np.std(power * webp + constant - jpeg)
    print(f"POWER, FACTOR = {power:.2f}, 2**{constant:.2f}; {spread:.2f} bits of deviation, {len(pairs)} files")


if __name__ == "__main__":
    main()
