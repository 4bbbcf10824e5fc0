#!/usr/bin/env python3
"""Create the demo's shards: WebDataset tars of about 300 samples, derived from 17 real photographs.

The photographs come inside the package scikit-image. Each gives its own file, byte copies, re-encoded, resized,
cropped, flipped, blurred and dark versions, with captions and other sidecars; broken files of many kinds lie between
them. `truth.json` beside the shards says of each sample what it is. Equal seeds give equal bytes.
"""

import io
import json
import random
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import skimage
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from pycurate.files import atomic, write_json
from pycurate.shards.samples import sample_uid

PHOTOGRAPHS = {
    "astronaut.png": "An astronaut in an orange suit before a flag and a model of a shuttle",
    "brick.png": "A brick wall",
    "camera.png": "A man with a film camera on a tripod",
    "cell.png": "A cell under the microscope",
    "chelsea.png": "The face of a tabby cat",
    "clock_motion.png": "A clock blurred by motion",
    "coffee.png": "A red cup of coffee with a spoon on a wooden table",
    "coins.png": "Old coins in four rows",
    "grass.png": "Dry grass from above",
    "hubble_deep_field.jpg": "Galaxies in the deep field",
    "ihc.png": "Stained tissue under the microscope",
    "moon.png": "The surface of the moon",
    "motorcycle_left.png": "A red motorcycle in a garage",
    "page.png": "A printed page",
    "retina.jpg": "The retina of an eye",
    "rocket.jpg": "A rocket on its pad at night",
    "text.png": "Handwriting on ruled paper",
}
SOFT = ("brick.png", "moon.png", "retina.jpg")
"""Enlarged or out of focus in the package: taken at half their sides, where they are as sharp as their pixels allow.

Else the larger file would be no original, and pycurate would be right to keep a reduced copy of it.
"""
BYTE_COPIES = 2
CUT, NO_TAR = "b/00003.tar", "b/00004.tar"  # ends inside its last sample; is no tar at all
SHARDS = ["a/00000.tar", "a/00001.tar", "a/00002.tar", "b/00000.tar", "b/00001.tar", "b/00002.tar", CUT]


@dataclass(frozen=True)
class Sample:
    """One planted sample. `members` are its files by extension, the image first."""

    source: str  # the photograph that it shows; empty if none
    made: str  # in words
    expected: str  # original, byte_copy, reencoded, resized, cropped, flipped, blurred, dark or broken
    members: dict[str, bytes]
    errors: list[str] = field(default_factory=list)  # of a broken one: the codes that fit


@dataclass(frozen=True)
class Recipe:
    """How a photograph becomes another file that shows it: a change of its pixels, then a way to encode them."""

    expected: str
    made: str
    change: Callable[[Image.Image], Image.Image] = lambda image: image
    ext: str = "jpg"
    format: str = "JPEG"
    options: dict[str, Any] = field(default_factory=lambda: {"quality": 92})


def resized(factor: float) -> Recipe:
    """Bring each side to so many times its pixels."""

    def change(image: Image.Image) -> Image.Image:
        return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)

    return Recipe("resized", f"{factor} times as large", change)


