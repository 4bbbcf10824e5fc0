#!/usr/bin/env python3
"""What DECIDE, REPORT, `refilter` and `inspect` take of a large set: seconds and memory, in all and for each image.

The set exists as tables only: samples, scores, embeddings and the pairs of duplicates, a tenth of the images in one.
Each command runs in a process of its own; what a set of 1,000 images takes is subtracted before figures are divided by
the number of images. The folder takes some 350 bytes per image.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import pyarrow as pa

from pycurate.dedup.pairs import PAIRS, Search
from pycurate.dedup.vectors import sample_numbers
from pycurate.files import write_json
from pycurate.results.layout import path_of
from pycurate.results.tables import SAMPLES, stream, write_array, write_table
from pycurate.results.uids import hex_digits

ROOT = Path(__file__).resolve().parent.parent
DIM = 16
SMALL = 1_000
"""Images of the set that shows what a command takes whatever the number of images."""

COMMANDS: dict[str, Sequence[str]] = {
    "DECIDE": ("bin/decide.py", "--dedup", "--aesthetic-threshold", "0.2"),
    "DECIDE, selecting": (
        *("bin/decide.py", "--dedup", "--aesthetic-threshold", "0.2", "--max-caption-count", "1000"),
        *("--score", "mix=0.6*z(nsfw)+0.4*z(aesthetic)", "--keep-top", "mix=0.6"),
    ),
    "REPORT examples": ("bin/report.py", "examples"),
    "REPORT render": ("bin/report.py", "render"),
    "refilter": ("-m", "pycurate.cli.main", "refilter", "--aesthetic-threshold", "0.3"),
    "inspect": ("-m", "pycurate.cli.main", "inspect"),
}


def make_set(folder: Path, images: int, partitions: int) -> None:
    """Leave what DECIDE reads, of so many images; one in a thousand is unreadable."""
    random = np.random.default_rng(0)
    edges = np.linspace(0, images, partitions + 1).astype(int).tolist()
    later, earlier = [], []
    for number, (start, stop) in enumerate(pairwise(edges)):
        rows = _make_partition(folder, f"{number:05d}", start, stop, random)
        copies = np.sort(random.choice(np.arange(1, rows), rows // 10, replace=False))
        later.append(sample_numbers(number, copies))
        earlier.append(sample_numbers(number, random.integers(0, copies)))
    count = sum(map(len, later))
    columns = {
        "later": np.concatenate(later),
        "earlier": np.concatenate(earlier),
        "similarity": random.uniform(0.9, 1, count).astype(np.float32),
        "exact": np.zeros(count, bool),
        "more": np.zeros(count, bool),
        "cell": np.zeros(count, np.int32),
        "probe": np.zeros(count, np.int8),
    }
    search = Search(0.9, "best", 1.0, 1, "0" * 32)
    table = pa.table(columns, schema=PAIRS.with_metadata(search.to_metadata()))
    write_table(path_of(folder, "pairs", "00000"), table)


def _make_partition(folder: Path, name: str, start: int, stop: int, random: np.random.Generator) -> int:
    """samples, scores and img_emb of one partition, the best image first; how many are readable."""
    count = stop - start
    position = np.arange(start, stop)
    good = position % 1000 != 999
    rows = int(good.sum())
    uids = hex_digits(random.integers(0, 1 << 63, (count, 2)).astype(np.uint64) * np.uint64(2))
    contents = [hex_digits(random.integers(0, 1 << 63, (count, 2)).astype(np.uint64)) for _ in range(2)]
    captions = [f"a photograph of thing number {thing}" for thing in random.geometric(1e-3, count).tolist()]
    columns = {
        "uid": uids,
        "shard": [f"{number:07d}.tar" for number in (position // 1000).tolist()],
        "key": [f"{number:010d}" for number in position.tolist()],
        "ext": ["jpg"] * count,
        "offset": position * 102400 + 512,
        "size": random.integers(10_000, 100_000, count),
        "sha256": [one + two for one, two in zip(*(part.to_pylist() for part in contents), strict=True)],
        "tar_offset": position * 102400,
        "tar_size": np.full(count, 102400),
        "width": random.integers(256, 2048, count),
        "height": random.integers(256, 2048, count),
        "format": ["jpeg"] * count,
        "detail": np.where(good, 1e10 - position, np.nan),
        "loss": random.random(count),
        "caption": captions,
        "status": np.where(good, "ok", "error").tolist(),
        "error": pa.array(["corrupt"] * count, mask=good),
        "row": pa.array(np.cumsum(good) - 1, mask=~good),
    }
    arrays = {
        field.name: pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(count, field.type)
        for field in SAMPLES
    }
    write_table(path_of(folder, "samples", name), pa.table(arrays))
    scores = {name: random.random(rows, np.float32) for name in ("aesthetic", "nsfw", "clip_score")}
    write_table(path_of(folder, "scores", name), pa.table({"uid": uids.filter(pa.array(good))} | scores))
    vectors = random.normal(size=(rows, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    write_array(path_of(folder, "img_emb", name), vectors.astype(np.float16))
    return rows


def pretend_written(folder: Path) -> None:
    """The counts that WRITE leaves of each output shard."""
    held: dict[str, int] = {}
    for batch in stream(path_of(folder, "decisions"), ["output_shard"]):
        for entry in batch["output_shard"].drop_null().value_counts().to_pylist():
            held[entry["values"]] = held.get(entry["values"], 0) + entry["counts"]
    for name, count in held.items():
        write_json(path_of(folder, "tar_stats", name.removesuffix(".tar")), {"samples": count, "bytes": 1})


def measured(words: Sequence[str]) -> tuple[float, float, int]:
    """Of a process the seconds by the clock and of cores, and the most memory at a time in bytes."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)}\n{said.decode()}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def run_all(folder: Path, names: Sequence[str]) -> dict[str, tuple[float, float, int]]:
    """{command: what it took, as `measured` tells}."""
    found = {}
    for name in names:
        command, *options = COMMANDS[name]
        if command == "-m":
            module, action, *options = options
            words = [command, module, action, str(folder), *options]
        else:
            words = [command, *options, "--results", str(folder)]
        if name == "inspect":
            words.append(f"{2:010d}")
        found[name] = measured(words)
        print("{:18} {:9.1f} s {:9.1f} cpu-s {:12,} B".format(name, *found[name]), file=sys.stderr)
        if name.startswith("DECIDE"):
            shutil.rmtree(folder / "curated", ignore_errors=True)
            pretend_written(folder)
    return found


