#!/usr/bin/env python3
"""Measure deduplication against brute force and against one-cluster-only k-means, and how its cost grows.

Vectors are CLIP-like (see dedup_data.py). Brute force of `speed` is plain: torch in float32 over blocks of the upper
triangle, timed on a part and scaled, since it is quadratic (`--whole` runs all of it); `sizes` compares with the best
brute force that we know (dedup_brute.py). Each search is a process of its own, so that its peak
memory is its own. Seconds are wall time; cpu-s are those of all threads, which other work on the machine disturbs less.
"""

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from dedup_data import clip_like, write_results
from dedup_ways import WAYS, homes_by_faiss, k_means_by_torch

from pycurate.dedup.brute_force import check_decisions
from pycurate.dedup.cells import Cells, distance_at, visits
from pycurate.dedup.fit import most_cells
from pycurate.dedup.keys import directions_of, keys_of
from pycurate.dedup.kmeans import k_means
from pycurate.dedup.pairs import read_pairs
from pycurate.dedup.partitions import embeddings_of, sources_of
from pycurate.dedup.settings import Settings
from pycurate.dedup.train import train
from pycurate.dedup.vectors import as_compared, similarity
from pycurate.filters.filtering import Filtering
from pycurate.hardware import computes_bf16
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table
from pycurate.stages import dedup
from pycurate.stages.decide import decide

DEFAULT = next(iter(WAYS))
DIM = 512
BLOCK = 4096


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds and cpu-s of a call."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - cpu


def brute_force(vectors: np.ndarray, threshold: float, rows: int) -> tuple[float, float]:
    """Seconds and cpu-s of comparing all with all, from those of `rows` rows in the middle of the triangle's height."""
    wide = torch.nn.functional.normalize(torch.from_numpy(vectors).float(), dim=1)
    whole = len(wide) * (len(wide) - 1) / 2
    first = 0 if rows >= len(wide) else (len(wide) - rows) // 2
    done = 0

    def work() -> None:
        nonlocal done
        for start in range(first, min(first + rows, len(wide)), BLOCK):
            block = wide[start : min(start + BLOCK, first + rows)]
            for other in range(start, len(wide), BLOCK):
                torch.nonzero(block @ wide[other : other + BLOCK].T >= threshold)
            done += sum(len(wide) - row for row in range(start, start + len(block)))

    wall, cpu = timed(work)
    return wall * whole / done, cpu * whole / done


@click.group()
def main() -> None:
    """Benchmarks of deduplication."""


@main.command()
@click.argument("folder", type=Path)
@click.argument("threshold", type=float)
@click.option("--way", type=click.Choice(list(WAYS)), default=DEFAULT, show_default=True)
def search(folder: Path, threshold: float, way: str) -> None:
    """One exact search over the results in FOLDER: its steps' seconds, cpu-s and peak memory, as JSON."""
    WAYS[way]()
    sources = sources_of(folder)
    steps: dict[str, dict[str, float]] = {}

    def step(name: str, work: Callable[[], object]) -> None:
        wall, cpu = timed(work)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        steps[name] = {"s": wall, "cpu": cpu, "peak_gib": memory}

    step("train", lambda: train(folder, sources, Settings(threshold, exact=True)))
    cells = Cells.load(path_of(folder, "cells"))
    embeddings = embeddings_of(sources)

    def assign() -> None:
        for source in sources:
            dedup.assign(source, folder, cells)

    def match() -> None:
        for bucket in range(len(cells.buckets) - 1):
            dedup.match(folder, bucket, cells, embeddings, ())

    step("assign", assign)
    step("match", match)
    step("decide", lambda: decide(folder, sources, Filtering(), None, dedup=True))
    decisions = hashlib.sha256((folder / "decisions.parquet").read_bytes()).hexdigest()
    visits = sum(len(np.load(path, mmap_mode="r")) for path in (folder / "assigned").glob("*.npy"))
    size = sum(path.stat().st_size for path in (folder / "assigned").glob("*.npy"))
    found = {"steps": steps, "visits": visits, "bytes": size, "cells": len(cells.centres), "decisions": decisions}
    print(json.dumps(found))


def run_search(folder: Path, threshold: float, way: str = DEFAULT) -> dict:
    """`search` in a process of its own."""
    words = [sys.executable, __file__, "search", str(folder), str(threshold), "--way", way]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def cpu_of(found: dict, step: str | None = None) -> float:
    """The cpu-s of one step of a search, or of all."""
    return sum(one["cpu"] for name, one in found["steps"].items() if step in (None, name))


