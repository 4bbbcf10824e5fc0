"""A trial of the stages on this machine: how fast they are, what memory they take, how large their tables are."""

import math
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pycurate.choice import ModelChoice, cores
from pycurate.decisions import Layout, decide
from pycurate.embed import LoaderOptions, embed_partition
from pycurate.errors import ModelError, PycurateError
from pycurate.files import atomic
from pycurate.images import MAX_PIXELS
from pycurate.partition import Shard, write_partitions
from pycurate.score import score_partition
from pycurate.sources import sources_of
from pycurate.survey import ShardCount
from pycurate.tables import path_of, read_table
from pycurate.write import END, write_curated

T = TypeVar("T")

MOST_IMAGES, MOST_BYTES = 1000, 256_000_000  # of different images in a trial; where they do not suffice they come again
RUNS = 3  # from which the rate and its spread are taken
NUMBER = "00000"
TABLES = ("samples", "metadata", "measures", "scores", "plan")  # those of a partition, and of a WRITE task


class NotLoadedError(ModelError):
    """The models cannot be made: weights are missing or wrong."""


@dataclass(frozen=True)
class Trial:
    """What was measured.

    Attributes:
        device: what EMBED ran on, in words.
        images: how many different images it embedded.
        rates: images per second of EMBED, of each of its runs, once it is under way.
        start: seconds from the start of a process until it has imported what a stage needs.
        embed_start: seconds of an EMBED task beyond its images: start, models, loader, the slow first batch.
        score_start: the same of a SCORE task.
        score_seconds: of SCORE, per image.
        write_rate: bytes per second of WRITE, out of memory into the temporary folder; None if nothing was written.
        dim: numbers of an embedding.
        tables: bytes per sample of each table.
        memory: bytes, the largest resident size of the EMBED process.
        gpu_memory: bytes that torch had allocated on the GPU at most; None without a GPU.
    """

    device: str
    images: int
    rates: tuple[float, ...]
    start: float
    embed_start: float
    score_start: float
    score_seconds: float
    write_rate: float | None
    dim: int
    tables: dict[str, float]
    memory: int
    gpu_memory: int | None


def try_out(counts: Sequence[ShardCount], models: ModelChoice, batch_size: int, seconds: float) -> Trial:
    """Embed, score and write a random choice of the images for about so many seconds, in a process of its own.

    Raises NotLoadedError if weights are missing or wrong, ModelError if a model gives what its protocol does not allow,
    UsageError for an unknown model, and PycurateError if the process is killed.
    """
    options = LoaderOptions.fill(None, models.device, batch_size, MAX_PIXELS, None)
    with TemporaryDirectory(prefix="pycurate-") as name, ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pieces = make_pieces(counts, Path(name), options.batch_size)
        began = time.monotonic()
        try:
            return pool.submit(measure, Path(name), pieces, models, options, seconds, began).result()
        except BrokenProcessPool as error:
            raise PycurateError(
                "The trial of EMBED was killed, perhaps for want of memory; try it on a larger node, "
                "or give --images-per-second."
            ) from error


def make_pieces(counts: Sequence[ShardCount], folder: Path, batch_size: int) -> list[tuple[Shard, int]]:
    """A random choice of the images as small shards of a batch each, in `folder`; each with how many it holds."""
    hashes = np.concatenate([one.keys for one in counts])
    places = np.concatenate([one.places for one in counts])
    owner = np.repeat(np.arange(len(counts)), [len(one.keys) for one in counts])
    order = [at for at in np.argsort(hashes, kind="stable") if places[at, 1]][:MOST_IMAGES]
    order = order[: max(1, int(np.searchsorted(np.cumsum(places[order, 1]), MOST_BYTES, side="right")))]
    pieces = []
    for start in range(0, len(order), batch_size):
        path = folder / "pieces" / f"{start:05}.tar"
        chosen = order[start : start + batch_size]
        with atomic(path) as beside, open(beside, "wb") as output:
            for at in chosen:
                with open(counts[owner[at]].shard.path, "rb") as shard:
                    shard.seek(places[at, 0])
                    output.write(shard.read(places[at, 1]))
            output.write(END)
        pieces.append((Shard(path.name, path, path.stat().st_size), len(chosen)))
    return pieces