def cropped(image: Image.Image) -> Image.Image:
    """Nine tenths of each side, off the centre."""
    width, height = image.size
    left, top = width // 30, height // 15
    return image.crop((left, top, left + width * 9 // 10, top + height * 9 // 10))


def blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(min(image.size) / 100))


def dark(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(0.12)


def exif_turned() -> Recipe:
    """The pixels lie on their side, and the EXIF orientation says how to turn them back."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to view
    change = lambda image: image.transpose(Image.Transpose.ROTATE_90)  # noqa: E731
    return Recipe("reencoded", "turned back by EXIF", change, options={"quality": 92, "exif": exif})


RECIPES = [  # for every photograph
    Recipe("reencoded", "JPEG quality 90", options={"quality": 90}),
    Recipe("reencoded", "JPEG quality 75, progressive", options={"quality": 75, "progressive": True}),
    Recipe("reencoded", "JPEG quality 50", ext="jpeg", options={"quality": 50}),
    Recipe("reencoded", "WebP quality 80", ext="webp", format="WEBP", options={"quality": 80}),
    Recipe("reencoded", "PNG", ext="png", format="PNG", options={"compress_level": 1}),
    exif_turned(),
    resized(0.5),
    resized(0.75),
    resized(2),
    Recipe("cropped", "nine tenths of each side", cropped),
    Recipe("flipped", "left to right", ImageOps.mirror),
    Recipe("blurred", "Gaussian", blurred),
    Recipe("dark", "brightness 0.12", dark),
]
FORMATS = [  # one of these for each photograph
    Recipe("reencoded", "BMP", ext="bmp", format="BMP", options={}),
    Recipe("reencoded", "TIFF", ext="tiff", format="TIFF", options={"compression": "tiff_lzw"}),
    Recipe("reencoded", "GIF", ext="gif", format="GIF", options={}),
    Recipe("reencoded", "PNG with alpha", lambda image: image.convert("RGBA"), "PNG", "PNG", {}),
]


def encode(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def sidecars(caption: str, number: int) -> dict[str, bytes]:
    """The members beside the `number`th image: .txt, .json or both, and for some a class or a mask as well."""
    members = {
        "txt": f"{caption}.\n".encode(),
        "json": json.dumps({"caption": caption, "number": number}).encode(),
    }
    if number % 4 == 1:
        del members["json"]
    if number % 4 == 2:
        del members["txt"]
    if number % 5 == 0:
        members["cls"] = str(number % 10).encode()
    if number % 7 == 0:
        members["seg.png"] = encode(Image.new("L", (16, 16), number % 256), "PNG", {})
    return members


def original(path: Path) -> tuple[str, str, bytes]:
    """In words how the photograph's first file was made, its extension and its bytes."""
    if path.name not in SOFT:
        return "the file of the package", path.suffix[1:], path.read_bytes()
    with Image.open(path) as image:
        half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return "half the sides of the file of the package", "png", encode(half, "PNG", {})


def photograph_samples(path: Path, caption: str, number: int) -> Iterator[Sample]:
    """What the `number`th photograph gives, in a fixed order."""
    made, ext, data = original(path)
    image = Image.open(io.BytesIO(data))
    image.load()
    files = [("original", made, ext, data)]
    files += [("byte_copy", "the same bytes", ext, data)] * BYTE_COPIES
    for recipe in [*RECIPES, FORMATS[number % len(FORMATS)]]:
        content = encode(recipe.change(image), recipe.format, recipe.options)
        files.append((recipe.expected, recipe.made, recipe.ext, content))
    for place, (expected, made, ext, content) in enumerate(files):
        yield Sample(path.stem, made, expected, {ext: content, **sidecars(caption, 100 * number + place)})


def broken_samples(path: Path) -> Iterator[Sample]:
    """Samples that nobody can read, some made from the photograph at `path`."""
    with Image.open(path) as image:
        jpg = encode(image, "JPEG", {"quality": 90})
        png = encode(image, "PNG", {})
        webp = encode(image, "WEBP", {"quality": 80})
        bmp = encode(image, "BMP", {})
    page = b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>"
    for made, ext, data, error in [
        ("the first half of a JPEG", "jpg", jpg[: len(jpg) // 2], "truncated"),
        ("a JPEG two bytes short", "jpg", jpg[:-2], "truncated"),
        ("the first half of a PNG", "png", png[: len(png) // 2], "truncated"),
        ("the first half of a WebP", "webp", webp[: len(webp) // 2], "truncated"),
        ("the first half of a BMP", "bmp", bmp[: len(bmp) // 2], "truncated"),
        ("no bytes", "jpg", b"", "empty"),
        ("a web page", "jpg", page, "not_an_image"),
        ("a text", "png", b"This was an image once.\n", "not_an_image"),
        ("bytes without a meaning", "webp", random.Random(1).randbytes(4096), "not_an_image"),
        ("a PNG that claims 60000 x 60000 pixels", "png", claim_size(png, 60000), "too_large"),
    ]:
        yield Sample("", made, "broken", {ext: data, "txt": b"A caption without its image.\n"}, [error])
    yield Sample("", "no image", "broken", {"txt": b"Alone.\n", "json": b"{}"}, ["no_image"])
    yield Sample("", "two images under one key", "broken", {"jpg": jpg, "png": png}, ["duplicate_key"])


def claim_size(png: bytes, side: int) -> bytes:
    """The PNG with another size in its header (chunk IHDR, at bytes 8 to 33, closed by a CRC)."""
    header = b"IHDR" + struct.pack(">II", side, side) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def key_of(shard: int, place: int) -> str:
    """The key of a sample. a/00000.tar and b/00000.tar share theirs; some have a folder, some more than ASCII."""
    name = f"{shard % 3 * 1000 + place:06d}" if shard < 6 else f"{9000 + place:06d}"
    return {3: f"photographs/{name}", 4: f"größe_{name}"}.get(place % 10, name)


def tar_of(samples: list[tuple[str, Sample]]) -> bytes:
    """A tar of (key, sample), members of a sample side by side, with times and owners of zero."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for key, sample in samples:
            for ext, data in sample.members.items():
                member = tarfile.TarInfo(f"{key}.{ext}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def make(out: Path, seed: int) -> list[dict[str, Any]]:
    """Write the shards and truth.json into the folder `out`; return the truth, one record per sample.

    A record holds uid, shard, key, source, made, expected and errors, as Sample has them.
    """
    folder = Path(skimage.__file__).parent / "data"
    samples = list(broken_samples(folder / "rocket.jpg"))
    for number, (file, caption) in enumerate(PHOTOGRAPHS.items()):
        samples += photograph_samples(folder / file, caption, number)
    random.Random(seed).shuffle(samples)

    truth = []

    def write(shard: str, content: list[tuple[str, Sample]], data: bytes) -> None:
        with atomic(out / shard) as temporary:
            temporary.write_bytes(data)
        for key, sample in content:
            record = {name: getattr(sample, name) for name in ("source", "made", "expected", "errors")}
            truth.append({"uid": sample_uid(shard, key), "shard": shard, "key": key, **record})

    for index, shard in enumerate(SHARDS):
        dealt = samples[index :: len(SHARDS)]
        if shard == CUT:
            lost = (folder / "rocket.jpg").read_bytes()
            dealt.append(Sample("rocket", "cut with its shard", "broken", {"jpg": lost}, ["shard_truncated"]))
        content = [(key_of(index, place), sample) for place, sample in enumerate(dealt)]
        data = tar_of(content)
        write(shard, content, data[: data.rindex(lost) + len(lost) // 2] if shard == CUT else data)
    no_tar = Sample("", "a shard that is no tar", "broken", {}, ["not_a_tar"])
    write(NO_TAR, [("", no_tar)], b"<html><body>The file has moved.</body></html>\n" * 100)
    write_json(out / "truth.json", truth)
    return truth


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo/shards"), show_default=True, help="Output folder."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed for the order of samples.")
def main(out: Path, seed: int) -> None:
    """Create WebDataset shards for a first run, and truth.json, which describes each sample."""
    click.echo(f"{len(make(out, seed))} samples in {len(SHARDS) + 1} shards: {out}")


if __name__ == "__main__":
    main()
