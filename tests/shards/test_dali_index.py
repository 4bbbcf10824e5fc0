"""The .idx beside a curated tar: DALI's reader takes it and gives with it what webdataset gives without."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from curated import finished, plan_output
from tar_readers import by_dali, by_webdataset, wds2idx
from tars import Member, jpeg, write_tar

from pycurate.shards.dali_index import index_of, index_path, write_index
from pycurate.shards.samples import read_samples
from pycurate.stages.write import write_curated

LONG = "deep/" * 30 + "name" * 30
FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}


@pytest.fixture(scope="module")
def curated(shared_images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The tars of two of three of the photographs beside the project, written with their indices."""
    results = tmp_path_factory.mktemp("curated")
    keys = [
        (name, sample.key) for name in ("00000.tar", "00001.tar") for sample in read_samples(shared_images / name, name)
    ]
    kept = {sample for number, sample in enumerate(keys) if number % 3}
    plan_output(results, finished(shared_images, results, kept), images_per_tar=25, tars_per_task=2)
    write_curated(results, dali_index=True)
    return sorted((results / "curated").glob("*.tar"))


def test_the_index_is_that_of_dalis_own_tool(curated: list[Path], tmp_path: Path) -> None:
    assert len(curated) == 3
    for tar in curated:
        assert index_path(tar).read_bytes() == wds2idx(tar, tmp_path / "other.idx")


def test_dali_reads_photographs_and_sidecars_as_webdataset_does(curated: list[Path]) -> None:
    members = ["jpg", "txt", "json"]
    read = by_dali(curated, members)
    assert len(read) == 66 and all(all(sample) for sample in read)
    assert read == by_webdataset(curated, members)


@pytest.mark.parametrize("format", FORMATS)
def test_the_index_of_unlike_samples_is_that_of_dalis_own_tool(tmp_path: Path, format: str) -> None:
    members = [("k0.jpg", jpeg(0)), ("k0.txt", b"zero"), ("k0.seg.png", b"mask"), ("a/k0.jpg", jpeg(1))]
    members += [("ä/k2.PNG", b"png"), ("ä/k2.txt", "grün".encode()), (".hidden.jpg", b"1"), ("a/.hidden.jpg", b"1")]
    members += [("k3.cls", b""), ("k3.jpg", jpeg(3))]
    if format == "pax":
        members += [(f"{LONG}.jpg", jpeg(4)), (f"{LONG}.txt", b"long")]
    tar = write_tar(tmp_path / "a.tar", members, FORMATS[format])
    assert index_of(tar).encode() == wds2idx(tar, tmp_path / "other.idx")


# What DALI's own tool gets wrong.
STRANGE: dict[str, Callable[[], list[Member]]] = {
    "a GNU long name": lambda: [
        (f"{LONG}.jpg", jpeg(0)),
        (f"{LONG}.txt", b"long"),
        ("k.jpg", jpeg(1)),
        ("k.txt", b"k"),
    ],
    "white space": lambda: [("a b/c\td.jpg", jpeg(0)), ("a b/c\td.txt", b"1\n"), ("k.jpg", jpeg(1)), ("k.txt", b"k")],
    "no dot": lambda: [("k.jpg", jpeg(0)), ("README", b"read me"), ("k.txt", b"k")],
    "not UTF-8": lambda: [("\udce4.jpg", jpeg(0)), ("\udce4.txt", b"1"), ("k\\0.jpg", jpeg(1)), ("k\\0.txt", b"k")],
}


@pytest.mark.parametrize("name", STRANGE)
def test_dali_reads_strange_names_as_webdataset_does(tmp_path: Path, name: str) -> None:
    members = STRANGE[name]()
    tar = write_tar(tmp_path / "a.tar", members, tarfile.GNU_FORMAT)
    write_index(tar)
    read = by_dali([tar], ["jpg", "txt"])
    assert read == by_webdataset([tar], ["jpg", "txt"])
    assert [data for sample in read for data in sample] == [data for name, data in members if "." in name]


def test_a_folder_a_link_and_a_sparse_member_are_no_components(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in (("d.jpg", tarfile.DIRTYPE), ("k.cls", tarfile.SYMTYPE), ("k.bin", tarfile.GNUTYPE_SPARSE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            tar.addfile(info)
    write_tar(tmp_path / "b.tar", [("k.jpg", jpeg(0))])
    joined = tmp_path / "c.tar"
    joined.write_bytes((tmp_path / "a.tar").read_bytes()[:1536] + (tmp_path / "b.tar").read_bytes())
    assert index_of(joined) == f"v1.2 1\njpg 2048 {len(jpeg(0))} k.jpg\n"


def test_an_older_index_never_stays_beside_a_new_tar(tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "00000.tar", [("a.jpg", jpeg(0)), ("b.jpg", jpeg(1))])
    plan_output(tmp_path, finished(tmp_path / "in", tmp_path, {("00000.tar", "a"), ("00000.tar", "b")}), 1, 1)
    write_curated(tmp_path, dali_index=True)
    index = index_path(tmp_path / "curated" / "00000.tar")
    assert index.read_text() == f"v1.2 1\njpg 512 {len(jpeg(0))} a.jpg\n"
    write_curated(tmp_path, ["00000"])
    assert not index.exists() and index_path(tmp_path / "curated" / "00001.tar").exists()
    write_curated(tmp_path)
    assert not list((tmp_path / "curated").glob("*.idx"))
