#!/usr/bin/env python3
"""The loader against its bare backend, on photographs held in memory.

Bare is what one would write by hand for files that are known to be good: decode, resize, crop in a thread pool, or
DALI's own graph from its manual; nothing is checked, ordered or copied. Rounds of both alternate, and what counts is
the median of each pair's ratio, since the machine's speed drifts.
"""

import io
import statistics
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import simplejpeg
import skimage
import torch
from nvidia.dali import Pipeline, fn, types
from PIL import Image

from pycurate.images.loader import Loader
from pycurate.images.views import View

SIDE = 224
PACKAGED = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "hubble_deep_field.jpg")


def photographs(shards: list[Path], count: int) -> list[bytes]:
    """`count` JPEGs, some of them more than once: those in the shards, or scikit-image's packaged photographs."""
    found = []
    for path in shards:
        with tarfile.open(path) as tar:
            found += [file.read() for name in tar if name.name.endswith(".jpg") and (file := tar.extractfile(name))]
    if not found:
        folder = Path(skimage.__file__).parent / "data"
        for name in PACKAGED:
            buffer = io.BytesIO()
            image = Image.open(folder / name).convert("RGB")
            image.thumbnail((500, 500))
            image.save(buffer, "JPEG", quality=90)
            found.append(buffer.getvalue())
    return [found[at % len(found)] for at in range(count)]


def bare_cpu(files: list[bytes], workers: int) -> None:
    def one(data: bytes) -> np.ndarray:
        pixels = simplejpeg.decode_jpeg(data)
        height, width = pixels.shape[:2]
        scale = SIDE / min(height, width)
        size = (max(SIDE, int(height * scale)), max(SIDE, int(width * scale)))
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        resized = torch.nn.functional.interpolate(image, size=size, mode="bicubic", antialias=True)[0]
        top, left = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
        return np.ascontiguousarray(
            resized.numpy()[:, top : top + SIDE, left : left + SIDE]
        )  # torch would start threads

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(one, files):
            pass


class BareDali:
    """DALI's graph, built once and fed by a callback that ends with each round, so that no work is left to the next."""

    def __init__(self, files: list[bytes], batch_size: int, workers: int, device: str) -> None:
        arrays = [np.frombuffer(data, np.uint8) for data in files]
        batches = [arrays[start : start + batch_size] for start in range(0, len(arrays), batch_size)]

        gpu = device.startswith("cuda")
        self.pipeline = Pipeline(batch_size, workers, device_id=0 if gpu else None, prefetch_queue_depth=2)
        with self.pipeline:
            data = fn.external_source(source=batches, cycle="raise", dtype=types.DALIDataType.UINT8, ndim=1)
            image: Any = fn.decoders.image(data, device="mixed" if gpu else "cpu")
            cubic = types.DALIInterpType.INTERP_CUBIC
            resized: Any = fn.resize(image, resize_shorter=SIDE, interp_type=cubic, antialias=True)
            cropped: Any = fn.crop(resized, crop=(SIDE, SIDE))
            self.pipeline.set_outputs(fn.transpose(cropped, perm=[2, 0, 1]))
        self.pipeline.build()

    def __call__(self) -> None:
        try:
            while True:
                self.pipeline.run()
        except StopIteration:
            self.pipeline.reset()


def consume(loader: Loader, files: list[bytes]) -> None:
    """All of the loader's batches, each of which is complete when it is handed over."""
    for _ in loader.batches(enumerate(files)):
        pass


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Median seconds of each, and the median over rounds of first / second; one round before that does not count."""
    pairs = [(seconds(first), seconds(second)) for _ in range(rounds + 1)][1:]
    ones, others = zip(*pairs, strict=True)
    return statistics.median(ones), statistics.median(others), statistics.median(a / b for a, b in pairs)


def spoilt(files: list[bytes], spoil: Callable[[bytes], bytes]) -> list[bytes]:
    """The files, a dozen of each 100 spoilt."""
    return [spoil(data) if at % 100 in range(0, 96, 8) else data for at, data in enumerate(files)]


def cut(data: bytes) -> bytes:
    """Two bytes short: seen before anything is decoded."""
    return data[:-2]


def garbled(data: bytes) -> bytes:
    """A Huffman table of nonsense: seen in its header where DALI is to decode, else by the decoder."""
    at = data.find(b"\xff\xc4") + 5
    return data[:at] + b"\xff" * 16 + data[at + 16 :]


def lacking(data: bytes) -> bytes:
    """Colours without a quantisation table: likewise. Were it left to DALI, it would end its pipeline."""
    at = data.find(b"\xff\xc0") + 12
    return data[:at] + b"\3" + data[at + 1 :]


DAMAGES = (cut, garbled, lacking)


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(exists=True, path_type=Path), multiple=True, help="Tars of photographs.")
@click.option("--count", default=400, show_default=True, help="Images of a round.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--batch_size", default=100, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu, or cuda for DALI's mixed decoding.")
def main(shards: tuple[Path, ...], count: int, rounds: int, batch_size: int, workers: int, device: str) -> None:
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "images"
    files = photographs(list(shards) or sorted(beside.glob("*.tar")), count // batch_size * batch_size)
    backends: tuple[Literal["cpu", "dali"], ...] = ("cpu", "dali")
    bare: dict[str, Callable[[], None]] = {
        "cpu": lambda: bare_cpu(files, workers),
        "dali": BareDali(files, batch_size, workers, device),
    }
    print(f"{len(files)} photographs, {sum(map(len, files)) / len(files) / 1e3:.0f} kB each; batches of {batch_size},")
    print(f"{workers} workers, views on {device}\n")
    heads = "  ".join(f"dozen {damage.__name__} in 100" for damage in DAMAGES)
    print(f"backend  loader images/s  bare images/s  loader/bare  {heads}")
    for backend in backends:
        with Loader([View(SIDE, SIDE)], backend, device, batch_size, workers=workers) as loader:

            def whole(files: list[bytes] = files, loader: Loader = loader) -> None:
                consume(loader, files)

            plain, loaded, ratio = compare(bare[backend], whole, rounds)
            costs = [compare(partial(whole, spoilt(files, damage)), whole, rounds)[2] for damage in DAMAGES]
        rates = f"{len(files) / loaded:15.0f}  {len(files) / plain:13.0f}  {ratio:11.2f}"
        print(f"{backend:7}  {rates}  {costs[0]:10.2f} times  {costs[1]:14.2f} times  {costs[2]:14.2f} times")


if __name__ == "__main__":
    main()
