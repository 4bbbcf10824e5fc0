#!/usr/bin/env python3
"""Fit WEIGHTS and BIAS of pycurate/images/softness.py to folders of photographs, and print them.

Each photograph is edited in the ways of EDITS. The weights are to rank it before each edit by pixels less the detail
that is gone, and to give edits that leave both alone no advantage; the steps are smoothed for the descent and sharpened
as it goes on. The committed weights are of these photographs, seen folder by folder with --count and --cache:

    bsds        150 of BSDS500 (github.com/BIDS/BSDS500)
    coco        100 images of COCO 2017 (github.com/lightly-ai/coco128_yolo)
    kodak       24, Kodak's lossless ones (github.com/MohamedBakrAli/Kodak-Lossless-True-Color-Image-Suite)
    exif        48 camera files (github.com/ianare/exif-samples)
    tiny        60 images of COCO 2017 (github.com/lizhogn/tiny_coco_dataset), some perhaps again
    flickr      150 of Flickr8k (github.com/quantumnaan/sic_translator)

Nothing of them but these weights is in the project, and none is of ImageNet, on which the result was measured.
"""

import io
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageFilter, ImageOps

from pycurate.hardware import cores
from pycurate.images.decode import decode
from pycurate.images.evidence import look
from pycurate.images.render import render
from pycurate.images.softness import STEPS, least_sum
from pycurate.images.views import TILES

SUFFIXES = (".jpg", ".jpeg", ".png")
SHORTEST, LONGEST = 200, 1600  # pixels of the sides of photographs that are taken
Edit = Callable[[Image.Image], Image.Image]


def resized(times: float, kernel: Image.Resampling = Image.Resampling.BICUBIC) -> Edit:
    return lambda image: image.resize((round(image.width * times), round(image.height * times)), kernel)


def blurred(radius: float) -> Edit:
    return lambda image: image.filter(ImageFilter.GaussianBlur(radius))


def thumbnail(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((160, 160))
    return small


def restored(image: Image.Image) -> Image.Image:
    """What a small, coarse copy gives at the size of the original."""
    return resized(2)(reopened(reopened(resized(0.5)(image), 90), 60))


def reopened(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, quality)))


