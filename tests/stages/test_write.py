"""WRITE: a kept sample leaves with every byte that it came with, in input order, in equal tars for equal input."""

import functools
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from by_hand import call
from curated import finished, plan_output
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_tars import END, part, patched
from tars import jpeg, read_tar, write_tar

from pycurate.errors import ShardError, TableError
from pycurate.results.layout import numbers, path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.tables import read_table, write_table
from pycurate.shards.copy import Source
from pycurate.shards.listing import Shard, find_shards
from pycurate.shards.samples import read_samples
from pycurate.stages.write import write_curated
from scripts import started

UNREADABLE = Path("/proc/self/mem")  # at whose beginning the system finds no memory, and reports an I/O error


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    long = "deep/" * 30 + "name" * 30
    write_tar(
        folder / "a" / "00000.tar",
        [
            *[("k0.jpg", jpeg(0)), ("k0.txt", b"zero"), ("k0.json", b"{}"), ("k0.seg.png", b"mask")],
            *[("k1.jpg", jpeg(1)), ("k1.cls", b"1")],
            *[(f"{long}.jpg", jpeg(2)), (f"{long}.txt", b"long")],
        ],
        tarfile.GNU_FORMAT,
    )
    write_tar(
        folder / "b" / "00000.tar",
        [
            ("k1.jpg", jpeg(3)),
            ("../k2.jpg", jpeg(4)),
            ("ä/k3.PNG", b"png"),
            ("ä/k3.txt", "grün".encode()),
            ("k4.jpg", jpeg(5)),
        ],
        tarfile.PAX_FORMAT,
    )
    return folder


ALL = [("a/00000.tar", "k0"), ("a/00000.tar", "k1"), ("a/00000.tar", "deep/" * 30 + "name" * 30)]
ALL += [("b/00000.tar", key) for key in ("k1", "../k2", "ä/k3", "k4")]


def curate(
    root: Path, results: Path, keep: set[tuple[str, str]], images_per_tar: int, tars_per_task: int = 2
) -> pa.Table:
    decisions = plan_output(results, finished(root, results, keep), images_per_tar, tars_per_task)
    write_curated(results)
    return decisions


@pytest.mark.parametrize("dropped", [set(), {1}, {0, 2}, {2, 3, 4, 5}, {0, 1, 2, 3, 4, 5}])
def test_kept_samples_leave_as_they_came(root: Path, tmp_path: Path, dropped: set[int]) -> None:
    keep = {sample for index, sample in enumerate(ALL) if index not in dropped}
    curate(root, tmp_path / "r", keep, images_per_tar=3)
    came = {shard: read_tar(root / shard) for shard in ("a/00000.tar", "b/00000.tar")}
    expected = [
        member
        for shard, key in ALL
        if (shard, key) in keep
        for member in came[shard]
        if member[0].startswith(f"{key}.")
    ]
    left = [member for path in sorted((tmp_path / "r" / "curated").glob("*.tar")) for member in read_tar(path)]
    assert left == expected


def test_tars_open_with_webdataset_and_fill_in_order(root: Path, tmp_path: Path) -> None:
    decisions = curate(root, tmp_path / "r", set(ALL), images_per_tar=5)
    tars = sorted((tmp_path / "r" / "curated").glob("*.tar"))
    keys = [[s["__key__"] for s in webdataset.WebDataset(str(tar), shardshuffle=False)] for tar in tars]
    # k1 comes from both shards; the first tar is closed early so that it does not hold it twice.
    assert keys == [[key for _, key in ALL[:3]], [key for _, key in ALL[3:]]]
    assert decisions["output_shard"].to_pylist() == ["00000.tar"] * 3 + ["00001.tar"] * 4
    assert numbers(tmp_path / "r", "plan") == ["00000"]  # though a plan has two files
    rows = pq.read_table(tars[1].with_suffix(".parquet"))
    assert rows.column_names == ["uid", "shard", "key", "aesthetic"]
    assert list(zip(rows["shard"].to_pylist(), rows["key"].to_pylist(), strict=True)) == ALL[3:]
    written = tars[1].read_bytes()
    assert len(written) % 10240 == 0  # as tar pads it
    assert json.loads((tars[1].parent / "00001_stats.json").read_text()) == {
        "samples": 4,
        "bytes": len(written),
        "sha256": hashlib.sha256(written).hexdigest(),
        "from_shards": Counter(shard for shard, _ in ALL[3:]),
    }


