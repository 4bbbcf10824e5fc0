#!/usr/bin/env python3
"""What a duplicate descriptor costs EMBED: the rate of `light` with it, as a share of the rate without it.

Decoding and all models of `light`, for photographs in memory, without and with the descriptor as a second encoder of
the same decode. Both take turns, since the machine's speed drifts; shown are the medians of the rounds' ratios.
"""

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import click
from copies import MEASURED, SHARED, photographs

from pycurate.images.loader import Loader
from pycurate.models.batching import Rows, one_behind, start_encode, start_score
from pycurate.models.presets import find_preset, load_encoder, load_scorer
from pycurate.models.protocols import Encoder, PixelScorer
from pycurate.stages.embed import CPU_BATCH


def run(files: Sequence[bytes], encoders: Sequence[Encoder], scorers: Sequence[PixelScorer]) -> tuple[float, float]:
    """Seconds that all models take for these files, decoding included: of the clock, of the CPU."""
    began = time.perf_counter(), time.process_time()
    views = [*(one.view for one in encoders), *(one.view for one in scorers)]
    with Loader(views, batch_size=CPU_BATCH) as loader:

        def started() -> Iterator[list[Rows]]:
            for batch in loader.batches(enumerate(files)):
                uids, pixels = ["x"] * len(batch.items), iter(batch.pixels)
                yield [
                    *(start_encode(one, next(pixels), "bench", uids) for one in encoders),
                    *(start_score(one, next(pixels), batch.images, "bench", uids) for one in scorers),
                ]

        for rows in one_behind(started()):
            for finish in rows:
                finish()
    return time.perf_counter() - began[0], time.process_time() - began[1]


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--images", default=300, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--descriptor", default="light-copy", show_default=True)
def main(folders: tuple[Path, ...], images: int, rounds: int, descriptor: str) -> None:
    found = (data for _, data in photographs(folders or [SHARED]))
    files = list(itertools.islice(itertools.cycle(found), images))
    light = find_preset("light")
    encoder = load_encoder(light.encoder, Path("models"), "cpu")
    scorers = [
        cast(PixelScorer, load_scorer(spec, Path("models"), "cpu", light.encoder)) for spec in light.scorers.values()
    ]
    added = load_encoder(MEASURED[descriptor][0], Path("models"), "cpu")
    run(files[:40], [encoder, added], scorers)
    ratios = []
    for number in range(rounds):
        ways = {"without": [encoder], "with": [encoder, added]}
        order = list(ways) if number % 2 else list(reversed(ways))
        took = {way: run(files, ways[way], scorers) for way in order}
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
