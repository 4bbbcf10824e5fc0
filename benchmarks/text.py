#!/usr/bin/env python3
"""What --text_area and --clip_score_masked add to EMBED on a CPU: its CPU time with and without, in alternating rounds.

PYTHONPATH=tests/support, since the encoder is a ViT-B/32 with random weights.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from tiny_clip import save_random

from pycurate.models.builtin.text_area import TextArea
from pycurate.models.presets import load_encoder
from pycurate.models.protocols import Encoder, PixelScorer
from pycurate.models.selection import select_models
from pycurate.results.partitions import write_partitions
from pycurate.shards.listing import search
from pycurate.stages.embed import LoaderOptions, embed_partition


@click.command(help=__doc__)
@click.argument("shards", type=click.Path(exists=True))
@click.option("--rounds", default=3, show_default=True)
def main(shards: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_partitions(folder, [search(shards).shards])
        light, text = select_models("light", folder, device="cpu"), TextArea(folder, "cpu")
        encoders, scorers = light.load_encoders(), light.load_pixel_scorers()
        save_random("ViT-B-32-quickgelu", folder / "random.safetensors")
        clip = load_encoder(f"ViT-B-32-quickgelu/{folder}/random.safetensors", folder, "cpu")
        ways: dict[str, tuple[Mapping[str, Encoder], Sequence[PixelScorer]]] = {
            "light": (encoders, scorers),
            "light, text_area": (encoders, [*scorers, text]),
            "ViT-B/32": ({"img_emb": clip}, []),
            "ViT-B/32, text_area": ({"img_emb": clip}, [text]),
            "ViT-B/32, clip_score_masked": ({"img_emb": clip, "masked_emb": clip}, [text]),
        }
        options = LoaderOptions.fill("cpu", "cpu", 100, 10**9, None)
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds + 1):
            for way, models in ways.items():
                start = time.process_time()
                embed_partition(folder, "00000", *models, options)
                taken[way].append(time.process_time() - start)
        for way, seconds in taken.items():
            first = taken[way.partition(",")[0]][1:]
            ratio = statistics.median(one / other for one, other in zip(seconds[1:], first, strict=True))
            print(f"{way:30} {statistics.median(seconds[1:]):6.1f} cpu-s {ratio:6.2f} times")


if __name__ == "__main__":
    main()
