"""Curated tars as DALI and webdataset read them, for tests."""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from nvidia.dali import Pipeline, fn

from pycurate.shards.dali_index import index_path


def wds2idx(tar: Path, index: Path) -> bytes:
    """What DALI's own tool writes for a tar. It asks tar, which prints names as the locale allows."""
    env = os.environ | {"LC_ALL": "C.UTF-8"}
    subprocess.run(["wds2idx", tar, index], env=env, check=True, stdout=subprocess.DEVNULL)
    return index.read_bytes()


def by_dali(tars: list[Path], extensions: list[str]) -> list[list[bytes]]:
    """The bytes of these members of every sample, through DALI's reader and the tars' indices; empty where missing."""

    pipeline = Pipeline(batch_size=1, num_threads=1, device_id=None)
    with pipeline:
        members: Any = fn.readers.webdataset(
            paths=[str(tar) for tar in tars],
            index_paths=[str(index_path(tar)) for tar in tars],
            ext=extensions,
            missing_component_behavior="empty",
            name="reader",
        )
        pipeline.set_outputs(*members)
    pipeline.build()
    count = pipeline.reader_meta("reader")["epoch_size"]
    return [[bytes(np.array(member[0])) for member in pipeline.run()] for _ in range(count)]


def by_webdataset(tars: list[Path], extensions: list[str]) -> list[list[bytes]]:
    dataset = webdataset.WebDataset([str(tar) for tar in tars], shardshuffle=False)
    return [[sample.get(extension, b"") for extension in extensions] for sample in dataset]