@click.command()
@click.option("--images", default=1_000_000, show_default=True, type=click.IntRange(SMALL))
@click.option("--per-partition", default=20_000, show_default=True, type=click.IntRange(1))
@click.option("--only", multiple=True, type=click.Choice(list(COMMANDS)), help="These commands, in the order above.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to make the set, and leave it.")
def main(images: int, per_partition: int, only: tuple[str, ...], folder: Path | None) -> None:
    """Print what each command takes, in all and for each image."""
    names = [name for name in COMMANDS if not only or name in only]
    with tempfile.TemporaryDirectory(prefix="large-") as temporary:
        make_set(Path(temporary) / "small", SMALL, 2)
        small = run_all(Path(temporary) / "small", list(COMMANDS))
        folder = folder or Path(temporary) / "large"
        if not path_of(folder, "pairs", "00000").exists():
            make_set(folder, images, -(-images // per_partition))
        large = run_all(folder, names)
    print(f"{images:,} images, {per_partition:,} in a partition")
    print(f"{'':18} {'s':>9} {'cpu-s':>9} {'MB':>9} {'cpu-us/image':>13} {'B/image':>9}")
    for name, (clock, cores, memory) in large.items():
        more = (cores - small[name][1]) / images * 1e6, (memory - small[name][2]) / images
        print(f"{name:18} {clock:9.1f} {cores:9.1f} {memory / 1e6:9.0f} {more[0]:13.2f} {more[1]:9.1f}")


if __name__ == "__main__":
    main()