def test_equal_input_gives_equal_bytes_however_the_work_is_split(root: Path, tmp_path: Path) -> None:
    digests = []
    for split in (1, 2, 100):
        curate(root, tmp_path / str(split), set(ALL), images_per_tar=2, tars_per_task=split)
        files = sorted((tmp_path / str(split) / "curated").iterdir())
        digests.append([(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])
    assert digests[0] == digests[1] == digests[2]
    assert len(digests[0]) == 3 * 4


def test_one_shard_is_open_at_a_time(tmp_path: Path) -> None:
    places = [(f"{number:03}.tar", f"{number}") for number in range(150)]
    for shard, key in places:
        write_tar(tmp_path / "in" / shard, [(f"{key}.jpg", jpeg(0))])
    plan_output(tmp_path / "r", finished(tmp_path / "in", tmp_path / "r", set(places)), 150, 1)
    few = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (100, 100))
    done = started("write", "--results", tmp_path / "r", preexec_fn=few)
    assert done.returncode == 0, done.stderr
    assert [name for name, *_ in read_tar(tmp_path / "r" / "curated" / "00000.tar")] == [
        f"{key}.jpg" for _, key in places
    ]


def test_a_new_decision_leaves_nothing_of_the_old_one(root: Path, tmp_path: Path) -> None:
    plan_output(tmp_path / "r", finished(root, tmp_path / "r", set(ALL)), 1, 2)
    write_curated(tmp_path / "r", dali_index=True)
    (tmp_path / "r" / "curated" / "mine.txt").write_text("a note")
    curate(root, tmp_path / "r", set(ALL[:1]), images_per_tar=1)
    left = sorted(path.name for path in (tmp_path / "r" / "curated").iterdir())
    assert left == ["00000.parquet", "00000.tar", "00000_stats.json", "mine.txt"]


def test_no_tar_of_an_earlier_decision_passes_for_one_of_the_new(root: Path, tmp_path: Path) -> None:
    """Nor where the writing ends half-way: what is whole by its stats is what the new decision sends there."""
    results = tmp_path / "r"
    curate(root, results, set(ALL[1:]), images_per_tar=1)
    plan_output(results, finished(root, results, {ALL[0], *ALL[2:]}), images_per_tar=1, tars_per_task=2)
    (root / "b" / "00000.tar").unlink()
    with pytest.raises(ShardError, match=r"b/00000\.tar is gone"):
        write_curated(results)
    assert numbers(results, "tar_stats") == ["00000", "00001"]
    rows = [
        read_table(path_of(results, "tar_tables", number), ["key"])["key"].to_pylist() for number in ("00000", "00001")
    ]
    assert rows == [[ALL[0][1]], [ALL[2][1]]]


def test_nothing_kept_is_a_plan_too(root: Path, tmp_path: Path) -> None:
    decisions = curate(root, tmp_path / "r", set(), images_per_tar=5)
    assert decisions["output_shard"].null_count == len(ALL)
    assert not (tmp_path / "r" / "curated").exists()


def test_a_changed_shard_is_refused_and_leaves_no_tar(root: Path, tmp_path: Path) -> None:
    plan_output(tmp_path / "r", finished(root, tmp_path / "r", set(ALL)), 100, 100)
    (root / "b" / "00000.tar").write_bytes((root / "b" / "00000.tar").read_bytes()[:-512])
    with pytest.raises(ShardError, match=r"b/00000\.tar had"):
        write_curated(tmp_path / "r")
    left = sorted(path.name for path in (tmp_path / "r" / "curated").iterdir())
    assert left == ["00000.parquet", "00000.tar", "00000_stats.json"]  # the first tar needs only the other shard


def test_a_shard_whose_disk_fails_is_named_and_not_the_tar_that_is_written(root: Path, tmp_path: Path) -> None:
    plan_output(tmp_path / "r", finished(root, tmp_path / "r", {("a/00000.tar", "k0")}), 100, 100)
    write_partitions(tmp_path / "r", [[Shard("a/00000.tar", UNREADABLE, 0)]])
    with pytest.raises(ShardError, match=r"Shard a/00000\.tar cannot be read to its end .*; check its disk"):
        write_curated(tmp_path / "r")


