#!/usr/bin/env python3
"""The fixed cost of a run: ten images through the whole workflow, stage by stage."""

import csv
import subprocess
import tempfile
import time
from pathlib import Path

from loader import photographs
from stages import make_shard

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    beside = ROOT.parent / "shared" / "images"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_shard(folder / "shards" / "00000.tar", photographs(sorted(beside.glob("*.tar")), 10))
        command = ["nextflow", "run", str(ROOT / "main.nf"), "--input", "shards", "--dedup", "true"]
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        whole = time.perf_counter() - began
        with open(folder / "results" / "pipeline_info" / "trace.txt", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    print("A run on ten images")
    for row in rows:
        print(f"{row['name']:24} {row['realtime']:>8}   peak memory {row['peak_rss']:>9}")
    print(f"{'the whole run':24} {whole:7.1f}s")


if __name__ == "__main__":
    main()
