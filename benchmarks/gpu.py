#!/usr/bin/env python3
"""EMBED with a CLIP model: images per second from tar bytes to embeddings, and what bounds it.

    benchmarks/gpu.py --model ViT-L-14-quickgelu --images 20000          on a GPU
    benchmarks/gpu.py --model ViT-B-32-quickgelu --images 100            anywhere

The weights are random numbers: speed does not depend on them. Measured by turns, medians over rounds: the model alone
on pixels that are there already, compiled and not, and the decoder alone, all as EMBED runs them; and the share of the
card's bf16 peak that the model's arithmetic takes. Without a GPU the same code runs on the CPU, and says so.
"""

import io
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Literal

import click
import open_clip
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from pycurate.hardware import default_device
from pycurate.images.decode import MAX_PIXELS
from pycurate.images.loader import Loader
from pycurate.models.batching import GPU_BATCH, one_behind, start_encode
from pycurate.models.builtin.openclip import OpenClip
from pycurate.results.partitions import write_partitions
from pycurate.shards.listing import find_shards
from pycurate.shards.samples import read_samples
from pycurate.stages.embed import LoaderOptions, embed_partition
from pycurate.stages.partition import partition

PEAKS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
}  # dense bf16, FLOP/s


def random_encoder(model: str, folder: Path, device: str) -> OpenClip:
    """The model with random weights, through the path that real weights take."""
    torch.manual_seed(0)
    save_file(open_clip.create_model(model).state_dict(), folder / "random.safetensors")
    return OpenClip(f"{model}/{folder}/random.safetensors", folder, device)


