#!/usr/bin/env python3
"""What a duplicate descriptor costs EMBED: the rate of `light` with it, as a share of the rate without it.

EMBED runs on a shard of photographs without the descriptor and with it, from the tar to the tables. Both take turns,
since the machine's speed drifts; shown are the medians of the rounds' ratios.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from copies import MEASURED, SHARED, photographs
from stages import make_shard

from pycurate.models.presets import load_encoder
from pycurate.models.protocols import Encoder, PixelScorer
from pycurate.models.selection import select_models
from pycurate.results.partitions import write_partitions
from pycurate.shards.listing import find_shards
from pycurate.stages.embed import LoaderOptions, embed_partition
from pycurate.stages.partition import partition


def run(folder: Path, encoders: Mapping[str, Encoder], scorers: Sequence[PixelScorer]) -> tuple[float, float]:
    """Seconds that EMBED takes for the shard in the folder: of the clock, of the CPU."""
    began = time.perf_counter(), time.process_time()
    embed_partition(folder, "00000", encoders, scorers, LoaderOptions.fill(None, "cpu", 100, 1 << 30, None))
    return time.perf_counter() - began[0], time.process_time() - began[1]


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--images", default=300, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--descriptor", default="light-copy", show_default=True)
def main(folders: tuple[Path, ...], images: int, rounds: int, descriptor: str) -> None:
    found = (data for _, data in photographs(folders or [SHARED]))
    files = list(itertools.islice(itertools.cycle(found), images))
    light = select_models("light", Path("models"), device="cpu")
    encoder, scorers = load_encoder(light.encoder, Path("models"), "cpu"), light.load_pixel_scorers()
    added = load_encoder(MEASURED[descriptor][0], Path("models"), "cpu")
    ways = {"without": {"img_emb": encoder}, "with": {"img_emb": encoder, "dedup_emb": added}}
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_shard(folder / "in" / "00000.tar", files)
        write_partitions(folder, partition(find_shards(str(folder / "in")), 1 << 40))
        run(folder, ways["with"], scorers)
        for number in range(rounds):
            order = list(ways) if number % 2 else list(reversed(ways))
            took = {way: run(folder, ways[way], scorers) for way in order}
            ratios.append([without / beside for without, beside in zip(took["without"], took["with"], strict=True)])
            each = "; ".join(
                f"{way} {1000 * cpu / images:.1f} cpu-ms, {images / wall:.1f} images/s"
                for way, (wall, cpu) in sorted(took.items())
            )
            print(f"{each}; ratio of rates {ratios[-1][0]:.3f} by the clock, {ratios[-1][1]:.3f} by CPU time")
    clock, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"median: {clock:.3f} by the clock, {cpu:.3f} by CPU time")


if __name__ == "__main__":
    main()