@pytest.mark.parametrize("part", ["headers", "bytes"])
def test_a_disk_that_fails_within_a_shard_names_the_shard(root: Path, part: str) -> None:
    shard = find_shards(str(root))[0]
    with Source(shard, []) as source, open(UNREADABLE, "rb") as unreadable:
        source.file, whole = unreadable, source.file
        with whole, pytest.raises(ShardError, match=r"Shard a/00000\.tar cannot .* Input/output error"):
            if part == "headers":
                next(source.pieces(0, 1024, None))
            else:
                source.read_into(memoryview(bytearray(8)), 0)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_links_leave_as_files_and_metadata_stays_behind(tmp_path: Path, format: int) -> None:
    long = f"{'t' * 90}/{'n' * 80}" if format == tarfile.USTAR_FORMAT else f"{'t' * 150}/{'n' * 150}"
    target = "t" * 90 if format == tarfile.USTAR_FORMAT else "t" * 150
    files = [(f"{target}.jpg", jpeg(0)), ("k.jpg", jpeg(1)), ("._k.jpg", b"mac"), ("__meta__/k.json", b"{}")]
    files += [("k.txt", b"text")]
    folder = tmp_path / "in"
    folder.mkdir()
    with tarfile.open(folder / "s.tar", "w", format=format) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 7
            tar.addfile(info, io.BytesIO(data))
        for name, to in (
            (f"{long}.jpg", f"{target}.jpg"),
            (f"{long}.txt", "k.txt"),
            ("l.jpg", "k.jpg"),
            ("m.jpg", "l.jpg"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime = tarfile.LNKTYPE, to, 9
            tar.addfile(info)
    curate(folder, tmp_path / "r", {("s.tar", key) for key in ("k", long, "m")}, images_per_tar=9)
    assert read_tar(tmp_path / "r" / "curated" / "00000.tar") == [
        *[("k.jpg", jpeg(1), 7), ("k.txt", b"text", 7)],
        *[(f"{long}.jpg", jpeg(0), 9), (f"{long}.txt", b"text", 9), ("m.jpg", jpeg(1), 9)],
    ]


def test_a_damaged_file_of_macos_stays_behind(tmp_path: Path) -> None:
    sample = part(("k.jpg", jpeg(1))), part(("k.txt", b"text"))
    odd = patched(part(("._k.jpg", b"mac")), 124, b"\xff" * 12)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s.tar").write_bytes(sample[0] + odd + sample[1] + END)
    curate(tmp_path / "in", tmp_path / "r", {("s.tar", "k")}, images_per_tar=9)
    assert read_tar(tmp_path / "r" / "curated" / "00000.tar") == [("k.jpg", jpeg(1), 0), ("k.txt", b"text", 0)]


def test_a_shard_whose_samples_moved_at_equal_size_is_refused(root: Path, tmp_path: Path) -> None:
    plan_output(tmp_path / "r", finished(root, tmp_path / "r", set(ALL)), 100, 100)
    path = root / "b" / "00000.tar"
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(whole[1024:] + whole[:1024])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # else the time would tell
    with pytest.raises(ShardError, match=r"b/00000\.tar no longer holds"):
        write_curated(tmp_path / "r")


def test_a_sample_whose_image_is_no_member_any_more_is_refused(tmp_path: Path) -> None:
    """At equal size and time: then a file of macOS, which is left out, stands in its place."""
    write_tar(tmp_path / "in" / "s.tar", [("k.jpg", jpeg(0)), ("k.txt", b"text"), ("l.jpg", jpeg(1))])
    plan_output(tmp_path / "r", finished(tmp_path / "in", tmp_path / "r", {("s.tar", "k"), ("s.tar", "l")}), 9, 9)
    path = tmp_path / "in" / "s.tar"
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(patched(whole, 0, b"._k.jpg"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ShardError, match="the image of 'k' is not the one that was embedded"):
        write_curated(tmp_path / "r")


def test_a_plan_of_a_shard_that_no_partition_has_is_refused(root: Path, tmp_path: Path) -> None:
    plan_output(tmp_path / "r", finished(root, tmp_path / "r", set(ALL)), 100, 100)
    write_partitions(tmp_path / "r", [find_shards(str(root))[:1]])
    with pytest.raises(TableError, match=r"No partition contains the shard b/00000\.tar"):
        write_curated(tmp_path / "r")


def flip(path: Path, at: int) -> None:
    """Change one byte, and nothing that a file system tells of the file."""
    times = path.stat()
    with open(path, "r+b") as file:
        file.seek(at)
        (value,) = file.read(1)
        file.seek(at)
        file.write(bytes([value ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, int, int]]]:
    """A run as DECIDE leaves it, its shard, and key, first and last byte of each image there. `drop` is dropped."""
    folder = tmp_path_factory.mktemp("images")
    large = np.random.default_rng(0).bytes((2 << 20) + 77)  # longer than what is copied at once
    files = [("a.jpg", jpeg(0)), ("a.txt", b"a"), ("b.cls", b"1"), ("b.jpg", large), ("c.jpg", jpeg(2))]
    path = write_tar(folder / "in" / "s.tar", [*files, ("drop.jpg", jpeg(3)), ("e.json", b"{}"), ("e.jpg", jpeg(4))])
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("f.jpg")
        link.type, link.linkname = tarfile.LNKTYPE, "drop.jpg"  # so that these bytes leave all the same
        tar.addfile(link)
    keep = {("s.tar", key) for key in "abcef"}
    plan_output(folder / "r", finished(folder / "in", folder / "r", keep), 2, 100)
    with tarfile.open(path) as tar:
        places = [
            (member.name[:-4], member.offset_data, member.offset_data + member.size - 1)
            for member in tar
            if member.name.endswith(".jpg") and member.isreg()
        ]
    return folder, places


@settings(max_examples=50)
@given(st.data())
def test_a_byte_of_an_image_that_changed_is_found(
    images: tuple[Path, list[tuple[str, int, int]]], data: st.DataObject
) -> None:
    """Even with the size and the time stamp that the shard had."""
    folder, places = images
    key, first, last = data.draw(st.sampled_from(places))
    at = data.draw(st.integers(first, last))
    flip(folder / "in" / "s.tar", at)
    shutil.rmtree(folder / "r" / "curated", ignore_errors=True)
    try:
        with pytest.raises(ShardError) as caught:
            write_curated(folder / "r")
    finally:
        flip(folder / "in" / "s.tar", at)
    assert f"In shard s.tar, the image of '{'f' if key == 'drop' else key}' is not the one" in str(caught.value)
    whole = {path.name[:5] for path in folder.glob("r/curated/*_stats.json")}
    assert {path.stem for path in folder.glob("r/curated/*.tar")} == whole < {"00000", "00001", "00002"}


def test_a_changed_image_ends_the_script_with_a_sentence(images: tuple[Path, list[tuple[str, int, int]]]) -> None:
    folder, places = images
    _, first, last = places[1]
    flip(folder / "in" / "s.tar", (first + last) // 2)
    said = call(folder, "write", "--results", "r", code=1)
    flip(folder / "in" / "s.tar", (first + last) // 2)
    assert "In shard s.tar, the image of 'b' is not the one that was embedded" in said
    assert "run the workflow again with -resume" in said and said.count("\n") == 1


def test_a_shard_that_was_only_touched_is_copied(
    images: tuple[Path, list[tuple[str, int, int]]], caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = images
    tars = []
    for touched in (False, True):
        if touched:
            (folder / "in" / "s.tar").touch()
        write_curated(folder / "r")
        assert ("Modified after the images had been embedded: 1 shard, such as s.tar" in caplog.text) == touched
        tars.append([path.read_bytes() for path in sorted(folder.glob("r/curated/*.tar"))])
    assert tars[0] == tars[1] and len(tars[0]) == 3


@pytest.mark.parametrize("name", ["../x.tar", "/tmp/pycurate-x.tar", "a/0.tar", "x.tar", "0.tar\n", ".tar", None])
def test_an_output_outside_the_results_is_refused(root: Path, tmp_path: Path, name: str | None) -> None:
    plan_output(tmp_path / "r", finished(root, tmp_path / "r", set(ALL)), 100, 100)
    plan = pq.read_table(path_of(tmp_path / "r", "plan", "00000"))
    column = pa.array([name] * plan.num_rows, pa.string())
    write_table(path_of(tmp_path / "r", "plan", "00000"), plan.set_column(0, "output_shard", column))
    with pytest.raises(TableError, match="has the output"):
        write_curated(tmp_path / "r")
    assert not list(tmp_path.glob("*.tar")) and not (tmp_path / "r" / "curated").exists()


def test_links_between_the_members_of_a_sample_are_samples_of_their_own(tmp_path: Path) -> None:
    tar = [part(("a.jpg", jpeg(0))), part(("latest.jpg", b""), type=b"2", linkname="a.jpg")]
    tar += [part(("l.jpg", b""), type=b"1", linkname="a.jpg"), part(("l.txt", b""), type=b"1", linkname="a.jpg")]
    tar += [part(("a.txt", b"text")), part(("b.jpg", jpeg(1))), END]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s.tar").write_bytes(b"".join(tar))
    curate(tmp_path / "in", tmp_path / "r", {("s.tar", key) for key in "alb"}, images_per_tar=9)
    assert [(name, data) for name, data, _ in read_tar(tmp_path / "r" / "curated" / "00000.tar")] == [
        *[("a.jpg", jpeg(0)), ("a.txt", b"text")],
        *[("l.jpg", jpeg(0)), ("l.txt", jpeg(0)), ("b.jpg", jpeg(1))],
    ]


def test_a_link_whose_key_is_only_written_alike_is_of_another_sample(tmp_path: Path) -> None:
    tar = [part(("a\udcff.jpg", jpeg(0))), part(("a\\xff.txt", b""), type=b"1", linkname="a\udcff.jpg")]
    tar += [part(("a\udcff.txt", b"text")), END]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s.tar").write_bytes(b"".join(tar))
    curate(tmp_path / "in", tmp_path / "r", {("s.tar", "a\\xff")}, images_per_tar=9)
    names = [[name for name, _, _ in read_tar(path)] for path in sorted((tmp_path / "r" / "curated").glob("*.tar"))]
    assert names == [["a\udcff.jpg", "a\udcff.txt"], ["a\\xff.txt"]]


def test_a_link_may_follow_the_large_image_for_which_it_stands(tmp_path: Path) -> None:
    large = np.random.default_rng(0).bytes((2 << 20) + 77)  # longer than what is copied at once
    (tmp_path / "in").mkdir()
    link = part(("l.jpg", b""), type=b"1", linkname="k.jpg")
    (tmp_path / "in" / "s.tar").write_bytes(part(("k.jpg", large)) + link + END)
    curate(tmp_path / "in", tmp_path / "r", {("s.tar", "k"), ("s.tar", "l")}, images_per_tar=9)
    assert [data for _, data, _ in read_tar(tmp_path / "r" / "curated" / "00000.tar")] == [large, large]


def test_keys_that_are_written_alike_leave_in_two_tars(tmp_path: Path) -> None:
    members = [("a\udcff.jpg", jpeg(0)), ("a\\xff.jpg", jpeg(1)), ("a\\xff.txt", b"text")]
    write_tar(tmp_path / "in" / "s.tar", members)
    curate(tmp_path / "in", tmp_path / "r", {("s.tar", "a\\xff")}, images_per_tar=9)
    tars = [read_tar(path) for path in sorted((tmp_path / "r" / "curated").glob("*.tar"))]
    assert [[(name, data) for name, data, _ in tar] for tar in tars] == [members[:1], members[1:]]


def test_what_belongs_to_no_sample_stays_behind(tmp_path: Path) -> None:
    """A link would lack its target in the new tar, which neither GNU tar nor Python's tarfile would then extract."""
    image, text = part(("two/b.jpg", jpeg(1))), part(("two/b.txt", b"b"))
    others = [part(("two/README", b"no dot")), part(("two/LICENSE", b""), type=b"1", linkname="LICENSE")]
    others += [part(("out", b""), type=b"2", linkname="/tmp"), part(("two/link", b""), type=b"2", linkname="b.jpg")]
    others += [part((name, b""), type=kind) for name, kind in (("null", b"3"), ("pipe.jpg", b"6"), ("two/", b"5"))]
    others += [part(("label.jpg", b""), type=b"V")]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s.tar").write_bytes(part(("LICENSE", b"free")) + image + b"".join(others) + text + END)
    curate(tmp_path / "in", tmp_path / "r", {("s.tar", "two/b")}, images_per_tar=9)
    tar = tmp_path / "r" / "curated" / "00000.tar"
    assert tar.read_bytes().rstrip(b"\0") == (image + text).rstrip(b"\0")
    subprocess.run(["tar", "-xf", tar, "-C", tmp_path / "r"], check=True)
    assert (tmp_path / "r" / "two" / "b.txt").read_bytes() == b"b"


def test_a_header_of_the_archive_within_a_sample_stays_behind(tmp_path: Path) -> None:
    """It would rename all that follows it in the new tar."""
    evil = tarfile.TarInfo.create_pax_global_header({"path": "evil.jpg"})
    path = tmp_path / "in" / "0.tar"
    whole = write_tar(path, [("a.jpg", jpeg(0)), ("a.txt", b"a"), ("b.jpg", jpeg(1))]).read_bytes()
    at = next(sample.offset + sample.size for sample in read_samples(path, "0.tar"))
    at += -at % 512  # where a.txt begins
    path.write_bytes(whole[:at] + evil + whole[at:])
    curate(tmp_path / "in", tmp_path / "r", {("0.tar", "a"), ("0.tar", "b")}, images_per_tar=9)
    left = read_tar(tmp_path / "r" / "curated" / "00000.tar")
    assert [(name, data) for name, data, _ in left] == [("a.jpg", jpeg(0)), ("a.txt", b"a"), ("b.jpg", jpeg(1))]
