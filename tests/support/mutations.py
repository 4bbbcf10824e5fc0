"""Image files of every format, spoilt at random: what crawled data holds, and more.

As a script it tries any number of them by hand (`nice python tests/support/mutations.py --help`): each is decoded twice
and goes through both backends, and a table says how many were tried, crashed, took long, or met disagreement.
"""

import random
import re
import sys
import time
import warnings
from collections import Counter
from functools import cache
from typing import Literal

import click
import numpy as np
import torch
from pictures import encode, exif, photograph, transparent
from PIL import Image

from pycurate.images.decode import ImageInfo, decode
from pycurate.images.loader import Loader
from pycurate.images.views import View

SIZE = (160, 112)
SLOW = 5.0
"""Seconds that no image may hold a thread."""


@cache
def sound() -> dict[str, bytes]:
    """A small photograph in every format and in every kind of JPEG."""
    image = photograph().resize(SIZE)
    grey, palette, frames = image.convert("L"), image.quantize(64), [Image.new("RGB", SIZE, "red")]
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return {
        "jpeg": encode(image, "JPEG", subsampling=2),
        "jpeg 4:4:4": encode(image, "JPEG", subsampling=0, optimize=True),
        "jpeg grey": encode(grey, "JPEG"),
        "jpeg turned": encode(image, "JPEG", exif=exif(6, "<")),
        "jpeg progressive": encode(image, "JPEG", progressive=True),
        "jpeg with restarts": encode(image, "JPEG", restart_marker_blocks=4),
        "jpeg progressive with restarts": encode(image, "JPEG", progressive=True, restart_marker_blocks=4),
        "jpeg cmyk": encode(image.convert("CMYK"), "JPEG"),
        "png": encode(image, "PNG", exif=exif(6, ">")),
        "png alpha": encode(transparent().resize(SIZE), "PNG"),
        "png palette": encode(palette, "PNG", transparency=3),
        "png 16 bits": encode(deep, "PNG"),
        "webp": encode(image, "WEBP", exif=exif(8, "<")),
        "webp lossless": encode(image, "WEBP", lossless=True),
        "webp animated": encode(image, "WEBP", save_all=True, append_images=frames),
        "bmp": encode(image, "BMP"),
        "bmp palette": encode(palette, "BMP"),
        "tiff": encode(image, "TIFF"),
        "tiff lzw": encode(image, "TIFF", compression="tiff_lzw"),
        "tiff deflate": encode(image, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": encode(image, "TIFF", compression="jpeg"),
        "tiff packbits": encode(palette, "TIFF", compression="packbits"),
        "tiff fax": encode(image.convert("1"), "TIFF", compression="group4"),
        "tiff 16 bits": encode(deep, "TIFF"),
        "gif": encode(image, "GIF"),
        "gif animated": encode(image, "GIF", save_all=True, append_images=frames),
        "avif": encode(image, "AVIF"),
        "jp2": encode(image, "JPEG2000"),
        "ppm": encode(image, "PPM"),
        "pbm": encode(image.convert("1"), "PPM"),
        "ppm in letters": b"P3 8 4 255\n" + b" ".join(b"%d" % (at * 7 % 256) for at in range(96)),
    }


def mutated(kind: str, seed: int) -> bytes:
    """A file of `sound`, spoilt in one to five places: bits, bytes cut or put in, the rest of another file."""
    chance = random.Random(seed)
    data = bytearray(sound()[kind])
    how = chance.choice(("bits", "bits", "cut", "insert", "splice", "zeros", "end"))
    for _ in range(chance.choice((1, 1, 2, 5))):
        # Headers are short, and matter more than what follows.
        reach = len(data) if chance.random() < 0.6 else min(len(data), 700)
        at = chance.randrange(min(3, reach - 1), reach)
        length = chance.choice((1, 2, 4, 10, 100, 500))
        if how == "bits":
            data[at] ^= 1 << chance.randrange(8)
        elif how == "cut":
            del data[at : min(at + length, len(data) - 8)]
        elif how == "insert":
            data[at:at] = chance.randbytes(length)
        elif how == "splice":
            # As a rule of the same format, whose parts may fit.
            alike = [name for name in sound() if name.split()[0] == kind.split()[0] or chance.random() < 0.05]
            other = sound()[chance.choice(alike)]
            data[at:] = other[chance.randrange(len(other)) :] + b"\0" * 8
        elif how == "zeros":
            data[at : at + length] = bytes(length)
        else:
            del data[max(at, 8) :]
    return bytes(data)


def misstated(kind: str, seed: int) -> bytes:
    """A JPEG of `sound` whose markers stand where they were; one to three bytes of what they say are others."""
    chance = random.Random(seed)
    data = bytearray(sound()[kind])
    scans = [found.start() for found in re.finditer(rb"\xff\xda", data)]
    scan = chance.choice(scans)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.choice((chance.randrange(2, scans[0] + 14), scan + chance.randrange(2, 14)))
        data[at] = chance.choice((data[at] ^ 1 << chance.randrange(8), chance.choice(b"\0\1\2\3\4\5\x3f\x40\xff")))
    return bytes(data)


def poison(seed: int) -> None:
    """Leave the pixels of another image of the same size in memory that is free."""
    colour = seed * 37 % 256
    for turn in (SIZE, SIZE[::-1]):
        decode(encode(Image.new("RGB", turn, (colour, 255 - colour, colour // 2)), "JPEG"))
        np.full((turn[1], turn[0], 3), colour, np.uint8)


class Both:
    """A loader of each backend; `images` runs files through both and compares."""

    def __init__(self, batch_size: int) -> None:
        self.loaders = [Loader([View(64, 64)], name, batch_size=batch_size, workers=2) for name in ("cpu", "dali")]

    def close(self) -> None:
        for loader in self.loaders:
            loader.__exit__()

    def results(self, backend: Literal[0, 1], files: list[bytes]) -> list[tuple[ImageInfo, torch.Tensor | None]]:
        """What a backend says of each file, and its view of it."""
        found: list[tuple[ImageInfo, torch.Tensor | None]] = []
        for batch in self.loaders[backend].batches(enumerate(files)):
            rows = iter(batch.pixels[0])
            found += [(info, next(rows) if info.error is None else None) for info in batch.images]
        return found

    def disagreements(self, files: list[bytes]) -> list[str]:
        """For each file, in what the backends differ: nothing, what is said of it, or a mean over 1 of 255."""
        causes = []
        for (info, pixels), (other, found) in zip(self.results(0, files), self.results(1, files), strict=True):
            if (info.error, info.width, info.height) != (other.error, other.width, other.height):
                causes.append(f"{info} or {other}")
            elif pixels is not None and found is not None:
                distance = float((pixels.float() - found.float()).abs().mean())
                causes.append(f"pixels by {distance:.2f}" if distance > 1 else "")
            else:
                causes.append("")
        return causes


def twice(data: bytes, seed: int) -> tuple[ImageInfo, bool]:
    """What is said of a file, and whether a second decode, after other pixels, gives the same."""
    info, pixels = decode(data, 10**7)
    poison(seed)
    again, others = decode(data, 10**7)
    same = again == info and (pixels is None) == (others is None)
    return info, same and (pixels is None or others is None or np.array_equal(pixels, others))


@click.command(help=__doc__)
@click.argument("count", type=int)
@click.option("--seed", default=0, show_default=True, help="Of the first file; each has one more than that before it.")
@click.option("--kind", "only", default="", help="Only kinds whose name begins so.")
@click.option("--seconds", default=600.0, show_default=True, help="Stop after that many.")
def main(count: int, seed: int, only: str, seconds: float) -> None:
    warnings.simplefilter("ignore")  # Pillow's, of tags that make no sense
    kinds = [kind for kind in sound() if kind.startswith(only)]
    counts: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    both, ends = Both(32), time.monotonic() + seconds
    for first in range(seed, seed + count, 32):
        numbers = range(first, min(first + 32, seed + count))
        if time.monotonic() > ends:
            break
        names = [kinds[number % len(kinds)] for number in numbers]
        files = [mutated(name, number) for name, number in zip(names, numbers, strict=True)]
        for name, number, data in zip(names, numbers, files, strict=True):
            began = time.monotonic()
            try:
                info, same = twice(data, number)
            except Exception as error:  # noqa: BLE001 - counted and named
                counts["crashed"] += 1
                print(f"crashed: {name} {number}: {error!r}")
                continue
            codes[info.error or "ok"] += 1
            counts["tried"] += 1
            if time.monotonic() - began > SLOW:
                counts["hung"] += 1
                print(f"hung: {name} {number}: {info}")
            if not same:
                counts["differed"] += 1
                print(f"differed: {name} {number}: {info}")
        for name, number, cause in zip(names, numbers, both.disagreements(files), strict=True):
            if cause:
                counts["disagreed"] += 1
                print(f"disagreed: {name} {number}: {cause}")
    both.close()
    print(f"seeds {seed} to {seed + counts['tried'] - 1}; {dict(codes)}")
    print("tried   crashed   over 5 s   differed when decoded again   backends disagreed")
    print("   ".join(str(counts[name]) for name in ("tried", "crashed", "hung", "differed", "disagreed")))
    sys.exit(bool(counts["crashed"] or counts["hung"] or counts["differed"] or counts["disagreed"]))


if __name__ == "__main__":
    main()
