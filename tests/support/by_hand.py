"""Stages called script by script on a small set, with models whose results numpy can compute."""

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import Image
from tars import Member, write_tar

from scripts import called

SIDE = 8
CLASSES = f"""
from pycurate.images.views import View
class Mean:
    name, dim, view = "mean", 3, View({SIDE}, {SIDE})
    def __init__(self, model_dir, device): ...
    def encode(self, pixels): return pixels.float().mean((2, 3)) + 1
class Bright:
    name, view = "bright", View({SIDE}, {SIDE})
    def __init__(self, model_dir, device): ...
    def score(self, pixels, images): return pixels.float().mean((1, 2, 3)).numpy()
class First:
    name = "first"
    def __init__(self, model_dir, device): ...
    def score(self, embeddings): return embeddings[:, 0]
class Even:
    reason = "even"
    def passes(self, table): return table["key"].cast("int64").to_numpy() % 2 == 0
"""


def pixels(number: int) -> np.ndarray:
    """uint8 (SIDE, SIDE, 3), the picture of this number."""
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def make_set(folder: Path, shards: list[list[int | bytes]]) -> None:
    """Shards of pictures by number, or of what stands in an image's place, and own.py with the classes; partitions."""
    for shard, content in enumerate(shards):
        members: list[Member] = []
        for key, one in enumerate(content):
            data = io.BytesIO()
            if isinstance(one, int):
                Image.fromarray(pixels(one)).save(data, "PNG")
            members.append((f"{key:03}.png", one if isinstance(one, bytes) else data.getvalue()))
        write_tar(folder / "shards" / f"{shard:05}.tar", members)
    (folder / "own.py").write_text(CLASSES)
    call(folder, "partition", "--input", "shards", "--partition-bytes", "1")


def call(folder: Path, name: str, *words: object, code: int = 0) -> str:
    """What a script said on stderr, called in the folder and in this process; `code` is how it has to end."""
    with contextlib.chdir(folder):
        done = called(name, *words)
    assert done.exit_code == code, done.output
    return done.stderr


MODELS = ("--model-dir", "models", "--encoder", "own.py:Mean", "--pixel-scorer", "own.py:Bright", "--device", "cpu")