def report(samples: int, threshold: float, found: dict) -> tuple[float, float]:
    """Print one search; its seconds and cpu-s."""
    steps = found["steps"]
    wall, cpu = (sum(step[unit] for step in steps.values()) for unit in ("s", "cpu"))
    print(
        f"{samples} at {threshold}: {wall:.1f} s, {cpu:.1f} cpu-s; {found['cells']} cells, "
        f"{found['visits'] / samples:.1f} visits and {found['bytes'] / samples:.0f} bytes per vector"
    )
    for name, step in steps.items():
        print(f"    {name:8} {step['s']:7.1f} s {step['cpu']:7.1f} cpu-s, peak so far {step['peak_gib']:.2f} GiB")
    return wall, cpu


@main.command()
@click.option("--samples", default=200_000, show_default=True)
@click.option("--rows", default=8192, show_default=True, help="Rows of brute force that are timed.")
@click.option("--whole", is_flag=True, help="Time all rows.")
@click.option("--check/--no-check", default=True, show_default=True, help="Compare all kept pairs, too.")
def speed(samples: int, rows: int, whole: bool, check: bool) -> None:
    """Exact search at 0.99 and 0.95 against brute force."""
    with tempfile.TemporaryDirectory() as name:
        vectors = clip_like(samples, DIM)
        folder = write_results(Path(name), vectors)
        for threshold in (0.99, 0.95):
            wall, cpu = report(samples, threshold, run_search(folder, threshold))
            slow, slow_cpu = brute_force(vectors, threshold, samples if whole else rows)
            print(
                f"    brute force {slow:.1f} s, {slow_cpu:.1f} cpu-s: {slow / wall:.1f} and {slow_cpu / cpu:.1f} times"
            )
            if check:
                sources = sources_of(folder)
                decide(folder, sources, Filtering(), None, dedup=True)
                done = check_decisions(sources, read_table(path_of(folder, "decisions")), threshold)
                print(f"    checked: {done.pairs} pairs of kept vectors, {done.duplicates} duplicates; none missed")


