"""`pycurate inspect`: what the tables say of one sample, and its image."""

import hashlib
import shutil
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from flows import inspected, pycurate
from report_run import HOSTILE, change_column, change_decisions, crops, decide_by, make_run, standard_rows

from pycurate.cli.inspect import described
from pycurate.errors import ShardError, TableError, UsageError
from pycurate.filters.filtering import Filtering
from pycurate.results.criteria import read_criteria
from pycurate.results.tables import read_table, write_table
from pycurate.review.lookup import extract, look_up, matching
from pycurate.stages.report import Setup, write_report


def test_each_kind_of_sample(results: Path) -> None:
    text = inspected(results, "kept00")
    assert "decision kept" in text and "curated/00000.tar" in text
    assert "duplicates 5 dropped as duplicates of it" in text and "00001.tar/copy00, cosine 1.0000" in text
    assert "aesthetic 0.5000, kept at least 0.5" in text and "jpeg, 320 x 240" in text
    assert str(results.parent / "shards" / "00000.tar") in text
    text = inspected(results, "dull03")
    assert "dropped: aesthetic (Aesthetic filter), set to 0.5" in text and "to nowhere" in text
    text = inspected(results, "near01")
    assert "dropped: duplicate_near" in text and "duplicate of 00000.tar/kept01" in text and "cosine 0.9100" in text
    text = inspected(results, "broken")
    assert "cannot be read, not_an_image: The file broken cannot be read." in text
    # A stranger's caption cannot draw on the terminal: it is quoted as JSON.
    assert '\\"' in inspected(results, "kept03") and HOSTILE not in inspected(results, "kept03")


def test_each_filter_of_a_reason_is_named(tmp_path: Path) -> None:
    folder = make_run(tmp_path, standard_rows())
    write_report(folder, Setup())
    decide_by(folder, Filtering(0.1, 0.5, min_score=["aesthetic=0.5"]))
    text = inspected(folder, "dull06")
    assert "dropped: aesthetic (Aesthetic filter), set to 0.1 or set to 0.5" in text
    assert "aesthetic 0.2500, kept at least 0.1, kept at least 0.5" in text


def test_scores_are_told_apart_however_long_their_names(tmp_path: Path) -> None:
    folder = make_run(tmp_path, standard_rows())
    write_report(folder, Setup())
    names = {"aesthetic": "norm_sim_2_target_a", "aesthetic_raw": "norm_sim_2_target_b"}
    table = read_table(folder / "decisions.parquet")
    table = table.rename_columns([names.get(name, name) for name in table.column_names])
    write_table(folder / "decisions.parquet", table)
    done = pycurate("inspect", folder, "kept07")
    lines = done.stdout.splitlines()
    assert any(line.startswith("norm_sim_2_target_a 0.6167") for line in lines), done
    assert any(line.startswith("norm_sim_2_target_b 4.1667") for line in lines)
    assert {line[19] for line in lines} == {" "}  # what is said stands in one column


def test_a_choice_that_chose_none_is_named(tmp_path: Path) -> None:
    folder = make_run(tmp_path, standard_rows())
    write_report(folder, Setup())
    decide_by(folder, Filtering(0.5, keep_top=["aesthetic=0.001"]))
    change_decisions(folder, lambda table: change_column(table, "reason", 7, "top_aesthetic"))
    change_decisions(folder, lambda table: change_column(table, "kept", 7, False))
    text = inspected(folder, "kept07")
    assert "dropped: top_aesthetic (top_aesthetic), not among the top 0.001" in text
    assert "aesthetic 0.6167, kept at least 0.5, kept among the top 0.001" in text


