"""A trial of the stages on this machine: how fast they are, what memory they take, how large their tables are."""

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from pycurate.dedup.partitions import sources_of
from pycurate.errors import ModelError, PycurateError, StorageError
from pycurate.files import atomic
from pycurate.filters.filtering import FILTERS, Filtering
from pycurate.filters.ranking import Top
from pycurate.hardware import cores
from pycurate.images.decode import MAX_PIXELS
from pycurate.models.selection import ModelSelection
from pycurate.parameters import optional_scores
from pycurate.results.costs import peak_memory
from pycurate.results.layout import KINDS, Per, path_of, paths_of
from pycurate.results.partitions import write_partitions
from pycurate.results.plan import Layout
from pycurate.results.tables import read_table
from pycurate.shards.copy import Source
from pycurate.shards.count import ShardCount
from pycurate.shards.listing import Shard
from pycurate.shards.output import Output
from pycurate.shards.tar import END
from pycurate.stages.decide import decide
from pycurate.stages.embed import LoaderOptions, embed_partition
from pycurate.stages.score import score_partition
from pycurate.stages.write import copy_samples, write_curated
from pycurate.text import shortest

T = TypeVar("T")

MOST_IMAGES, MOST_BYTES = 1000, 256_000_000  # of different images in a trial; where they do not suffice they come again
RUNS = 3  # from which the rate and its spread are taken
NUMBER = "00000"
USUAL = (0.3, 0.5, 0.7, 0.9)  # thresholds
SMALL = {"text_area": (0.02, 0.05, 0.1, 0.2)}  # those of scores that are small
SHARES = ("0.1", "0.3", "0.5")  # that --keep_top may keep; 0.3 is DataComp's
OPTIONAL = ("COMPARE", "DEDUP")  # stages without tables in a trial: it compares nothing
TABLES = [  # those of a partition, and of a WRITE task
    kind.name
    for kind in KINDS.values()
    if kind.per in (Per.PARTITION, Per.PLAN) and kind.pattern.endswith(".parquet") and kind.stage not in OPTIONAL
]


class NotLoadedError(ModelError):
    """The models cannot be made: weights are missing or wrong."""


@dataclass(frozen=True)
class Trial:
    """What was measured.

    Attributes:
        device: what EMBED ran on, in words.
        images: how many different images it embedded.
        rates: images per second of EMBED, of each of its runs, once it is under way.
        start: seconds from the start of a process until it has imported what a stage needs that computes with torch.
        start_without_torch: the same of a stage that does not, such as WRITE.
        embed_start: seconds of an EMBED task beyond its images: start, models, loader, the slow first batch.
        score_start: the same of a SCORE task.
        score_seconds: of SCORE, per image.
        write_rate: bytes per second of WRITE, out of memory into the temporary folder; None if nothing was written.
        dim: numbers of an image's embeddings, of all encoders and views together.
        tables: bytes per sample of each table.
        memory: bytes, the largest resident size of the EMBED process.
        gpu_memory: bytes that torch had allocated on the GPU at most; None without a GPU.
        keeps: {score: {threshold: share of the readable images that it would keep}}, of the scores with a threshold.
        tops: {score: {share: the score from which on --keep_top would keep that share of them}}, of all scores.
    """

    device: str
    images: int
    rates: tuple[float, ...]
    start: float
    start_without_torch: float
    embed_start: float
    score_start: float
    score_seconds: float
    write_rate: float | None
    dim: int
    tables: dict[str, float]
    memory: int
    gpu_memory: int | None
    keeps: dict[str, dict[str, float]]
    tops: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Piece:
    """Some images on which EMBED is tried: the shards that hold them, and how many they are."""

    shards: tuple[Shard, ...]
    images: int


@dataclass(frozen=True)
class Run:
    """One run of EMBED: how many images it embedded in how many seconds."""

    images: int
    seconds: float


@dataclass(frozen=True)
class Pace:
    """How fast EMBED is: images per second of each of RUNS runs, the last of these, and what the first run of a process
    takes beyond its images at that rate, in seconds."""

    rates: tuple[float, ...]
    last: Run
    first: float