def measure(
    results: Path,
    pieces: Sequence[tuple[Shard, int]],
    models: ModelChoice,
    options: LoaderOptions,
    seconds: float,
    began: float,
) -> Trial:
    """The trial itself, in a fresh process that was started at `began` (time.monotonic); works in `results`.

    EMBED runs on ever more images until a run takes its share of the time, and then twice more. What one batch takes
    when it runs for the second time is the part of a run that does not grow with the images.
    """
    start = time.monotonic() - began
    try:
        (encoder, pixel_scorers), load = _timed(lambda: (models.load_encoder(), models.load_pixel_scorers()))
        scorers, score_load = _timed(models.load_embedding_scorers)
    except ModelError as error:
        raise NotLoadedError(str(error)) from error

    given = 0  # pieces so far; each run goes on where the last one ended

    def run(count: int) -> tuple[int, float]:
        nonlocal given
        chosen = [pieces[(given + at) % len(pieces)] for at in range(count)]
        given += count
        named = [Shard(f"{at:06}.tar", shard.path, shard.bytes) for at, (shard, _) in enumerate(chosen)]
        write_partitions(results, [named])
        _, spent = _timed(lambda: embed_partition(results, NUMBER, encoder, pixel_scorers, options))
        return sum(images for _, images in chosen), spent

    cold_images, cold = run(1)
    least, again = run(1)
    count, images, spent = 1, least, again
    share = seconds / (RUNS + 1)  # the runs that lead there take about one more
    while spent < share:
        count = math.ceil(count * min(10, max(1.3, 1.1 * share / spent)))
        images, spent = run(count)
    count = max(count, 2)
    runs = [(images, spent)] if images > least else []
    runs += [run(count) for _ in range(RUNS - len(runs))]
    rates = tuple((images - least) / max(spent - again, spent / 10) for images, spent in runs)
    memory = peak_memory()
    gpu = torch.device(models.device).type == "cuda"

    _, score = _timed(lambda: score_partition(results, NUMBER, models.pixel_scorer_classes(), scorers))
    decisions = decide(results, sources_of(results), [], Layout(), dedup=False)
    _, write = _timed(lambda: write_curated(results))
    written = sum(path.stat().st_size for path in (results / "curated").glob("*.tar"))
    different = sum(images for _, images in pieces)
    tables = {kind: read_table(path_of(results, kind, NUMBER)) for kind in TABLES} | {"decisions": decisions}
    return Trial(
        device=device_name(models.device),
        images=min(different, sum(images for images, _ in runs)),
        rates=rates,
        start=start,
        embed_start=start + load + max(0.0, cold - cold_images * len(rates) / sum(rates)),
        score_start=start + score_load,
        score_seconds=score / runs[-1][0],
        write_rate=written / write if written else None,
        dim=encoder.dim,
        tables={kind: bytes_per_row(table.slice(0, different)) for kind, table in tables.items()},
        memory=memory,
        gpu_memory=torch.cuda.max_memory_allocated() if gpu else None,
    )


def bytes_per_row(table: pa.Table) -> float:
    """What a row adds to a Parquet file of such rows; 0 of an empty table."""

    def size(part: pa.Table) -> int:
        sink = pa.BufferOutputStream()
        pq.write_table(part, sink, compression="zstd")
        return sink.getvalue().size

    return (size(table) - size(table.slice(0, 0))) / max(1, table.num_rows)


def peak_memory() -> int:
    """The largest resident size of this process so far, bytes. getrusage would begin with that of its parent."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None  # Linux always says it
    return int(match[1]) * 1024


def device_name(device: str) -> str:
    """The GPU's name; of a CPU how many cores of it this process may use, and its name."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    match = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return f"{cores()} cores of {match[1]}" if match else f"{cores()} cores of {os.uname().machine}"


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began
