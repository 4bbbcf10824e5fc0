"""`pycurate refilter` says what it lacks, replaces all or nothing, and can be taken back."""

import hashlib
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pyarrow.compute as pc
import pytest
from flows import pycurate
from report_run import change_column, change_decisions, decide_by, make_run, standard_rows

from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.errors import TableError
from pycurate.filters.filtering import Filtering
from pycurate.results.criteria import read_criteria
from pycurate.results.layout import path_of
from pycurate.results.manifest import read_manifest
from pycurate.results.plan import Layout
from pycurate.results.tables import decided, read_summary, read_table, write_table
from pycurate.review.refilter import Wanted, preview, put_in_place
from pycurate.stages.decide import decide
from pycurate.stages.dedup import find_pairs
from pycurate.stages.report import Setup, write_report
from pycurate.stages.write import write_curated


def test_refilter_says_what_it_lacks(results: Path, tmp_path: Path) -> None:
    done = pycurate("refilter", results, "--dedup")  # whose tables hold no pairs
    assert done.returncode == 2 and "did not deduplicate" in done.stderr
    done = pycurate("refilter", results, "--no-dedup", "--aesthetic-threshold", "0.4")
    assert done.returncode == 2 and "no score nsfw" in done.stderr and "leave out its threshold" in done.stderr
    done = pycurate("refilter", results, "--write", results.parent / "shards")
    assert done.returncode == 2 and "is not empty" in done.stderr
    for words in (["--dedup"], ["--no-dedup", "--keep-top", "beauty=3"]):
        done = pycurate("refilter", results, *words, "--write", tmp_path / "made" / "new")
        assert done.returncode == 2 and not (tmp_path / "made").exists(), done.stderr


def test_a_table_that_is_cut_is_named_where_it_is(tmp_path: Path) -> None:
    results = make_run(tmp_path, standard_rows())
    write_report(results, Setup())
    table = results / "samples" / "samples_00000.parquet"
    os.truncate(table, 100)
    for words in ((), ("--write", tmp_path / "new"), ("--write", results)):
        done = pycurate("refilter", results, "--no-dedup", *words)
        assert done.returncode == 1 and f"{table} cannot be read as a table" in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("fails", [True, False])
def test_a_replacement_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """And wherever a summary stands on the way, all of its results stand beside it."""
    target, work = tmp_path / "target", tmp_path / "target" / "work"
    names = ("decisions.parquet", "report.html", "summary.json", "curated/00000.tar")
    for folder, text in ((target, "old"), (work, "new")):
        (folder / "curated").mkdir(parents=True)
        for name in names:
            (folder / name).write_text(text)
    rename = Path.rename

    def texts() -> list[str]:
        return [(target / name).read_text() for name in names if (target / name).exists()]

    def full(self: Path, to: Path) -> Path:
        if fails and self == work / "report.html":
            raise OSError("the disk is full")
        moved = rename(self, to)
        assert not (target / "summary.json").exists() or texts() in (["old"] * 4, ["new"] * 4)
        return moved

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="full") if fails else nullcontext():
        put_in_place(work, target)
    assert texts() == ["old" if fails else "new"] * 4


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
    (results / "pipeline_info" / "parameters.yaml").write_text("dedup: true")
    done = pycurate("refilter", results, "--no-dedup", "--write", results)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (results / "pipeline_info").iterdir()] == ["versions.json"]
    assert (results / "curated" / "notes.txt").read_text() == "mine"
    tars, indices = ({path.stem for path in results.glob(f"curated/*.{kind}")} for kind in ("tar", "idx"))
    assert tars == indices != set()
    done = pycurate("verify", results)
    assert done.returncode == 0, done.stdout + done.stderr


def test_duplicates_can_be_dropped_again_after_they_were_kept(tmp_path: Path) -> None:
    """Also where some are those of a reference set, which without duplicates decides nothing."""
    (tmp_path / "old").mkdir()
    reference = make_run(tmp_path / "old", standard_rows()[:30])
    write_report(reference, Setup())
    results = make_run(tmp_path, standard_rows())
    sources = sources_of(results, [reference])
    find_pairs(results, sources, Settings(0.9))
    decide(results, sources, Filtering(), Layout(10, 2), dedup=True)
    write_curated(results)
    write_report(results, Setup())
    before = decided(results)
    assert before["duplicate_reference"] > 30
    for words in (["--no-dedup"], ["--images-per-tar", "20"], ["--dedup", "--images-per-tar", "10"]):
        done = pycurate("refilter", results, *words, "--write", results)
        assert done.returncode == 0, done.stderr
        assert ("duplicate_reference" in decided(results)) == ("--dedup" in words)
    assert decided(results) == before
    table = path_of(reference, "samples", "00000")
    write_table(table, read_table(table).slice(1))
    done = pycurate("refilter", results)
    assert done.returncode == 1 and f"Duplicates in {results} were sought with other" in done.stderr, done.stderr
    shutil.rmtree(results / "pairs")  # which docs/output.md allows
    done = pycurate("refilter", results)
    assert done.returncode == 2 and "or its pairs were deleted" in done.stderr, done.stderr


