"""The demo's data is what its truth says, and the check of a run on it sees each fault it is there for."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import check_demo
import make_demo
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from pycurate.files import write_json
from pycurate.results.layout import path_of
from pycurate.results.tables import write_table
from pycurate.shards.samples import sample_uid

Truth = list[dict[str, Any]]


@pytest.fixture(scope="module")
def truth(demo: Path) -> Truth:
    return json.loads((demo / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def contents(demo: Path) -> dict[str, dict[str, dict[str, bytes]]]:
    """{shard: {key: {member: bytes}}} of the shards that are tars."""
    shards = sorted(demo.rglob("*.tar"))
    return {path.relative_to(demo).as_posix(): check_demo.members(path) for path in shards if tarfile.is_tarfile(path)}


def image_of(contents: dict[str, dict[str, dict[str, bytes]]], record: dict[str, Any]) -> bytes:
    return next(iter(contents[record["shard"]][record["key"]].values()))


def folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


def test_equal_seeds_give_equal_bytes(demo: Path, tmp_path: Path) -> None:
    make_demo.make(tmp_path, seed=0)
    assert folder_digest(tmp_path) == folder_digest(demo)


def test_the_truth_names_every_sample_once(truth: Truth, contents: dict[str, Any]) -> None:
    planted = {(record["shard"], record["key"]) for record in truth if record["errors"] != ["not_a_tar"]}
    # Of the sample inside which the last shard ends, no member is whole.
    cut = {(record["shard"], record["key"]) for record in truth if record["errors"] == ["shard_truncated"]}
    assert planted - cut == {(shard, key) for shard, keys in contents.items() for key in keys}
    assert len(cut) == 1
    assert len({record["uid"] for record in truth}) == len(truth) > 290
    assert all(record["uid"] == sample_uid(record["shard"], record["key"]) for record in truth)


def test_shards_share_names_and_keys_and_samples_have_sidecars_of_their_own(contents: dict[str, Any]) -> None:
    assert contents["a/00000.tar"].keys() == contents["b/00000.tar"].keys()
    sidecars = Counter(
        name.removeprefix(key)
        for keys in contents.values()
        for key, members in keys.items()
        for name in list(members)[1:]
    )
    assert {".txt", ".json", ".cls", ".seg.png"} <= sidecars.keys()
    assert any("/" in key for key in contents["a/00000.tar"])
    assert any(not key.isascii() for key in contents["a/00000.tar"])


def test_every_derived_file_shows_its_photograph(truth: Truth, contents: dict[str, Any]) -> None:
    def small(record: dict[str, Any]) -> np.ndarray:
        with Image.open(io.BytesIO(image_of(contents, record))) as image:
            upright = ImageOps.exif_transpose(image).convert("L").resize((32, 32), Image.Resampling.BOX)
        grey = np.asarray(upright, dtype=np.float64).ravel()
        return (grey - grey.mean()) / np.linalg.norm(grey - grey.mean())

    originals = {record["source"]: small(record) for record in truth if record["expected"] == "original"}
    assert len(originals) == 17
    for record in truth:
        if record["expected"] in {"reencoded", "resized", "blurred", "dark"}:
            assert small(record) @ originals[record["source"]] > 0.9, record


def test_byte_copies_are_equal_and_nothing_else_is(truth: Truth, contents: dict[str, Any]) -> None:
    sources: dict[bytes, set[str]] = {}
    for record in truth:
        if record["expected"] != "broken":
            sources.setdefault(image_of(contents, record), set()).add(record["expected"])
    assert [kinds for kinds in sources.values() if len(kinds) > 1] == [{"original", "byte_copy"}] * 17


def test_pillow_reads_what_is_whole_and_nothing_that_is_broken(truth: Truth, contents: dict[str, Any]) -> None:
    formats: Counter[str | None] = Counter()
    for record in truth:
        if set(record["errors"]) & {"no_image", "duplicate_key", "shard_truncated", "not_a_tar"}:
            continue
        data = io.BytesIO(image_of(contents, record))
        if record["errors"]:
            with pytest.raises((OSError, Image.DecompressionBombError)), Image.open(data) as image:
                image.load()
        else:
            with Image.open(data) as image:
                image.load()
                formats[image.format] += 1
    assert formats.keys() == {"JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"}


@pytest.fixture
def run(demo: Path, truth: Truth, contents: dict[str, Any], tmp_path: Path) -> Path:
    """The results of a run that meets the truth: one file kept for each photograph and each blurred or dark one."""
    rows = []
    kept: dict[str, str] = {}
    for record in sorted(truth, key=lambda record: record["expected"] != "original"):
        near = record["expected"] not in {"blurred", "dark", "broken"}
        group = record["source"] if near else record["uid"]
        sha256 = hashlib.sha256(b"" if record["errors"] else image_of(contents, record)).hexdigest()
        row = {name: record[name] for name in ("uid", "shard", "key")}
        first = kept.setdefault(group, row["uid"]) if not record["errors"] else None
        reason = "kept" if first == row["uid"] else "duplicate_near" if first else "unreadable"
        row |= {"kept": reason == "kept", "reason": reason, "duplicate_of": first if first != row["uid"] else None}
        rows.append(row | {"sha256": sha256, "error": record["errors"][0] if record["errors"] else None})
    write_results(tmp_path, rows, demo)
    return tmp_path


def write_results(results: Path, rows: list[dict[str, Any]], demo: Path) -> None:
    """The files of a run that check_demo reads: tables, summary and one curated tar for each input shard."""
    table = pa.Table.from_pylist(rows)
    write_table(results / "decisions.parquet", table.drop_columns(["sha256", "error"]))
    write_table(path_of(results, "samples", "00000"), table.select(["uid", "sha256", "error"]))
    dropped = Counter(row["reason"] for row in rows if not row["kept"])
    write_json(
        results / "summary.json",
        {"inputs": len(rows), "kept": len(rows) - dropped.total(), "dropped": dict(dropped)},
    )
    (results / "curated").mkdir(exist_ok=True)
    for number, shard in enumerate(sorted({row["shard"] for row in rows if row["kept"]})):
        kept = [row for row in rows if row["kept"] and row["shard"] == shard]
        keys = {row["key"] for row in kept}
        path = results / "curated" / f"{number:05d}.tar"
        with tarfile.open(demo / shard) as source, tarfile.open(path, "w") as output:
            while True:
                try:
                    member = source.next()
                except tarfile.ReadError:
                    break  # the shard that is cut
                if member is None:
                    break
                folder, slash, name = member.name.rpartition("/")
                if folder + slash + name.split(".")[0] in keys:
                    output.addfile(member, source.extractfile(member))
        write_table(path.with_suffix(".parquet"), pa.Table.from_pylist(kept).select(["uid", "shard", "key"]))


def test_a_run_that_meets_the_truth_passes(root: Path, demo: Path, run: Path) -> None:
    script = root / "examples" / "check_demo.py"
    result = subprocess.run([sys.executable, script, run, demo], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["planted", "samples", "kept", "duplicate_near", "unreadable"] in lines
    assert ["original", "17", "17", "0", "0"] in lines
    assert ["byte_copy", "34", "0", "34", "0"] in lines


def change(rows: list[dict[str, Any]], truth: Truth, chosen: Callable[[dict[str, Any]], bool], **values: Any) -> None:
    """Set values in the first row whose truth is chosen."""
    uid = next(record["uid"] for record in truth if chosen(record))
    next(row for row in rows if row["uid"] == uid).update(values)


KEEP = {"kept": True, "reason": "kept", "duplicate_of": None}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("a byte copy is missed", "33 of 34 byte copies were found"),
        ("many copies are missed", "re-encoded and resized copies were found, fewer than 95%"),
        ("other photographs are called duplicates", "is wrongly a duplicate of"),
        ("a duplicate names a dropped sample", "which is not kept"),
        ("a copy is kept for its original", "The original of coffee passed the filters, but a copy of it was kept"),
        ("a broken file is kept from the ledger", "instead of truncated"),
        ("a good file is called unreadable", "instead of no error"),
        ("a sample is lost", "is missing from the decisions"),
        ("the filters drop all", "No byte copies passed the filters"),
    ],
)
def test_the_check_sees_wrong_decisions(demo: Path, truth: Truth, run: Path, fault: str, sentence: str) -> None:
    rows = list(check_demo.read_decisions(run).values())
    planted = {record["uid"]: record for record in truth}
    original = {record["source"]: record["uid"] for record in truth if record["expected"] == "original"}
    match fault:
        case "a byte copy is missed":
            change(rows, truth, lambda record: record["expected"] == "byte_copy", **KEEP)
        case "many copies are missed":
            for row, record in ((row, planted[row["uid"]]) for row in rows):
                if record["made"] == "JPEG quality 90":
                    row.update(KEEP)
        case "other photographs are called duplicates":
            other = {"duplicate_of": original["coffee"]}
            change(rows, truth, lambda r: (r["source"], r["expected"]) == ("camera", "cropped"), **other)
        case "a duplicate names a dropped sample":
            dropped = next(r["uid"] for r in truth if (r["source"], r["expected"]) == ("camera", "flipped"))
            change(rows, truth, lambda r: (r["source"], r["expected"]) == ("camera", "cropped"), duplicate_of=dropped)
        case "a copy is kept for its original":
            copy = next(r["uid"] for r in truth if (r["source"], r["expected"]) == ("coffee", "resized"))
            for row in rows:
                if original["coffee"] in (row["uid"], row["duplicate_of"]):
                    row.update(kept=False, reason="duplicate_near", duplicate_of=copy)
                if row["uid"] == copy:
                    row.update(KEEP)
        case "a broken file is kept from the ledger":
            change(rows, truth, lambda record: record["errors"] == ["truncated"], reason="nsfw", error=None)
        case "a good file is called unreadable":
            change(rows, truth, lambda r: r["expected"] == "dark", kept=False, reason="unreadable", error="corrupt")
        case "a sample is lost":
            rows.pop(0)
        case "the filters drop all":
            for row in rows:
                if row["reason"] != "unreadable":
                    row.update(kept=False, reason="aesthetic", duplicate_of=None)
    write_results(run, rows, demo)
    assert any(sentence in found for found in check_demo.check(run, demo))


def test_the_check_sees_a_sum_that_does_not_add_up(demo: Path, run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    write_json(run / "summary.json", summary | {"kept": summary["kept"] + 1})
    assert any(" input samples, but " in found for found in check_demo.check(run, demo))


def test_the_check_sees_altered_and_lost_bytes(demo: Path, run: Path) -> None:
    path = run / "curated" / "00000.tar"
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        data[tar.getmembers()[0].offset_data] ^= 1
    path.write_bytes(data)
    assert any("is not in 00000.tar unchanged" in found for found in check_demo.check(run, demo))
    path.unlink()
    assert any("kept samples" in found for found in check_demo.check(run, demo))


def test_the_check_sees_a_kept_sample_in_no_tar(demo: Path, run: Path) -> None:
    table = pq.read_table(run / "curated" / "00000.parquet")
    write_table(run / "curated" / "00000.parquet", table.slice(1))
    found = check_demo.check(run, demo)
    assert any("is in no table" in sentence for sentence in found)