def saved(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


BILINEAR, LANCZOS = Image.Resampling.BILINEAR, Image.Resampling.LANCZOS
SAME: list[tuple[Edit, int, float]] = [
    (Image.Image.copy, 85, 3),
    (Image.Image.copy, 60, 1),
    (Image.Image.copy, 30, 1),
    (lambda image: image.filter(ImageFilter.UnsharpMask()), 90, 3),
    (lambda image: image.convert("L"), 90, 1),
    (Image.Image.copy, 75, 1),
    (Image.Image.copy, 95, 0.5),
]
"""Edits that leave the number of pixels and their detail alone, the quality they are saved at, and their weight."""
LESS: list[tuple[Edit, int, float]] = [
    (resized(2), 90, 1),
    (resized(1.5), 90, 1),
    (resized(0.5), 90, 1),
    (thumbnail, 90, 1),
    (blurred(1), 90, 1),
    (blurred(2), 90, 1),
    (blurred(0.5), 90, 0.5),
    (lambda image: ImageOps.crop(image, round(min(image.size) / 20)), 90, 1.5),
    (lambda image: ImageOps.expand(image, min(image.size) // 10, "white"), 90, 1.5),
    (resized(1.333), 95, 0.8),
    (resized(1.25), 90, 0.8),
    (resized(3), 90, 0.7),
    (resized(2, LANCZOS), 80, 1),
    (resized(2, BILINEAR), 85, 1),
    (resized(1.5, LANCZOS), 85, 2),
    (resized(1.5, BILINEAR), 75, 1),
    (resized(0.8), 90, 1),
    (restored, 90, 0.5),
]
"""Edits that leave fewer pixels or less detail of each, as those above."""
EDITS = SAME + LESS
ITERATIONS, BATCH, RATE, NOISE, SHARPNESS = 2000, 3000, 0.03, 0.15, 5.0


def seen(data: bytes) -> np.ndarray:
    """float64: log2 of the pixels, what the sum is at least, and the signs."""
    info, pixels = decode(data)
    assert pixels is not None
    found = look((render(pixels, TILES).numpy(), info))
    return np.array([np.log2(found.pixels), least_sum(found.levels), *found.signs])


def see(path: Path) -> np.ndarray:
    """float64 (1 + len(EDITS), ...): what is seen of a photograph and of its edits."""
    data = path.read_bytes()
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    return np.stack([seen(data), *(seen(saved(edit(image), quality)) for edit, quality, _ in EDITS)])


def chosen(folder: Path, count: int) -> list[Path]:
    """As many of the folder's photographs as there are of a fit size, in an order that chance gave once."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    found: list[Path] = []
    random.Random(0).shuffle(paths)
    for path in paths:
        with Image.open(path) as image:
            if min(image.size) >= SHORTEST and max(image.size) <= LONGEST and len(found) < count:
                found.append(path)
    return found


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -40, 40)))


def fit(rows: np.ndarray, chance: np.random.Generator) -> tuple[np.ndarray, float]:
    """float64 (photographs, 1 + len(EDITS), ...) as `see` -> weights and bias, by stochastic descent (Adam)."""
    pixels, least, found = rows[..., 0], rows[..., 1], rows[..., 2:]
    mean, scale = found.mean(axis=(0, 1)), found.std(axis=(0, 1)) + 1e-6
    found = np.concatenate([(found - mean) / scale, np.ones((*found.shape[:2], 1))], axis=2)
    same, heavy = np.arange(len(EDITS)) < len(SAME), np.array([weight for _, _, weight in EDITS])
    at = np.arange(len(STEPS))
    weights, first, second = (np.zeros(found.shape[2]) for _ in range(3))
    for iteration in range(ITERATIONS):
        width = 0.6 - 0.4 * iteration / ITERATIONS  # of the smoothed steps
        one, edit = chance.integers(len(rows), size=BATCH), chance.integers(len(EDITS), size=BATCH)
        gone, slope, inputs = [], [], []
        for which in (np.zeros(BATCH, int), edit + 1):
            x, floor = found[one, which], least[one, which]
            total = x @ weights + NOISE * chance.normal(size=BATCH)
            risen = logistic((np.maximum(total, floor)[:, None] - at) / width)
            gone.append(risen @ STEPS)
            slope.append((risen * (1 - risen)) @ STEPS / width * (total > floor))
            inputs.append(x)
        gain = (pixels[one, 0] - gone[0]) - (pixels[one, edit + 1] - gone[1])
        # Of log(1 + exp(-SHARPNESS gain)) / 2, or of twice the advantage where a tie is right.
        pull = heavy[edit] * np.where(
            same[edit], 2.0 * (gone[0] > gone[1]), SHARPNESS * logistic(-SHARPNESS * gain) / 2
        )
        gradient = ((pull * slope[0]) @ inputs[0] - (pull * slope[1]) @ inputs[1]) / BATCH + 1e-4 * weights
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        rate = RATE * min(1.0, iteration / 100, (ITERATIONS - iteration) / (0.6 * ITERATIONS))
        steady = np.sqrt(second / (1 - 0.99 ** (iteration + 1))) + 1e-8
        weights = weights - rate * first / (1 - 0.9 ** (iteration + 1)) / steady
    plain = weights[:-1] / scale
    return plain, float(weights[-1] - plain @ mean)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", default=150, show_default=True, help="Photographs of each folder.")
@click.option("--cache", type=click.Path(path_type=Path), help="Where to keep what was seen, or to take it from.")
@click.option("--seed", default=0, show_default=True)
def main(folders: Sequence[Path], count: int, cache: Path | None, seed: int) -> None:
    """Print the weights fitted to the photographs in FOLDERS."""
    parts = []
    for folder in folders:
        kept = cache / f"{folder.name}.npy" if cache else None
        if kept and kept.exists():
            parts.append(np.load(kept))
            continue
        with ProcessPoolExecutor(cores()) as pool:
            parts.append(np.stack(list(pool.map(see, chosen(folder, count), chunksize=4))))
        click.echo(f"{folder.name}: {len(parts[-1])} photographs", err=True)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, parts[-1])
    weights, bias = fit(np.concatenate(parts), np.random.default_rng(seed))
    click.echo(f"WEIGHTS = np.array({np.array2string(weights, precision=3, separator=', ', max_line_width=100)})")
    click.echo(f"BIAS = {bias:.3f}")


if __name__ == "__main__":
    main()
