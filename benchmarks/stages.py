#!/usr/bin/env python3
"""EMBED against the bound of its parts, WRITE against cp, EMBED's memory against the shard's size.

The bound of EMBED is what its parts allow on the same cores: 1 over the sum of the times per image of the loader, the
encoders and the pixel scorers, each alone. Every figure is the median of its rounds, and the parts and the whole take
turns within a round, since the machine's speed drifts.
"""

import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
from loader import photographs

from pycurate.files import atomic
from pycurate.images.decode import ImageInfo
from pycurate.images.evidence import Evidence
from pycurate.images.loader import Loader
from pycurate.models.batching import checked_encode, start_score
from pycurate.models.protocols import Encoder, PixelScorer
from pycurate.models.selection import ModelSelection, select_models
from pycurate.results.layout import path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.plan import Layout, output_plan
from pycurate.results.tables import write_table
from pycurate.shards.listing import Shard, find_shards
from pycurate.shards.samples import read_samples
from pycurate.stages.embed import LoaderOptions, embed_partition, samples_table
from pycurate.stages.partition import partition
from pycurate.stages.write import write_curated

ROOT = Path(__file__).resolve().parent.parent


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def make_shard(path: Path, files: list[bytes]) -> None:
    """A shard of these images, each with a caption."""
    with atomic(path) as temporary, tarfile.open(temporary, "w") as tar:
        for number, data in enumerate(files):
            for extension, content in (("jpg", data), ("txt", b"a photograph")):
                info = tarfile.TarInfo(f"{number:06}.{extension}")
                info.size = len(content)
                with tempfile.SpooledTemporaryFile(max_size=1 << 24) as file:
                    file.write(content)
                    file.seek(0)
                    tar.addfile(info, file)


def bench_embed(folder: Path, models: ModelSelection, files: list[bytes], rounds: int) -> float:
    """EMBED from a shard to its tables, against its parts on the same images in memory; images/s that these allow."""
    make_shard(folder / "in" / "00000.tar", files)
    write_partitions(folder, partition(find_shards(str(folder / "in")), 1 << 40))
    encoders, scorers = models.load_encoders(), models.load_pixel_scorers()
    options = LoaderOptions.fill(None, models.device, 100, 1 << 30, None)
    views = [*(encoder.view for encoder in encoders.values()), *(scorer.view for scorer in scorers)]
    with Loader(views, **vars(options)) as loader:
        batches = list(loader.batches(enumerate(files)))

        def load() -> None:
            for _ in loader.batches(enumerate(files)):
                pass

        def encode(place: int, encoder: Encoder) -> None:
            for batch in batches:
                checked_encode(encoder, batch.pixels[place], "bench", ["x"] * len(batch.items))

        def score(place: int, scorer: PixelScorer) -> None:
            for batch in batches:
                start_score(scorer, batch.pixels[place], batch.images, "bench", ["x"] * len(batch.items))()

        parts: dict[str, Callable[[], None]] = {"loader": load}
        for place, encoder in enumerate(encoders.values()):
            parts[f"encoder {encoder.name}"] = partial(encode, place, encoder)
        for place, scorer in enumerate(scorers, len(encoders)):
            parts[f"scorer {scorer.name}"] = partial(score, place, scorer)
        parts["EMBED"] = lambda: embed_partition(folder, "00000", encoders, scorers, options)
        times: dict[str, list[float]] = {name: [] for name in parts}
        for turn in range(rounds + 1):
            for name, work in parts.items():
                spent = seconds(work)
                if turn:
                    times[name].append(spent)
    for name, spans in times.items():
        print(f"{name:16} {len(files) / statistics.median(spans):8.1f} images/s")
    bounds = [sum(spans) for spans in zip(*(times[name] for name in parts if name != "EMBED"), strict=True)]
    ratios = [bound / whole for bound, whole in zip(bounds, times["EMBED"], strict=True)]
    rate = len(files) / statistics.median(bounds)
    print(f"{'bound':16} {rate:8.1f} images/s")
    print(f"EMBED / bound    {statistics.median(ratios):8.2f}  (to reach: 0.95)\n")
    return rate