def test_a_list_that_is_emptied_is_no_parameter_any_more(tmp_path: Path) -> None:
    results = scored_run(tmp_path)
    decide(results, sources_of(results), Filtering(0.5, min_score=["nsfw=0.1"]), Layout(10, 2), dedup=False)
    write_curated(results)
    write_report(results, Setup({"aesthetic_threshold": 0.5, "min_score": "nsfw=0.1"}))
    done = pycurate("refilter", results, "--min-score", "", "--write", tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / "new" / name).is_file() for name in read_manifest(tmp_path / "new"))
    summary = read_summary(tmp_path / "new")
    assert {one["parameter"] for one in summary["filters"]} == {"aesthetic_threshold"}
    assert summary["parameters"]["aesthetic_threshold"] == 0.5 and "min_score" not in summary["parameters"]


def test_parameters_are_those_that_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With paths that are found from anywhere, and none of a balance that is off."""
    results = scored_run(tmp_path)
    decide(results, sources_of(results), Filtering(balance="cells", target=9), Layout(10, 2), dedup=False)
    write_curated(results)
    write_report(results, Setup({"balance": "cells", "target": 9, "preset": "light"}))
    (tmp_path / "known.txt").write_text("0" * 64)
    monkeypatch.chdir(tmp_path)
    done = pycurate("refilter", results, "--balance", "none", "--blocklist", "sha256:known.txt", "--write", "new")
    assert done.returncode == 0, done.stderr
    parameters = read_summary(tmp_path / "new")["parameters"]
    assert parameters["blocklist"] == f"sha256:{tmp_path / 'known.txt'}" and parameters["preset"] == "light"
    assert not {"balance", "target"} & parameters.keys()


def test_what_was_not_written_is_laid_out_as_the_run_says(tmp_path: Path) -> None:
    results = scored_run(tmp_path)
    shutil.rmtree(results / "curated")
    decide(results, sources_of(results), Filtering(), None, dedup=False)
    write_report(results, Setup({"images_per_tar": 7, "tars_per_task": 3, "write": False}))
    done = pycurate("refilter", results, "--write", tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert read_criteria(tmp_path / "new").layout == Layout(7, 3)


@pytest.mark.parametrize("fault", ["another sample", "a sample less"])
def test_decisions_of_other_samples_are_not_compared(tmp_path: Path, fault: str) -> None:
    results = scored_run(tmp_path)
    if fault == "a sample less":
        change_decisions(results, lambda table: table.slice(0, 59))
    else:
        change_decisions(results, lambda table: change_column(table, "uid", 31, "0" * 32))
    with pytest.raises(TableError, match="do not match its samples; run the workflow again"):
        preview(results, Wanted(Filtering(), False, Layout()))


def test_a_comma_in_the_path_of_a_blocklist_parts_nothing(tmp_path: Path) -> None:
    results = scored_run(tmp_path)
    rows = standard_rows()
    known = tmp_path / "lists, old" / "known.txt"
    known.parent.mkdir()
    known.write_text("\n".join(hashlib.sha256(row.data).hexdigest() for row in rows[:3]))
    (tmp_path / "link.txt").symlink_to(known)
    filtering = Filtering(blocklist=[f"sha256:{tmp_path / 'link.txt'}"])
    decide(results, sources_of(results), filtering, Layout(10, 2), dedup=False)
    write_curated(results)
    write_report(results, Setup())
    done = pycurate("refilter", results)
    assert done.returncode == 0 and "0 samples added, 0 removed" in done.stdout, done.stderr
    listed = {row.data for row in rows[:3]}
    assert decided(results)["blocked"] == sum(row.data in listed for row in rows)


def scored_run(folder: Path) -> Path:
    """A run as `make_run` leaves it, with a table of scores."""
    results = make_run(folder, standard_rows())
    decisions = read_table(results / "decisions.parquet")
    known = decisions.filter(pc.not_equal(decisions["reason"], "unreadable"))
    write_table(path_of(results, "scores", "00000"), known.select(["uid", "aesthetic", "nsfw"]))
    return results
