#!/usr/bin/env python3
"""EMBED and WRITE from a local S3 server (moto) against a folder, which take turns within a round.

The server is a process on the same machine, whose cores it shares. Every figure is the median of the rounds.
"""

import logging
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import boto3
import click
from loader import photographs
from stages import ROOT, make_shard, plan_half, seconds

from pycurate.models.selection import select_models
from pycurate.results.partitions import write_partitions
from pycurate.shards.listing import find_shards
from pycurate.stages.embed import LoaderOptions, embed_partition
from pycurate.stages.write import write_curated

KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}


@contextmanager
def bucket(folder: Path) -> Iterator[str]:
    """The address of a bucket with the shards of a folder."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        os.environ.update(KEYS, AWS_ENDPOINT_URL=url)
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        client.create_bucket(Bucket="bench")
        for path in folder.glob("*.tar"):
            client.upload_file(str(path), "bench", path.name)
        yield "s3://bench"
    finally:
        server.terminate()
        server.wait()


def compare(name: str, ways: dict[str, Callable[[], object]], rounds: int, bound: str) -> None:
    """Print the seconds of both ways and the folder's over the store's."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, work in ways.items():
            spent = seconds(work)
            if turn:
                times[way].append(spent)
    for way, spans in times.items():
        print(f"{name} from {way:8} {statistics.median(spans):8.2f} s")
    ratios = [local / store for local, store in zip(times["folder"], times["S3"], strict=True)]
    print(f"{name}: folder / S3   {statistics.median(ratios):8.2f}  {bound}\n")


@click.command(help=__doc__)
@click.option("--count", default=400, show_default=True, help="Images of a round.")
@click.option("--rounds", default=5, show_default=True)
def main(count: int, rounds: int) -> None:
    logging.disable(logging.INFO)
    files = photographs(sorted((ROOT.parent / "shared" / "images").glob("*.tar")), count)
    models = select_models("light", Path())
    encoders, scorers = models.load_encoders(), models.load_pixel_scorers()
    options = LoaderOptions.fill(None, models.device, 100, 1 << 30, None)
    with tempfile.TemporaryDirectory() as name:
        shards = Path(name) / "in"
        for number in range(2):
            make_shard(shards / f"{number:05}.tar", files[number::2])
        with bucket(shards) as address:
            embed: dict[str, Callable[[], object]] = {}
            write: dict[str, Callable[[], object]] = {}
            for way, source in (("folder", str(shards)), ("S3", address)):
                results = Path(name) / way
                write_partitions(results, [find_shards(source)])
                embed[way] = partial(embed_partition, results, "00000", encoders, scorers, options)
                plan_half(results / "write", find_shards(source))
                write[way] = partial(write_curated, results / "write")
            compare("EMBED", embed, rounds, "(to reach: 0.95)")
            compare("WRITE of half", write, rounds, "")


if __name__ == "__main__":
    main()
