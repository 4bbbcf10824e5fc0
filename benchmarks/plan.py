#!/usr/bin/env python3
"""How long PARTITION, and planning and submitting EMBED's tasks, take for many partitions, and Nextflow's memory.

Tiny shards, one a partition, on the test cluster of tests/support/slurm with its GPU partition closed: Nextflow makes
each task's folder and script and submits all of them in job arrays, and none starts.
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from flows import Flow, environment, site_file  # noqa: E402
from slurm.cluster import Cluster  # noqa: E402

EMPTY_TAR = bytes(10240)


def make_shards(folder: Path, count: int) -> None:
    for number in range(count):
        shard = folder / f"{number // 1000:04d}" / f"{number:07d}.tar"
        shard.parent.mkdir(parents=True, exist_ok=True)
        shard.write_bytes(EMPTY_TAR)


def peak_memory(pid: int) -> int:
    """The most memory that a process has had at a time, MB."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match
    return int(match[1]) // 1024


@click.command()
@click.option("--partitions", default=10_000, show_default=True, type=click.IntRange(1))
def main(partitions: int) -> None:
    """Print seconds and MB as JSON."""
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name) / "slurm") as cluster:
        make_shards(Path(name) / "shards", partitions)
        cluster.run("scontrol", "update", "partitionname=gpu", "state=down")
        options = ("--input", f"{name}/shards", "--partition_bytes", "1", "--model_dir", f"{name}/models")
        flow = Flow(Path(name) / "flow", options, environment(cluster.env))
        site = site_file(flow.folder, slurm_queue_size=2 * partitions, slurm_submit_rate="100/1sec")
        running = flow.start("-profile", "slurm", *site)
        began, submitted, first = time.monotonic(), 0, 0.0
        while submitted < partitions:
            if running.poll() is not None:
                raise SystemExit(flow.text)
            time.sleep(1)
            submitted = flow.text.count("Submitted process > EMBED")
            if submitted and not first:
                first = time.monotonic() - began
        figures = {
            "partitions": partitions,
            "first submitted after, s": round(first),
            "all submitted after, s": round(time.monotonic() - began),
            "memory of Nextflow, MB": peak_memory(running.pid),
        }
        running.kill()
        running.wait()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
