#!/usr/bin/env python3
"""Whole runs, from shards to the report, stage by stage: the fixed cost of ten images, and a thousand photographs.

A thousand are held against what the parts of EMBED allow (see stages.py). Photographs that occur more than once are
dropped as duplicates, so that WRITE has less to do; give shards of a thousand for a set in which they do not.
"""

import csv
import subprocess
import tempfile
import time
from pathlib import Path

import click
from loader import photographs
from stages import bench_embed, make_shard

from pycurate.models.selection import select_models

ROOT = Path(__file__).resolve().parent.parent
SHARD = 250  # photographs in each


def whole_run(folder: Path, files: list[bytes]) -> float:
    """Seconds of a run of `light` with deduplication on these photographs; prints what its tasks took."""
    for start in range(0, len(files), SHARD):
        make_shard(folder / "shards" / f"{start:06}.tar", files[start : start + SHARD])
    command = ["nextflow", "run", str(ROOT / "main.nf"), "--input", "shards", "--dedup", "true"]
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    spent = time.perf_counter() - began
    with open(folder / "results" / "pipeline_info" / "trace.txt", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    print(f"A run on {len(files)} photographs")
    for row in rows:
        print(f"{row['name']:24} {row['realtime']:>8}   peak memory {row['peak_rss']:>9}")
    print(f"{'the whole run':24} {spent:7.1f}s, {len(files) / spent:.1f} images/s")
    return spent


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--images", default=1000, show_default=True)
def main(shards: tuple[Path, ...], images: int) -> None:
    files = photographs([*shards] or sorted((ROOT.parent / "shared" / "images").glob("*.tar")), images)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole_run(folder / "ten", files[:10])
        print("(to reach: 10 s)\n")
        spent = whole_run(folder / "many", files)
        models = select_models("light", Path.home() / ".cache" / "pycurate" / "light")
        rate = bench_embed(folder / "parts", models, files[:300], 3)
        print(f"a run on {images} took {spent * rate / images:.2f} of what EMBED's parts alone allow  (to reach: 1.6)")


if __name__ == "__main__":
    main()
