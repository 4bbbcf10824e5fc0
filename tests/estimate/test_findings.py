"""What is amiss in an input is named before a run, and nothing else is."""

from pathlib import Path

from odd_tars import around, sparse
from tars import Member, jpeg, write_tar

from pycurate.estimate.findings import findings
from pycurate.estimate.plan import Defaults
from pycurate.estimate.survey import survey
from pycurate.shards.count import HUGE, SKETCH
from pycurate.shards.listing import Shard, find_shards

DEFAULTS = Defaults.read()


def found(folder: Path) -> dict[str, int]:
    shards = find_shards(str(folder))
    return {finding.what: finding.count for finding in findings(survey(shards, None), DEFAULTS.partition_bytes)}


def sound(prefix: str, samples: int = 6) -> list[Member]:
    return [
        (f"{prefix}{at}.{ext}", data) for at in range(samples) for ext, data in (("jpg", jpeg(at)), ("txt", b"a cat"))
    ]


def test_nothing_is_said_of_an_input_without_fault(tmp_path: Path) -> None:
    for shard in range(3):
        write_tar(tmp_path / f"{shard}.tar", sound(f"{shard}-"))
    assert found(tmp_path) == {}


def test_each_trouble_of_shards_is_named(tmp_path: Path) -> None:
    for shard in range(6):
        write_tar(tmp_path / f"{shard}.tar", sound(f"{shard}-"))
    whole = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes((tmp_path / "1.tar").read_bytes()[:5000])
    hole = whole.index(b"0-2.jpg")  # a header begins with the name
    (tmp_path / "holed.tar").write_bytes(whole[:hole] + b"\xff" * 512 + whole[hole + 512 :])
    (tmp_path / "page.tar").write_bytes(b"<html>" * 2000)
    (tmp_path / "packed.tar").write_bytes(b"\x1f\x8b" + whole[:3000])
    (tmp_path / "nothing.tar").write_bytes(b"")
    write_tar(tmp_path / "folder_only.tar", [("readme", b"no sample has a name without a dot")])
    write_tar(tmp_path / "large.tar", sound("large", 60))
    said = found(tmp_path)
    repeated = [what for what in said if "keys" in what]
    assert len(repeated) == 1 and said.pop(repeated[0]) > 0  # the cut and the holed shard are copies
    assert said == {
        "shards are empty files": 1,
        "shards do not begin like a tar": 2,
        "shards are truncated or damaged up to the end": 1,
        "shards are damaged inside": 1,
        "shards are tars without samples": 1,
        "shards have more than 4 times the median size": 1,
    }


def test_a_shard_that_cannot_be_read_stops_the_run_and_says_so(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", sound("0-"))
    gone = Shard("gone.tar", tmp_path / "gone.tar", 1000)
    held = survey([*find_shards(str(tmp_path)), gone], None)
    (finding,) = findings(held, DEFAULTS.partition_bytes)
    assert finding.fatal and finding.what == "shards cannot be read" and held.samples.value == 6


def test_each_trouble_of_samples_is_named(tmp_path: Path) -> None:
    webp = b"RIFF\x10\0\0\0WEBPVP8 "
    heic, jxl = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\xff\x0a\xfa\x1f"
    members = [
        *sound("a", 9),
        ("text.txt", b"no image"),
        ("two.jpg", jpeg(1)),
        ("two.png", jpeg(2)),
        ("page.jpg", b"<html>"),
        ("void.jpg", b""),
        ("phone.heic", heic),
        ("new.jxl", jxl),
        ("renamed.jpg", webp),
        ("bare.jpg", jpeg(3)),
        ("huge.jpg", jpeg(4) + bytes(HUGE)),
        ("huge.json", b"{}"),
    ]
    write_tar(tmp_path / "0.tar", members)
    assert found(tmp_path) == {
        "samples have no image": 1,
        "samples have several images, or a key that occurred earlier in the shard": 1,
        "samples have an image that is not one (for example HTML)": 1,
        "samples have an image of 0 bytes": 1,
        "samples have a format that is not decoded (heic, jxl)": 2,
        "images have a wrong extension": 1,
        "samples lack a caption, which most have": 2,
        f"samples are larger than {HUGE // 10**6} MB": 1,
    }


def test_a_sparse_file_is_no_format(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(around(sparse(tmp_path, "b.bmp", b"BM")))
    assert found(tmp_path) == {"samples have a sparse file, or a member of a type that POSIX does not define": 1}


def test_keys_that_come_again_in_another_shard_are_named(tmp_path: Path) -> None:
    for shard in range(3):
        write_tar(tmp_path / f"{shard}.tar", [(f"{at:05}.jpg", b"\xff\xd8\xff") for at in range(SKETCH * 2)])
    write_tar(tmp_path / "other.tar", [(f"other{at:05}.jpg", b"\xff\xd8\xff") for at in range(SKETCH)])
    assert found(tmp_path) == {"keys, of those compared, occur in several shards": 3 * SKETCH}
