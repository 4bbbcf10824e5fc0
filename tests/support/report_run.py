"""A run's tables for the tests of the report: real photographs in real tars, with every kind of decision."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import skimage.data
from curated import plan_output
from PIL import Image

from pycurate.dedup.pairs import Search
from pycurate.dedup.recall import EXACT
from pycurate.files import write_json
from pycurate.filters.filtering import Filtering
from pycurate.results.criteria import Criteria, write_criteria
from pycurate.results.layout import path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.plan import Layout
from pycurate.results.tables import DECISIONS, SAMPLES, read_table, write_array, write_table
from pycurate.shards.listing import find_shards
from pycurate.stages.write import write_curated

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
THRESHOLDS = {"aesthetic": 0.5, "nsfw": 0.5, "dedup": 0.9}
FILTERING = Filtering(aesthetic_threshold=0.5, nsfw_threshold=0.5)


@dataclass
class Row:
    """One sample that a test wants to see in a run."""

    key: str
    data: bytes
    aesthetic: float = 0.8
    nsfw: float = 0.1
    reason: str = "kept"
    duplicate_of: str | None = None  # a key
    similarity: float | None = None
    caption: str | None = None
    error: str | None = None


def crops(count: int) -> list[bytes]:
    """`count` different JPEG files, 320 x 240, cut out of photographs."""
    pictures = [Image.fromarray(getattr(skimage.data, name)()) for name in PHOTOGRAPHS]
    files = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        x = 37 * number % (picture.width - 320)
        y = 23 * number % (picture.height - 240)
        file = io.BytesIO()
        picture.crop((x, y, x + 320, y + 240)).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def standard_rows() -> list[Row]:
    """60 samples: 2 unreadable, 12 and 6 dropped by filters, 4 exact and 6 near duplicates, 30 kept."""
    data = crops(50)
    rows = [Row(f"kept{i:02}", data[i], 0.5 + i / 60, i / 60, caption=f"a picture, number {i}") for i in range(30)]
    rows += [Row(f"dull{i:02}", data[30 + i], i / 24, 0.05, "aesthetic") for i in range(12)]
    rows += [Row(f"nude{i:02}", data[42 + i], 0.7, 0.5 + i / 12, "nsfw") for i in range(6)]
    rows += [Row(f"copy{i:02}", data[0], 0.5, 0.0, "duplicate_exact", "kept00", 1.0) for i in range(4)]
    rows += [Row(f"near{i:02}", data[i], 0.6, 0.1, "duplicate_near", f"kept{i:02}", 0.9 + i / 100) for i in range(6)]
    rows += [Row("broken", b"<html>", error="not_an_image"), Row("cut", data[0][:900], error="truncated")]
    rows[3].caption = HOSTILE
    rows[4].key = "<b>kept04</b>"
    for row in rows:
        if row.duplicate_of == "kept04":
            row.duplicate_of = "<b>kept04</b>"
    return rows


def make_run(folder: Path, rows: list[Row], per_shard: int = 25) -> Path:
    """Shards with these rows, and every table of a run that decided so: the results folder, all but the report."""
    shards, results = folder / "shards", folder / "results"
    shards.mkdir()
    uids = {row.key: hashlib.blake2b(row.key.encode(), digest_size=16).hexdigest() for row in rows}
    samples = []
    for start in range(0, len(rows), per_shard):
        name = f"{start // per_shard:05}.tar"
        with tarfile.open(shards / name, "w") as tar:
            for row in rows[start : start + per_shard]:
                member = tarfile.TarInfo(f"{row.key}.jpg")
                member.size = len(row.data)
                tar.addfile(member, io.BytesIO(row.data))
        with tarfile.open(shards / name) as tar:
            for row, member in zip(rows[start : start + per_shard], tar, strict=True):
                samples.append(_sample(row, member, name, uids[row.key]))
    write_partitions(results, [find_shards(str(shards))])
    row_numbers = iter(range(len(rows)))
    for sample in samples:
        sample["row"] = next(row_numbers) if sample["status"] == "ok" else None
    write_table(path_of(results, "samples", "00000"), pa.Table.from_pylist(samples, SAMPLES))
    write_array(path_of(results, "img_emb", "00000"), _embeddings(rows))
    scores = [pa.field(name, pa.float32()) for name in ("aesthetic", "aesthetic_raw", "nsfw")]
    fields = list(DECISIONS)
    decisions = pa.Table.from_pylist(
        [_decision(row, uids) for row in rows], pa.schema(fields[:3] + scores + fields[3:])
    )
    decisions = decisions.set_column(1, "shard", pa.array([sample["shard"] for sample in samples]))
    decisions = plan_output(results, decisions, 10, 2)
    write_table(results / "decisions.parquet", decisions)
    decide_by(results)
    write_curated(results)
    return results


def decide_by(results: Path, filtering: Filtering = FILTERING, dedup: bool = True) -> None:
    """decisions.json and dedup.json, as if these had decided; duplicates from a cosine of 0.9 on."""
    search = Search(THRESHOLDS["dedup"], "best", 1.0, 1, "0" * 32)
    criteria = Criteria(tuple(filtering.rules()), search.facts() if dedup else None, layout=Layout(10, 2))
    write_criteria(results, criteria)
    write_json(results / "dedup.json", search.stated() | vars(EXACT))


def write_parameters(path: Path) -> Path:
    path.write_text(json.dumps({"preset": "light", "input": "shards/<script>", "images_per_tar": 10}), encoding="utf-8")
    return path


def _sample(row: Row, member: tarfile.TarInfo, shard: str, uid: str) -> dict[str, object]:
    return {
        "uid": uid,
        "shard": shard,
        "key": row.key,
        "ext": "jpg",
        "offset": member.offset_data,
        "size": member.size,
        "sha256": hashlib.sha256(row.data).hexdigest(),
        "tar_offset": member.offset,
        "tar_size": member.offset_data - member.offset + -(-member.size // 512) * 512,
        "width": 0 if row.error else 320,
        "height": 0 if row.error else 240,
        "format": "" if row.error else "jpeg",
        "caption": row.caption,
        "status": "error" if row.error else "ok",
        "error": row.error,
        "error_message": f"The file {row.key} cannot be read." if row.error else None,
    }


def _decision(row: Row, uids: dict[str, str]) -> dict[str, object]:
    read = row.error is None
    return {
        "uid": uids[row.key],
        "key": row.key,
        "aesthetic": row.aesthetic if read else None,
        "aesthetic_raw": 10 * row.aesthetic - 2 if read else None,
        "nsfw": row.nsfw if read else None,
        "kept": read and row.reason == "kept",
        "reason": row.reason if read else "unreadable",
        "duplicate_of": uids[row.duplicate_of] if row.duplicate_of else None,
        "similarity": row.similarity,
    }


def _embeddings(rows: list[Row]) -> np.ndarray:
    """float16 (readable rows, 16), unit length: a duplicate's vector has its similarity with the kept one's."""
    random = np.random.default_rng(0)
    vectors: dict[str, np.ndarray] = {}
    for row in rows:
        vector = random.normal(size=16)
        if row.duplicate_of and row.similarity is not None:
            kept = vectors[row.duplicate_of]
            vector -= vector @ kept * kept
            vector *= np.sqrt(1 - row.similarity**2) / np.linalg.norm(vector)
            vector += row.similarity * kept
        vectors[row.key] = vector / np.linalg.norm(vector)
    readable = [vectors[row.key] for row in rows if row.error is None]
    return np.array(readable, np.float16).reshape(len(readable), 16)


def change_decisions(results: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write the decisions of a run anew."""
    path = results / "decisions.parquet"
    write_table(path, change(read_table(path)))


def change_column(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    """The table with another value in one place."""
    values = table[name].to_pylist()
    values[row] = value
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))


def lose_a_kept_sample_from_a_tar(results: Path) -> None:
    """Let the statistics of a tar say that it holds one sample less."""
    path = results / "curated" / "00001_stats.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"samples": 9}))


def write_cost(results: Path, stage: str, number: str, seconds: float, peak_bytes: int) -> None:
    """A file of times as a task of 1.5 busy cores leaves it."""
    path = results / "times" / f"{stage}_{number}.json"
    path.parent.mkdir(exist_ok=True)
    cost = {"name": stage, "tasks": 1, "seconds": seconds, "longest": seconds, "cpu_seconds": 1.5 * seconds}
    path.write_text(json.dumps(cost | {"peak_bytes": peak_bytes}))
