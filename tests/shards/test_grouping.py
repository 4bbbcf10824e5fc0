"""Members become samples as webdataset groups them, each with one image."""

import io
import tarfile
from pathlib import Path

import pytest
import webdataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tars import jpeg, read_shard, write_tar

from pycurate.shards.grouping import MOST_OPEN

KEYS = ["a", "b", "dir/a", "./c", "../up", "/abs/d", "d.e/f", "ä", ".hidden", "x" * 300]
KEYS += ["__meta__/a", "__index", "__a__", "____/b", "d/__meta__/a", "./__meta__/a"]  # metadata, or nearly so


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.tuples(
            st.sampled_from(KEYS),
            st.sampled_from(["jpg", "JPG", "txt", "json", "seg.png", "cls", "json__", "__key__", "__URL__"]),
        ),
        max_size=12,
        unique=True,
    )
)
def test_keys_are_grouped_as_webdataset_groups_them(tmp_path: Path, names: list[tuple[str, str]]) -> None:
    members = [(f"{key}.{ext}", f"{key}{ext}".encode()) for key, ext in names]
    path = write_tar(tmp_path / "s.tar", members)
    try:
        expected = [
            sample["__key__"] for sample in webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)
        ]
    except ValueError:  # .JPG and .jpg of one key: webdataset gives up there, pycurate marks the sample
        assert "duplicate_key" in {sample.error for sample in read_shard(path)}
        return
    samples = [sample for sample in read_shard(path) if sample.error != "no_samples"]
    assert [sample.key for sample in samples] == expected
    assert len({sample.uid for sample in samples}) == len(expected)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abc"), st.sampled_from(["jpg", "txt", "cls"]), st.just(tarfile.REGTYPE)),
            st.tuples(
                st.sampled_from("lmn"),
                st.sampled_from(["jpg", "txt"]),
                st.sampled_from([tarfile.LNKTYPE, tarfile.SYMTYPE, b"q"]),
            ),
        ),
        max_size=15,
        unique_by=lambda member: member[:2],
    )
)
def test_links_end_no_sample_of_another_key(tmp_path: Path, members: list[tuple[str, str, bytes]]) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as tar:
        for key, extension, kind in [("0", "jpg", tarfile.REGTYPE), *members]:
            info = tarfile.TarInfo(f"{key}.{extension}")
            info.type, info.linkname = kind, "0.jpg"
            info.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(key.encode() * 3))
    found = read_shard(path)
    assert sorted(found, key=lambda sample: sample.tar_offset) == found
    assert {sample.key for sample in found if sample.key in "lmn"} == {key for key, *_ in members if key in "lmn"}
    files = [sample for sample in found if sample.key not in "lmn"]
    expected = list(webdataset.WebDataset(str(path), shardshuffle=False))
    assert [sample.key for sample in files] == [sample["__key__"] for sample in expected]
    for one, other in zip(files, expected, strict=True):
        if one.error is None:
            assert (one.data, one.caption) == (other["jpg"], other["txt"].decode() if "txt" in other else None)


def test_a_run_of_links_is_not_held_without_end(tmp_path: Path) -> None:
    links = [(f"{number}.jpg", tarfile.LNKTYPE) for number in range(2 * MOST_OPEN)]
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, kind in [("a.jpg", tarfile.REGTYPE), *links, ("a.txt", tarfile.REGTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.jpg"
            tar.addfile(info, io.BytesIO())
    found = read_shard(tmp_path / "s.tar")
    assert [sample.key for sample in found] == ["a", *(name[:-4] for name, _ in links), "a"]
    assert [sample.error for sample in found] == [None] * (1 + len(links)) + ["duplicate_key"]


def test_metadata_ends_no_sample_and_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    members = [("a.jpg", jpeg(0)), ("__meta__/info.json", b"{}"), ("__index.json__", b"{}"), ("a.txt", b"a cat")]
    path = write_tar(tmp_path / "s.tar", [*members, ("__thumbs__/c.jpg", jpeg(1)), ("._a.jpg", b"mac")])
    assert [(sample.key, sample.error, sample.caption) for sample in read_shard(path)] == [("a", None, "a cat")]
    assert "3 webdataset metadata files (__*__) are skipped." in caplog.text
    assert "1 macOS metadata files (._*, .DS_Store, __MACOSX) are skipped." in caplog.text
    (sample,) = webdataset.WebDataset(str(path), shardshuffle=False)
    assert (sample["__key__"], sample["txt"]) == ("a", b"a cat")


def test_a_sample_needs_exactly_one_image(tmp_path: Path) -> None:
    members = [("a.txt", b"x"), ("b.jpg", jpeg(1)), ("b.png", b"x"), ("c.jpg", jpeg(2)), ("c.jpg", jpeg(3))]
    members += [("d.jpg", jpeg(4)), ("e.photo.jpg", jpeg(5)), ("d.txt", b"too late")]
    samples = read_shard(write_tar(tmp_path / "s.tar", members))
    found = [(sample.key, sample.error) for sample in samples]
    assert found == [
        ("a", "no_image"),
        ("b", "duplicate_key"),
        ("c", "duplicate_key"),
        ("d", None),
        ("e", None),
        ("d", "duplicate_key"),
    ]
    assert len({sample.uid for sample in samples}) == 6
