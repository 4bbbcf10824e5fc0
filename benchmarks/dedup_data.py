"""CLIP-like vectors for benchmarks/dedup.py, as the folders that EMBED and SCORE leave."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pycurate.results.layout import path_of
from pycurate.results.tables import SAMPLES, write_array, write_table
from pycurate.shards.samples import sample_uid


def clip_like(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """float16 (n, dim), unit length: mean cosine near 0.5, variance of direction i proportional to 1/i, a tenth copies.

    A copy is another vector of the set moved by noise, so that the cosine with it lies between 0.93 and 1.
    """
    random = np.random.default_rng(seed)
    spread = np.arange(1, dim + 1) ** -0.5
    spread /= np.linalg.norm(spread)
    mean = random.normal(size=dim)
    mean /= np.linalg.norm(mean)
    result = np.empty((n, dim), np.float16)
    for start in range(0, n, 65536):
        block = random.normal(size=(min(65536, n - start), dim)) * spread + mean
        result[start : start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
    copies = random.permutation(n)[: n // 10]
    originals = random.integers(0, n, len(copies))
    noise = random.normal(size=(len(copies), dim)) / np.sqrt(dim)
    moved = result[originals] + noise * np.sqrt(random.uniform(0, 0.15, (len(copies), 1)))
    result[copies] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return result


def write_results(folder: Path, vectors: np.ndarray, per_partition: int = 50_000) -> Path:
    """samples/, scores/ and img_emb/ of these vectors, with scores at random."""
    random = np.random.default_rng(1)
    for number, start in enumerate(range(0, len(vectors), per_partition)):
        part = vectors[start : start + per_partition]
        rows = np.arange(len(part))
        keys = [f"{start + row:09d}" for row in rows.tolist()]
        uids = pa.array([sample_uid("made.tar", key) for key in keys])
        columns = {
            "uid": uids,
            "shard": ["made.tar"] * len(part),
            "key": keys,
            "tar_offset": start + rows,
            "sha256": [2 * sample_uid("content", key) for key in keys],
            "width": np.full(len(part), 512),
            "height": np.full(len(part), 512),
            "status": ["ok"] * len(part),
            "row": rows,
        }
        table = pa.table(
            {
                f.name: pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(len(part), f.type)
                for f in SAMPLES
            }
        )
        name = f"{number:05d}"
        write_table(path_of(folder, "samples", name), table)
        write_table(
            path_of(folder, "scores", name), pa.table({"uid": uids, "aesthetic": random.random(len(part), np.float32)})
        )
        write_array(path_of(folder, "img_emb", name), part)
    return folder