@main.command()
@click.option("--samples", default=200_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Searches per way, alternating; the fastest counts.")
def ways(samples: int, rounds: int) -> None:
    """Time complete exact searches with centres and home cells by faiss and by torch, next to the default."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_results(Path(name), clip_like(samples, DIM))
        for threshold in (0.99, 0.95):
            found: dict[str, list[dict]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way, searches in found.items():
                    searches.append(run_search(folder, threshold, way))
            if len({one["decisions"] for searches in found.values() for one in searches}) > 1:
                sys.exit("The ways lead to different decisions.")
            best = {
                way: {step: min(cpu_of(one, step) for one in searches) for step in ("train", "assign", None)}
                for way, searches in found.items()
            }
            cells = found[DEFAULT][0]["cells"]
            print(f"{samples} at {threshold}, {cells} cells, equal decisions; cpu-s, and as multiples of {DEFAULT!r}:")
            for way, cpu in best.items():
                shown = (f"{step or 'all'} {s:.1f} ({s / best[DEFAULT][step]:.2f})" for step, s in cpu.items())
                print(f"    {way}: {', '.join(shown)}")


def process(*words: object) -> tuple[float, float]:
    """Seconds and cpu-s of a process, with its imports."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@main.command()
@click.option("--samples", "counts", multiple=True, default=(1_000, 3_000, 10_000, 30_000, 100_000), show_default=True)
@click.option("--dim", default=DIM, show_default=True)
@click.option("--threshold", "thresholds", multiple=True, default=(0.95, 0.99), show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Of all ways, alternating; the fastest of each counts.")
def sizes(counts: tuple[int, ...], dim: int, thresholds: tuple[float, ...], rounds: int) -> None:
    """The whole of `dedup.py pairs`, exact, against the best brute force, as processes with their imports."""
    program, peer = Path(__file__).parent.parent / "bin" / "dedup.py", Path(__file__).with_name("dedup_brute.py")
    slower = "fp32" if computes_bf16() else "bf16"  # of large sets
    for samples in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = write_results(Path(name), clip_like(samples, dim))
            for threshold in thresholds:
                search = (
                    program,
                    "pairs",
                    "--results",
                    name,
                    "--dedup-threshold",
                    threshold,
                    "--dedup-recall",
                    "exact",
                )
                ways: dict[str, tuple[object, ...]] = {"search": search}
                ways |= {
                    way: (peer, name, threshold, "--way", way)
                    for way in ("numpy", "fp32", "bf16")
                    if (samples < 20_000 or way != "numpy") and (samples <= 100_000 or way != slower)
                }
                taken = [{way: process(*words) for way, words in ways.items()} for _ in range(rounds)]
                # Fewer than the peer's only where a list is cut; twice where two met in both of their cells.
                table = read_pairs(folder)[1]
                found = len(np.unique(np.stack([table["later"].to_numpy(), table["earlier"].to_numpy()]), axis=1).T)
                equal = {len(np.load(folder / f"brute_{way}.npy")) for way in ways if way != "search"}
                best = {way: min(one[way][1] for one in taken) for way in ways}
                peers = min((cpu, way) for way, cpu in best.items() if way != "search")
                shown = ", ".join(
                    f"{way} {min(one[way][0] for one in taken):.2f} s {cpu:.2f} cpu-s" for way, cpu in best.items()
                )
                print(
                    f"{samples} x {dim} at {threshold}: {shown}; search is {best['search'] / peers[0]:.2f} of the best "
                    f"brute force ({peers[1]}) by cpu-s; pairs {found}, brute force {sorted(equal)}",
                    flush=True,
                )


def visits_of(keys: torch.Tensor, centres: torch.Tensor) -> None:
    """As ASSIGN asks for them."""
    for block in keys.split(8192):
        visits(block, centres, distance_at(0.99) / 2)


@main.command()
@click.option("--samples", default=32_768, show_default=True)
def centres(samples: int) -> None:
    """The k-means of TRAIN, and the search among centres of ASSIGN, by faiss and by torch: cpu-s."""
    vectors = as_compared(clip_like(samples, DIM))
    keys = torch.from_numpy(keys_of(vectors, directions_of(vectors)[:, :63]))
    for cells in (64, 256, 1024, 4096):
        placed = k_means(keys, cells, 1)
        ways: dict[str, Callable[[], object]] = {
            "k-means, torch": partial(k_means_by_torch, keys, cells, 4),
            "k-means, faiss": partial(k_means, keys, cells, 4),
            "homes and visits, torch": partial(visits_of, keys, placed),
            "homes only, faiss": partial(homes_by_faiss, keys, placed),
        }
        times = {name: min(timed(way)[1] for _ in range(3)) for name, way in ways.items()}
        print(f"{cells} cells: " + ", ".join(f"{name} {1000 * cpu:.0f} ms" for name, cpu in times.items()))


@main.command()
@click.option("--largest", default=400_000, show_default=True)
@click.option("--threshold", default=0.99, show_default=True)
def growth(largest: int, threshold: float) -> None:
    """Time and memory from an eighth of the largest set on, doubling."""
    times = []
    for samples in (largest // 8, largest // 4, largest // 2, largest):
        with tempfile.TemporaryDirectory() as name:
            folder = write_results(Path(name), clip_like(samples, DIM))
            times.append((samples, *report(samples, threshold, run_search(folder, threshold))))
    (n, wall, cpu), (m, more, more_cpu) = times[0], times[-1]
    power = np.log(np.array([more / wall, more_cpu / cpu])) / np.log(m / n)
    print(f"from {n} to {m}: seconds grow as n^{power[0]:.2f}, cpu-s as n^{power[1]:.2f}")


@main.command()
@click.option("--samples", default=50_000, show_default=True)
@click.option("--threshold", default=0.95, show_default=True)
def clusters(samples: int, threshold: float) -> None:
    """Pairs found by comparing only within k-means cells, as the usual tools do, of all that there are."""
    vectors = as_compared(clip_like(samples, DIM))
    wide = torch.nn.functional.normalize(torch.from_numpy(vectors).float(), dim=1)
    pairs = []
    for start in range(0, samples, BLOCK):
        for other in range(start, samples, BLOCK):
            close = wide[start : start + BLOCK] @ wide[other : other + BLOCK].T >= threshold - 1e-4
            i, j = (torch.nonzero(close) + torch.tensor([start, other])).numpy().T
            pairs.append(np.stack([i, j], axis=1)[i < j])
    i, j = np.concatenate(pairs).T
    alike = similarity(vectors[i], vectors[j]) >= np.float32(threshold)
    i, j = i[alike], j[alike]
    with tempfile.TemporaryDirectory() as name:
        folder = write_results(Path(name), vectors)
        sources = sources_of(folder)
        dedup.find_pairs(folder, sources, Settings(threshold, exact=True))
        found = read_pairs(folder)[1]
    low, high = (found[side].to_numpy() for side in ("later", "earlier"))
    ours = len(np.unique(np.sort(np.stack([low, high], axis=1), axis=1), axis=0))
    print(f"{samples} at {threshold}: {len(i)} pairs in all; found {ours}, exact")
    for cells in (most_cells(samples) // 4, most_cells(samples), 4 * most_cells(samples)):
        centres = k_means(wide[:32768], cells)
        home = (wide @ centres.T - (centres * centres).sum(dim=1) / 2).argmax(dim=1).numpy()
        same = int((home[i] == home[j]).sum())
        print(f"    within one of {cells} k-means cells only: {same} ({100 * same / len(i):.1f} %)")


if __name__ == "__main__":
    main()
