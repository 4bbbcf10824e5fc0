"""`pycurate refilter` says what it lacks, and replaces all or nothing."""

import os
from pathlib import Path

import pytest
from flows import pycurate
from report_run import decide_by, make_run, standard_rows

from pycurate.filters.filtering import Filtering
from pycurate.review.refilter import replace
from pycurate.stages.report import Setup, write_report
from pycurate.stages.write import write_curated


def test_refilter_says_what_it_lacks(results: Path, tmp_path: Path) -> None:
    done = pycurate("refilter", results, "--dedup")  # whose tables hold no pairs
    assert done.returncode == 2 and "did not deduplicate" in done.stderr
    done = pycurate("refilter", results, "--no-dedup", "--aesthetic-threshold", "0.4")
    assert done.returncode == 2 and "no score nsfw" in done.stderr and "leave out its threshold" in done.stderr
    done = pycurate("refilter", results, "--write", results.parent / "shards")
    assert done.returncode == 2 and "is not empty" in done.stderr


def test_a_table_that_is_cut_is_named_where_it_is(tmp_path: Path) -> None:
    results = make_run(tmp_path, standard_rows())
    write_report(results, Setup())
    table = results / "samples" / "samples_00000.parquet"
    os.truncate(table, 100)
    for words in ((), ("--write", tmp_path / "new"), ("--write", results)):
        done = pycurate("refilter", results, "--no-dedup", *words)
        assert done.returncode == 1 and f"{table} cannot be read as a table" in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_replacement_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, work = tmp_path / "target", tmp_path / "target" / "work"
    for folder, text in ((target, "old"), (work, "new")):
        (folder / "curated").mkdir(parents=True)
        for name in ("decisions.parquet", "report.html", "summary.json", "curated/00000.tar"):
            (folder / name).write_text(text)
    rename = Path.rename

    def full(self: Path, to: Path) -> Path:
        if self == work / "report.html":
            raise OSError("the disk is full")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="full"):
        replace(work, target)
    assert {path.read_text() for path in target.glob("*.*")} == {"old"}
    assert (target / "curated" / "00000.tar").read_text() == "old"


def test_a_copy_that_fails_leaves_a_folder_that_can_be_named_again(tmp_path: Path) -> None:
    results = make_run(tmp_path, standard_rows())
    write_curated(results)
    decide_by(results, Filtering(), dedup=False)
    write_report(results, Setup())
    lost = results / "samples" / "zzz"
    lost.symlink_to("nowhere")
    for _ in range(2):
        done = pycurate("refilter", results, "--no-dedup", "--write", tmp_path / "new")
        assert done.returncode == 1 and f"{lost} cannot be used, since it does not exist" in done.stderr, done.stderr
        assert not list((tmp_path / "new").iterdir())
    lost.unlink()
    done = pycurate("refilter", results, "--no-dedup", "--write", tmp_path / "new")
    assert done.returncode == 0, done.stderr


def test_what_scripts_left_is_whole_when_it_was_changed_in_place(tmp_path: Path) -> None:
    results = make_run(tmp_path, standard_rows())
    write_curated(results, dali_index=True)
    decide_by(results, Filtering(), dedup=False)
    write_report(results, Setup())
    assert not (results / "manifest.tsv").exists() and (results / "pipeline_info" / "versions.json").exists()
    (results / "curated" / "notes.txt").write_text("mine")
    done = pycurate("refilter", results, "--no-dedup", "--write", results)
    assert done.returncode == 0, done.stderr
    assert (results / "curated" / "notes.txt").read_text() == "mine"
    tars, indices = ({path.stem for path in results.glob(f"curated/*.{kind}")} for kind in ("tar", "idx"))
    assert tars == indices != set()
    done = pycurate("verify", results)
    assert done.returncode == 0, done.stdout + done.stderr