def test_of_many_duplicates_few_are_held(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    (kept,) = matching(results, "kept00")
    count = 50_000
    decisions = read_table(folder / "decisions.parquet")
    copies = decisions.filter(pc.equal(decisions["duplicate_of"], kept["uid"])).slice(0, 1)
    copies = pa.concat_tables([copies] * count).set_column(0, "uid", [[f"{i:032x}" for i in range(count)]])
    write_table(folder / "decisions.parquet", pa.concat_tables([decisions, copies.cast(decisions.schema)]))
    tracemalloc.start()
    found = look_up(folder, kept["uid"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.copied == count + 5 and len(found.copies) == 20
    assert peak < 50 * count  # bytes


@pytest.mark.parametrize(
    ("score", "threshold", "told"),
    [
        (0.49998, 0.5, "0.49998"),
        (0.5, 0.5, "0.5000"),
        (7e-6, 5e-6, "7e-06"),
        (0.7, 0.7, "0.7000"),
        (0.2, 0.5, "0.2000"),
    ],
)
def test_a_score_is_told_on_its_side_of_the_threshold(
    tmp_path: Path, score: float, threshold: float, told: str
) -> None:
    folder = make_run(tmp_path, standard_rows())
    write_report(folder, Setup())
    decide_by(folder, Filtering(threshold))
    change_decisions(folder, lambda table: change_column(table, "aesthetic", 7, score))
    assert f"aesthetic {told}, kept at least {threshold}" in inspected(folder, "kept07")


def test_the_run_as_a_whole(results: Path) -> None:
    lines = [line.split() for line in inspected(results).splitlines()]
    assert ["inputs", "60"] in lines and ["kept", "30"] in lines and ["duplicate_near", "6"] in lines


def test_the_image_is_that_of_the_shard(results: Path, tmp_path: Path) -> None:
    inspected(results, "kept07", "--extract", tmp_path / "seven.jpg")
    assert (tmp_path / "seven.jpg").read_bytes() == crops(50)[7]
    (row,) = matching(results, "00000.tar/kept08")
    found = look_up(results, row["uid"])
    place = extract(found, tmp_path)
    assert place == tmp_path / f"{row['uid']}.jpg"
    assert hashlib.sha256(place.read_bytes()).hexdigest() == found.sample["sha256"]


def test_a_slash_behind_a_name_means_a_folder(results: Path, tmp_path: Path) -> None:
    (row,) = matching(results, "kept07")
    for _ in range(2):
        text = inspected(results, "kept07", "--extract", f"{tmp_path}/new/ex/")
        assert f"written {tmp_path}/new/ex/{row['uid']}.jpg" in text
    assert (tmp_path / "new" / "ex" / f"{row['uid']}.jpg").read_bytes() == crops(50)[7]
    found = look_up(results, row["uid"])
    found.sample["sha256"] = "0" * 64
    with pytest.raises(ShardError, match="SHA-256 differs"):
        extract(found, tmp_path / "other", folder=True)
    assert not (tmp_path / "other").exists()


def test_a_sample_without_an_image_is_said_to_have_none(results: Path, tmp_path: Path) -> None:
    found = look_up(results, matching(results, "broken")[0]["uid"])
    nothing = {"offset": 0, "size": 0, "error": "no_image", "error_message": "The sample contains no image, only .txt."}
    found.sample.update(nothing)
    lines = dict(described(found, read_criteria(results)))
    assert lines["from"].endswith("; no image")
    with pytest.raises(ShardError, match=r"'broken' of 00002.tar has no image to extract: The sample contains no"):
        extract(found, tmp_path)


def test_what_cannot_be_told(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SHARD/KEY"):
        matching(results, "nobody")
    assert pycurate("inspect", results, "--extract", tmp_path).returncode == 2
    rows = standard_rows()[:30]
    rows[0].data = b""
    folder = make_run(tmp_path, rows)
    (folder.parent / "shards" / "00000.tar").unlink()
    with pytest.raises(ShardError, match="gone"):
        extract(look_up(folder, matching(folder, "kept01")[0]["uid"]), tmp_path)
    with pytest.raises(ShardError, match="cannot be read from"):
        extract(look_up(folder, matching(folder, "kept00")[0]["uid"]), tmp_path)
    shutil.rmtree(folder / "samples")
    with pytest.raises(TableError, match="no samples files"):
        look_up(folder, matching(folder, "kept00")[0]["uid"])


def test_a_key_of_several_samples_is_listed(tmp_path: Path) -> None:
    rows = standard_rows()[:30]
    folder = make_run(tmp_path, rows)
    write_report(folder, Setup())
    table = read_table(folder / "decisions.parquet")
    keys = ["kept01" if key == "kept02" else key for key in table["key"].to_pylist()]
    write_table(folder / "decisions.parquet", table.set_column(2, "key", [keys]))
    done = pycurate("inspect", folder, "kept01")
    assert done.returncode == 2 and done.stdout.count("00000.tar/kept01") == 2


def test_what_decided_is_read_where_it_was_written_down(tmp_path: Path) -> None:
    """Whatever parameters REPORT is given: they are shown, and decide nothing."""
    folder = make_run(tmp_path, standard_rows())
    write_report(folder, Setup({"aesthetic_threshold": 0.9, "nsfw_threshold": 0.1, "dedup": False}))
    assert "aesthetic 0.6167, kept at least 0.5" in inspected(folder, "kept07")
    assert "nsfw 0.1167, kept below 0.5" in inspected(folder, "kept07")
    page = (folder / "report.html").read_text()
    assert "this run: 0.5" in page and "this run: 0.9" not in page
    assert "Keep aesthetic at least" in page and "Keep nsfw below" in page
    (folder / "decisions.json").write_text("{}")
    done = pycurate("inspect", folder, "kept07")
    assert done.returncode == 1 and "run DECIDE again" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("ext", ["j" * 300 + ".jpg", "../../x.jpg", "a/b.jpg", "..", "\0.jpg", "\x1b[2J.jpg"])
def test_an_extension_of_a_stranger_leaves_no_folder(ext: str, tmp_path: Path) -> None:
    results = make_run(tmp_path, standard_rows()[:30])
    found = look_up(results, matching(results, "kept01")[0]["uid"])
    found.sample["ext"] = ext
    (tmp_path / "out").mkdir()
    place = extract(found, tmp_path / "out")
    assert place == tmp_path / "out" / f"{found.sample['uid']}.jpeg" and place.exists()
