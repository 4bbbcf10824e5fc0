"""What headers tell of a shard is what EMBED finds in it."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from pycurate.estimate.sampling import Interval
from pycurate.estimate.survey import survey
from pycurate.images.decode import MAX_PIXELS
from pycurate.images.views import View
from pycurate.results.layout import path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.tables import read_table
from pycurate.shards.listing import find_shards
from pycurate.stages.embed import LoaderOptions, embed_partition

ONLY_DECODING_TELLS = {"truncated", "corrupt", "too_large"}  # the last of them by its pixels


class MeanColour:
    """An encoder for tests that are about counts."""

    name, dim, view = "mean", 3, View(8, 8)

    def __init__(self, model_dir: Path, device: str) -> None: ...

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean(dim=(2, 3))


@pytest.mark.parametrize("name", ["demo", "shared_images"])
def test_counts_are_those_of_embed(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shards = find_shards(str(request.getfixturevalue(name)))
    write_partitions(tmp_path, [shards])
    options = LoaderOptions.fill(None, "cpu", 100, MAX_PIXELS, None)
    embed_partition(tmp_path, "00000", {"img_emb": MeanColour(tmp_path, "cpu")}, [], options)
    rows = read_table(path_of(tmp_path, "samples", "00000"), ["shard", "error", "format", "caption"]).to_pylist()

    held = survey(shards, None)
    assert held.samples == Interval(len(rows), len(rows), len(rows))
    by_shard = Counter(row["shard"] for row in rows)
    assert {one.shard.name: one.samples for one in held.counts} == by_shard
    told = Counter(row["error"] for row in rows if row["error"] and row["error"] not in ONLY_DECODING_TELLS)
    assert sum((one.errors for one in held.counts), Counter[str]()) == told
    images = len(rows) - told.total()
    assert held.images == Interval(images, images, images)
    formats = sum((one.formats for one in held.counts), Counter[str]())
    assert +Counter({key: number for key, number in formats.items() if key}) == Counter(
        row["format"] for row in rows if row["format"]
    )