def try_out(counts: Sequence[ShardCount], models: ModelSelection, batch_size: int, seconds: float) -> Trial:
    """Embed, score and write a random choice of the images for about so many seconds, in a process of its own.

    Raises NotLoadedError if weights are missing or wrong, ModelError if a model gives what its protocol does not allow,
    UsageError for an unknown model, and PycurateError if the process is killed.
    """
    options = LoaderOptions.fill(None, models.device, batch_size, MAX_PIXELS, None)
    # What the user's own classes print must not get into the JSON of the command.
    own_process = ProcessPoolExecutor(1, get_context("spawn"), initializer=os.dup2, initargs=(2, 1))
    with TemporaryDirectory(prefix="pycurate-") as name, own_process as pool:
        try:
            pieces = make_pieces(counts, Path(name), options.batch_size)
            began = time.monotonic()
            return pool.submit(measure, Path(name), pieces, models, options, seconds, began).result()
        except BrokenProcessPool as error:
            raise PycurateError(
                "The trial of EMBED was killed, perhaps because it ran out of memory; run it on a larger node, "
                "or give --images-per-second."
            ) from error
        except (OSError, StorageError) as error:
            raise PycurateError(f"The trial failed on a file ({error}); if {name} is full, set TMPDIR.") from error


def make_pieces(counts: Sequence[ShardCount], folder: Path, batch_size: int) -> list[Piece]:
    """A random choice of the images as pieces of a batch each, in `folder`. No shard of a piece has a key twice."""
    hashes = np.concatenate([one.keys for one in counts])
    places = np.concatenate([one.places for one in counts])
    owner = np.repeat(np.arange(len(counts)), [len(one.keys) for one in counts])
    order = np.argsort(hashes, kind="stable")
    order = order[places[order, 1] > 0][:MOST_IMAGES]
    order = order[: max(1, int(np.searchsorted(np.cumsum(places[order, 1]), MOST_BYTES, side="right")))]
    # Shards may number their keys alike. Equal keys are neighbours in this order; dealt out they need fewer tars.
    count = -(-len(order) // batch_size)
    order = np.concatenate([order[first::count] for first in range(count)] or [order])
    pieces = []
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        repeats = _repeats(hashes[chosen])
        shards = []
        for repeat in range(int(repeats.max()) + 1):
            path = folder / "pieces" / f"{start:05}-{repeat:05}.tar"
            here = chosen[repeats == repeat]
            owners = np.unique(owner[here])
            _write_tar(path, [(counts[one].shard, places[here[owner[here] == one]].tolist()) for one in owners])
            shards.append(Shard(path.name, path, path.stat().st_size))
        pieces.append(Piece(tuple(shards), len(chosen)))
    return pieces


def _repeats(values: np.ndarray) -> np.ndarray:
    """For each of these how many equal ones come before it."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    found = np.empty(len(values), np.int64)
    found[order] = np.arange(len(values)) - np.searchsorted(ranked, ranked)
    return found


def _write_tar(path: Path, places: Sequence[tuple[Shard, list[tuple[int, int]]]]) -> None:
    """A tar of the samples that lie at these offsets, in so many bytes, of these shards."""
    with atomic(path) as temporary, open(temporary, "wb", buffering=0) as file, Output(file) as output:
        for shard, here in places:
            with Source(shard, [(offset, offset + size) for offset, size in here]) as source:
                copy_samples(source, output, [(offset, size, None) for offset, size in here])
        output.write(END)
        output.sha256()


def measure(
    results: Path,
    pieces: Sequence[Piece],
    models: ModelSelection,
    options: LoaderOptions,
    seconds: float,
    began: float,
) -> Trial:
    """The trial itself, in a fresh process that was started at `began` (time.monotonic); works in `results`."""
    start = time.monotonic() - began
    try:
        (encoders, pixel_scorers), load = _timed(lambda: (models.load_encoders(), models.load_pixel_scorers()))
        scorers, score_load = _timed(models.load_embedding_scorers)
    except ModelError as error:
        raise NotLoadedError(str(error)) from error

    code = "import pycurate.stages.write, pycurate.stages.score"
    _, without_torch = _timed(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    given = 0  # pieces so far; each run goes on where the last one ended

    def run(count: int) -> Run:
        nonlocal given
        chosen = [pieces[(given + at) % len(pieces)] for at in range(count)]
        given += count
        shards = [shard for piece in chosen for shard in piece.shards]
        named = [Shard(f"{at:06}.tar", shard.path, shard.bytes) for at, shard in enumerate(shards)]
        write_partitions(results, [named])
        _, spent = _timed(lambda: embed_partition(results, NUMBER, encoders, pixel_scorers, options, models.views))
        return Run(decoded(read_table(path_of(results, "samples", NUMBER), ["format"])), spent)

    pace = find_pace(run, seconds)
    memory = peak_memory()
    gpu = torch.device(models.device).type == "cuda"

    _, score = _timed(lambda: score_partition(results, NUMBER, models.pixel_scorer_classes(), scorers))
    decide(results, sources_of(results), Filtering(), Layout(), dedup=False)
    _, write = _timed(lambda: write_curated(results))
    written = sum(path.stat().st_size for path in paths_of(results, "tars").values())
    different = sum(piece.images for piece in pieces)
    tables = {kind: read_table(path_of(results, kind, NUMBER)) for kind in TABLES}
    tables["decisions"] = read_table(path_of(results, "decisions"))
    return Trial(
        device=device_name(models.device),
        images=min(different, RUNS * pace.last.images),
        rates=pace.rates,
        start=start,
        start_without_torch=without_torch,
        embed_start=start + load + pace.first,
        score_start=(start if scorers else without_torch) + score_load,
        score_seconds=score / pace.last.images,
        write_rate=written / write if written else None,
        dim=sum(models.views[kind] * encoder.dim for kind, encoder in encoders.items()),
        tables={kind: bytes_per_row(table.slice(0, different)) for kind, table in tables.items()},
        memory=memory,
        gpu_memory=torch.cuda.max_memory_allocated(models.device) if gpu else None,
        keeps=keeps(tables["scores"].slice(0, different)),
        tops=tops(tables["scores"].slice(0, different)),
    )


def decoded(samples: pa.Table) -> int:
    """How many images of these samples EMBED has looked at, whether they were readable or not."""
    return pc.sum(pc.greater(pc.utf8_length(samples["format"]), 0)).as_py() or 0


def keeps(scores: pa.Table) -> dict[str, dict[str, float]]:
    """{score: {threshold: share of these samples that it alone would keep}} of the scores that have a parameter."""
    found = {}
    for score in (score for score in optional_scores() if score in scores.column_names):
        kind = FILTERS[f"{score}_threshold"]
        usual = SMALL.get(score, USUAL) if scores.num_rows else ()
        found[score] = {f"{at:g}": float(kind.make(at).passes(scores).mean()) for at in usual}
    return found


def tops(scores: pa.Table) -> dict[str, dict[str, float]]:
    """{score: {share: the lowest score of that share of the samples that have it}}, raw scales apart."""
    found: dict[str, dict[str, float]] = {}
    for score in (score for score in scores.column_names if score != "uid" and not score.endswith("_raw")):
        values = scores[score].to_numpy()
        values = np.sort(values[~np.isnan(values)])[::-1]
        counts = {share: Top(score, Decimal(share)).count(len(values)) for share in SHARES}
        levels = {share: shortest(values[count - 1]) for share, count in counts.items() if count}
        found |= {score: levels} if levels else {}
    return found


def find_pace(run: Callable[[int], Run], seconds: float) -> Pace:
    """Call `run`, which embeds so many batches, for about so many seconds in all.

    It is given ever more batches until a run takes its share of the time, and then as many twice more. One batch, for
    the second time, tells what of a run does not grow with the images.
    """
    cold, least = run(1), run(1)
    count, grown = 1, least
    share = seconds / (RUNS + 1)  # the runs that lead there take about one share, too
    while grown.seconds < share:
        start = least.seconds if count > 1 else 0.0
        growth = 1.1 * (share - start) / max(grown.seconds - start, 1e-3)
        count = math.ceil(count * min(10, max(1.3, growth)))
        grown = run(count)
    runs = [grown] if count > 1 else []
    runs += [run(max(count, 2)) for _ in range(RUNS - len(runs))]
    rates = tuple(
        # Were the machine to stumble over the one batch, the difference would mean nothing.
        (one.images - least.images) / max(one.seconds - least.seconds, one.seconds / 10)
        for one in runs
    )
    return Pace(rates, runs[-1], max(0.0, cold.seconds - cold.images * len(rates) / sum(rates)))


def bytes_per_row(table: pa.Table) -> float:
    """What a row adds to a Parquet file of such rows; 0 of an empty table."""

    def size(part: pa.Table) -> int:
        sink = pa.BufferOutputStream()
        pq.write_table(part, sink, compression="zstd")
        return sink.getvalue().size

    return (size(table) - size(table.slice(0, 0))) / max(1, table.num_rows)


def device_name(device: str) -> str:
    """The GPU's name; of a CPU how many cores of it this process may use, and its name."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    match = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return f"{cores()} cores of {match[1]}" if match else f"{cores()} cores of {os.uname().machine}"


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began