def plan_half(folder: Path, shards: list[Shard]) -> None:
    """Leave what WRITE needs to copy every other sample of these shards."""
    write_partitions(folder, partition(shards, 1 << 40))
    found = [sample for shard in shards for sample in read_samples(shard.path, shard.name)]
    samples = samples_table(found, [ImageInfo(1, 1, "jpeg")] * len(found), [Evidence(1.0, 0.0, None)] * len(found))
    write_table(path_of(folder, "samples", "00000"), samples)
    kept = np.arange(samples.num_rows) % 2 == 0
    decisions = samples.select(["uid", "shard", "key"])
    decisions = decisions.append_column("kept", [kept])
    for name in ("reason", "duplicate_of", "output_shard"):
        decisions = decisions.append_column(name, [[None] * len(kept)])
    keys = decisions.filter(decisions["kept"])["key"].to_pylist()
    with output_plan(folder, keys, Layout(100, 1 << 30)) as plan:
        write_table(folder / "decisions.parquet", plan.add(decisions, samples))


def bench_write(folder: Path, files: list[bytes], rounds: int) -> None:
    """WRITE of every other of 2000 samples, against cp of files with the same bytes."""
    make_shard(folder / "in" / "00000.tar", [files[at % len(files)] for at in range(2000)])
    plan_half(folder, find_shards(str(folder / "in")))
    curated, copy = folder / "curated", folder / "copy"
    ratios, rates = [], []
    for _ in range(rounds + 1):
        for old in (curated, copy):
            shutil.rmtree(old, ignore_errors=True)
        os.sync()
        wrote = seconds(lambda: write_curated(folder))
        size = sum(path.stat().st_size for path in curated.glob("*.tar"))
        copy.mkdir()
        os.sync()
        copied = seconds(lambda: subprocess.run(["cp", *map(str, curated.glob("*.tar")), str(copy)], check=True))
        ratios.append(copied / wrote)
        rates.append(size / wrote / 1e6)
    print(f"WRITE            {statistics.median(rates[1:]):8.0f} MB/s")
    print(f"WRITE / cp       {statistics.median(ratios[1:]):8.2f}  (to reach: 0.5)\n")


def bench_memory(folder: Path, files: list[bytes]) -> None:
    """Peak memory of bin/embed.py on one shard of 100 images and on one of 2000."""
    peaks = []
    for count in (100, 2000):
        results = folder / f"memory{count}"
        make_shard(results / "in" / "00000.tar", [files[at % len(files)] for at in range(count)])
        write_partitions(results, partition(find_shards(str(results / "in")), 1 << 40))
        peaks.append(peak_memory([sys.executable, str(ROOT / "bin" / "embed.py"), "--results", str(results)]))
        print(f"EMBED of {count:5} images: {peaks[-1] / 2**20:8.0f} MiB at most")
    print(f"2000 / 100       {peaks[1] / peaks[0]:8.2f}  (to reach: within 1.10)\n")


def peak_memory(command: list[str]) -> int:
    """Bytes: the largest resident size of the command.

    A small process in between starts it: the figure that a child is given begins with the size of who started it.
    """
    between = "import os, subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(*os.wait4(p.pid, 0)[1:][::-1])"
    done = subprocess.run([sys.executable, "-c", between, *command], capture_output=True, text=True, check=True)
    usage = re.search(r"ru_maxrss=(\d+)", done.stdout)
    if usage is None or not done.stdout.rstrip().endswith(" 0"):
        raise RuntimeError(f"{command} failed: {done.stderr}")
    return int(usage[1]) * 1024


@click.command(help=__doc__)
@click.option("--count", default=400, show_default=True, help="Images of a round.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--preset", default="light", show_default=True)
def main(count: int, rounds: int, preset: str) -> None:
    logging.disable(logging.INFO)
    beside = ROOT.parent / "shared" / "images"
    files = photographs(sorted(beside.glob("*.tar")), count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = select_models(preset, Path.home() / ".cache" / "pycurate" / preset)
        bench_embed(folder, models, files, rounds)
        bench_write(folder / "write", files, rounds)
        bench_memory(folder, files)


if __name__ == "__main__":
    main()
