"""Sets of vectors for the tests of DEDUP, as EMBED and SCORE leave them, and their decisions by brute force."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from curated import decide

from pycurate.dedup.keys import directions_of, keys_of
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.dedup.vectors import as_compared, similarity
from pycurate.filters.filtering import Filtering
from pycurate.results.layout import path_of
from pycurate.results.tables import SAMPLES, read_table, write_array, write_table
from pycurate.shards.samples import sample_uid
from pycurate.stages.dedup import find_pairs

torch.set_num_threads(1)  # the sets are so small that threads would only wait for each other


@dataclass
class Samples:
    """n samples in input order: vectors float (n, dim) or (n, views, dim), content (byte-equal where equal); scores,
    pixels, and what was lost (n,)."""

    vectors: np.ndarray
    content: np.ndarray
    aesthetic: np.ndarray
    nsfw: np.ndarray
    width: np.ndarray
    detail: np.ndarray
    loss: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, seed: int = 0) -> "Samples":
        """Vectors with random scores, some of them tied; equal rows are byte-equal images."""
        random = np.random.default_rng(seed)
        n = len(vectors)
        content = np.unique(vectors, axis=0, return_inverse=True)[1].reshape(-1) if n else np.zeros(0, np.int64)
        by_content = [random.integers(0, 8, n) / 8, random.random(n), random.integers(1, 4, n)]
        by_content += [random.integers(1, 4, n) / 2, random.integers(0, 3, n) / 4 - 0.25, random.integers(1, 4, n)]
        return cls(vectors, content, *(values[content] for values in by_content))

    def __len__(self) -> int:
        return len(self.vectors)

    def uid(self, i: int) -> str:
        return sample_uid(*self.place(i))

    def place(self, i: int) -> tuple[str, str]:
        """Shard and key: the shards' names are not in the order of the samples' uids."""
        return f"{i // 7:03d}.tar", f"{i:06d}"

    def rank(self, keep: str, members: Sequence[int]) -> list[int]:
        """These samples, best first: the definition, in plain Python."""

        def own(i: int) -> tuple:
            score, pixels = -self.aesthetic[i], -int(self.width[i])
            keys = {
                "best": (-self.detail[i], self.loss[i], pixels, int(self.size[i]), score),
                "aesthetic": (score, pixels),
                "largest": (pixels, score),
                "first": (self.place(i)[0], i),
            }
            return keys[keep], self.uid(i)

        best: dict[int, tuple] = {}
        content = self.content.tolist()
        for i in members:
            best[content[i]] = min(best.get(content[i], own(i)), own(i))
        return sorted(members, key=lambda i: (best[content[i]], own(i)))


def write_set(folder: Path, samples: Samples, parts: list[np.ndarray], kind: str = "img_emb") -> Path:
    """samples/, scores/ and embeddings of these samples in partitions of these positions, with a bad sample in each.

    The embeddings are of a kind; where that is not img_emb, vectors without any duplicates stand there.
    """
    for number, part in enumerate(parts):
        name = f"{number:05d}"
        rows = [
            {
                "uid": samples.uid(i),
                "shard": samples.place(i)[0],
                "key": samples.place(i)[1],
                "ext": "jpg",
                "tar_offset": 512 * i,
                "tar_size": 512,
                "sha256": f"{int(samples.content[i]):064x}"[::-1],
                "size": int(samples.size[i]),
                "width": int(samples.width[i]),
                "detail": samples.detail[i],
                "loss": samples.loss[i],
                "height": 1,
                "status": "ok",
                "row": row,
            }
            for row, i in enumerate(part.tolist())
        ]
        bad = {"uid": sample_uid("bad.tar", name), "shard": "bad.tar", "key": name, "status": "error", "error": "empty"}
        write_table(path_of(folder, "samples", name), pa.Table.from_pylist([bad, *rows], SAMPLES))
        scores = {
            "uid": pa.array([row["uid"] for row in rows], pa.string()),
            "aesthetic": samples.aesthetic[part].astype(np.float32),
            "nsfw": samples.nsfw[part].astype(np.float32),
        }
        write_table(path_of(folder, "scores", name), pa.table(scores))
        if kind != "img_emb":
            write_array(path_of(folder, "img_emb", name), np.eye(len(samples), dtype=np.float16)[part])
        write_array(path_of(folder, kind, name), samples.vectors[part])
    return folder


Decision = tuple[str, str | None, float | None]  # reason, duplicate_of, similarity


def brute_force(
    samples: Samples,
    threshold: float,
    keep: str = "best",
    aesthetic: float = 0.0,
    nsfw: float = 2.0,
    reference: Sequence[int] = (),
    members: Sequence[int] | None = None,
) -> dict[str, Decision]:
    """Decisions by uid, every member (all, if not given) compared with every kept one and every reference before it."""
    views = samples.vectors if samples.vectors.ndim == 3 else samples.vectors[:, None]
    vectors = as_compared(views.reshape(-1, views.shape[2])).reshape(views.shape)
    kept = samples.rank(keep, reference)
    result: dict[str, Decision] = {}
    for i in samples.rank(keep, range(len(samples)) if members is None else members):
        if not samples.aesthetic[i] >= aesthetic:
            result[samples.uid(i)] = ("aesthetic", None, None)
            continue
        if not samples.nsfw[i] < nsfw:
            result[samples.uid(i)] = ("nsfw", None, None)
            continue
        equal = samples.content[kept] == samples.content[i]
        one, others = vectors[i], vectors[kept]  # of either the image as it is, of the other any view
        alike = similarity(one[None], others[:, :1]).max(axis=1, initial=-1)
        alike = np.maximum(alike, similarity(one[None, :1], others).max(axis=1, initial=-1))
        alike[equal] = 1
        duplicate = np.flatnonzero((alike >= np.float32(threshold)) | equal)
        if len(duplicate):
            of = duplicate[0] if not equal.any() else np.flatnonzero(equal)[0]
            reason = "duplicate_exact" if equal[of] else "duplicate_near"
            reason = "duplicate_reference" if kept[of] in reference else reason
            result[samples.uid(i)] = (reason, samples.uid(kept[of]), float(alike[of]))
        else:
            result[samples.uid(i)] = ("kept", None, None)
            kept.append(i)
    return result


def decided(table: pa.Table) -> dict[str, Decision]:
    """The same of a decisions table, without its unreadable samples."""
    rows = table.select(["uid", "reason", "duplicate_of", "similarity"]).to_pylist()
    return {row["uid"]: tuple(row.values())[1:] for row in rows if row["reason"] != "unreadable"}


def run(
    folder: Path, samples: Samples, settings: Settings, parts: int = 3, aesthetic: float = 0.0, nsfw: float = 2.0
) -> dict[str, Decision]:
    """The decisions about these samples, split into so many partitions."""
    write_set(folder, samples, np.array_split(np.arange(len(samples)), parts))
    sources = sources_of(folder)
    find_pairs(folder, sources, settings)
    return decided(decide(folder, sources, Filtering(aesthetic, nsfw), None, dedup=True))


def clustered(n: int, dim: int, seed: int = 0, copies: float = 0.3) -> np.ndarray:
    """float16 (n, dim): clusters, and planted copies from equal to far."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, dim + 1) ** -0.8
    centres = random.normal(size=(max(1, n // 20), dim)) * spectrum
    vectors = centres[random.integers(0, len(centres), n)] + 0.5 * random.normal(size=(n, dim)) * spectrum
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for i in range(1, n):
        if random.random() < copies:
            noise = random.normal(size=dim) / np.sqrt(dim)
            vectors[i] = vectors[random.integers(0, i)] + noise * random.choice([0, 0.02, 0.1, 0.3, 0.6])
            vectors[i] /= np.linalg.norm(vectors[i])
    return vectors.astype(np.float16)


def viewed(n: int, dim: int, views: int, seed: int = 0) -> np.ndarray:
    """float16 (n, views, dim): clusters in which some are copies of others, as they are, mirrored or turned.

    Each view of a copy is near a view of its original, in another order; some look alike in every view.
    """
    random = np.random.default_rng(seed)
    vectors = clustered(n * views, dim, seed, copies=0).reshape(n, views, dim).astype(np.float64)
    for i in range(1, n):
        draw = random.random()
        if draw < 0.5:
            noise = random.normal(size=(views, dim)) / np.sqrt(dim) * random.choice([0, 0.02, 0.1, 0.3, 0.6])
            vectors[i] = vectors[random.integers(0, i), random.permutation(views)] + noise
        elif draw < 0.6:
            vectors[i] = vectors[i, :1] + 0.1 * random.normal(size=(views, dim)) / np.sqrt(dim)
    return (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float16)


def chains(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """float16 (n, dim): a walk on the sphere in steps of about 20 degrees: each is like the next, not the one after."""
    random = np.random.default_rng(seed)
    steps = np.cumsum(random.normal(size=(n, dim)), axis=0) * 0.36 + 1
    return (steps / np.linalg.norm(steps, axis=1, keepdims=True)).astype(np.float16)


def stars(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """float16 (n, dim): around each tenth vector others that are like it, but not like each other."""
    random = np.random.default_rng(seed)
    vectors = np.repeat(random.normal(size=(n // 10 + 1, dim)), 10, axis=0)[:n]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rays = random.normal(size=(n, dim))
    rays *= np.tan(np.arccos(0.92)) / np.linalg.norm(rays, axis=1, keepdims=True)
    rays[::10] = 0
    vectors = vectors + rays
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def giant(n: int, dim: int = 32, views: int = 1) -> Samples:
    """n near-copies of one image, each like every other in every view, with all scores at random."""
    random = np.random.default_rng(1)
    vectors = 1 + 0.01 * random.normal(size=(n, views, dim) if views > 1 else (n, dim))
    samples = Samples.of(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
    samples.aesthetic, samples.nsfw, samples.detail = random.random(n), random.random(n), random.random(n)
    return samples


def keys_like(n: int, dim: int, seed: int) -> torch.Tensor:
    """float32 (n, up to 64): clustered vectors as k-means and cells get them."""
    vectors = as_compared(clustered(n, dim, seed))
    directions = directions_of(vectors)
    return torch.from_numpy(keys_of(vectors, directions[:, :63] if dim > 64 else directions))


def set_columns(path: Path, **columns: Sequence[object]) -> None:
    """Write the table at `path` anew with other values in these columns."""
    table = read_table(path)
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    write_table(path, table)