def write_shard(folder: Path, images: int) -> None:
    """A tar of `images` JPEGs: the package's two photographs by turns."""
    photographs = [path.read_bytes() for path in (files("pycurate.models") / "photographs").iterdir()]
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for number in range(images):
            member = tarfile.TarInfo(f"{number:08d}.jpg")
            data = photographs[number % len(photographs)]
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def by_turns(parts: dict[str, Callable[[], int]], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds an image, the GPU's included, by part and round. A part gives its number of images.

    A first round, which is not counted, warms up.
    """
    times: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(rounds + 1):
        for name, work in parts.items():
            began = time.perf_counter()
            count = work()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            if turn:
                times[name].append((time.perf_counter() - began) / count)
    return times


def decode(shards: str, encoder: OpenClip, options: LoaderOptions) -> int:
    """Decode every image of the shards, and do nothing with them; how many."""
    samples = (sample for shard in find_shards(shards) for sample in read_samples(shard.path, shard.name))
    with Loader([encoder.view], **vars(options)) as loader:
        return sum(len(batch.pixels[0]) for batch in loader.batches((None, sample.data) for sample in samples))


def encode(encoder: OpenClip, pixels: torch.Tensor, batches: int, compiled: bool) -> int:
    """Encode a batch again and again, one begun before the last is waited for, as EMBED does; how many images."""
    encoder.compiled = compiled
    names = [str(number) for number in range(len(pixels))]
    return sum(len(rows()) for rows in one_behind(start_encode(encoder, pixels, "-", names) for _ in range(batches)))


def can_compile(encoder: OpenClip, pixels: torch.Tensor) -> bool:
    """Whether torch.compile works here."""
    if not encoder.compiled:
        encoder.compile()
    encode(encoder, pixels, 1, True)
    return encoder.compiled


def flops_of(encoder: OpenClip, device: str) -> int:
    """The arithmetic of one image, by torch's counter, which does not see into attention's fused fast path."""
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter:
        encoder.embed(torch.zeros(1, 3, encoder.view.height, encoder.view.width, device=device))
    torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops())


def peak(device: str) -> float | None:
    """The card's published dense bf16 peak in FLOP/s, None if it is not in the list."""
    name = torch.cuda.get_device_name(device)
    return next((flops for card, flops in PEAKS.items() if card in name), None)


@click.command()
@click.option("--model", default="ViT-L-14-quickgelu", show_default=True, help="An architecture of open_clip.")
@click.option("--images", default=10_000, show_default=True, type=click.IntRange(1), help="How many, by each measure.")
@click.option("--input", "shards", help="Shards of your own.  [default: two photographs again and again]")
@click.option("--device", default=default_device, help="[default: cuda if there is]")
@click.option("--backend", type=click.Choice(["cpu", "dali"]), help="Decoder.  [default: dali on a GPU, else cpu]")
@click.option("--batch-size", default=GPU_BATCH, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
def main(
    model: str,
    images: int,
    shards: str | None,
    device: str,
    backend: Literal["cpu", "dali"] | None,
    batch_size: int,
    rounds: int,
) -> None:
    """Images per second of EMBED with a CLIP model, of the model alone and of the decoder alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if shards is None:
            write_shard(folder, images)
            shards = name
        encoder = random_encoder(model, folder, device)
        options = LoaderOptions.fill(backend, device, batch_size, MAX_PIXELS, None)
        size = (batch_size, 3, encoder.view.height, encoder.view.width)
        pixels = torch.randint(0, 256, size, dtype=torch.uint8).to(device)
        batches = max(1, images // batch_size)
        results = folder / "results"
        write_partitions(results, partition(find_shards(shards), 1 << 60))
        decoded = decode(shards, encoder, options)
        flops = flops_of(encoder, device)
        wanted = encoder.compiled  # by the run, on this device
        works = can_compile(encoder, pixels)
        compiles = wanted and works

        def embed() -> int:
            encoder.compiled = compiles
            embed_partition(results, "00000", {"img_emb": encoder}, [], options)
            return decoded

        parts = {
            "embed": embed,
            "model": lambda: encode(encoder, pixels, batches, compiles),
            "decoder": lambda: decode(shards, encoder, options),
        }
        if works:
            parts["other"] = lambda: encode(encoder, pixels, batches, not compiles)
        times = by_turns(parts, rounds, device)
    rate = {name: 1 / statistics.median(spans) for name, spans in times.items()}
    on = torch.cuda.get_device_name(device) if device.startswith("cuda") else "the CPU, as there is no GPU here"
    click.echo(f"{model} on {on}")
    click.echo(f"{rounds} rounds of {decoded} images, batches of {batch_size}, {options.backend} decoder")
    click.echo(f"tar bytes to embeddings  {rate['embed']:10.1f} images/s")
    way = "compiled" if compiles else "not compiled"
    click.echo(f"model alone              {rate['model']:10.1f} images/s, {way}; {flops / 1e9:.1f} GFLOP an image")
    if works:
        compiled, eager = ("model", "other") if compiles else ("other", "model")
        gain = ratio(times[eager], times[compiled])
        click.echo(f"model alone, other way   {rate['other']:10.1f} images/s; compiled is {gain:.2f} times as fast")
    click.echo(f"decoder alone            {rate['decoder']:10.1f} images/s")
    pairs = list(zip(times["model"], times["decoder"], strict=True))
    if device.startswith("cuda"):
        click.echo(f"ratio to the slower one  {ratio([max(pair) for pair in pairs], times['embed']):10.2f}")
        most = peak(device)
        share = f"{rate['model'] * flops / most:10.2f}" if most else "not known for this card"
        click.echo(f"share of the bf16 peak   {share}, {rate['model'] * flops / 1e12:.0f} TFLOP/s")
    else:  # decoder and model share the cores, so their times add up
        click.echo(f"ratio to both in turn    {ratio([sum(pair) for pair in pairs], times['embed']):10.2f}")
        click.echo("share of the bf16 peak   not measured: there is no GPU here")


def ratio(these: list[float], those: list[float]) -> float:
    """The median over rounds of `these` by `those`."""
    return statistics.median(one / other for one, other in zip(these, those, strict=True))


if __name__ == "__main__":
    main()
