"""The ledger: inputs are kept and dropped samples, in every table and tar; or the run fails."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from report_run import change_column, change_decisions, lose_a_kept_sample_from_a_tar, standard_rows

from pycurate.errors import LedgerError, TableError
from pycurate.report import ledger
from pycurate.results import buckets
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table, write_table
from pycurate.stages.report import Setup, write_report
from scripts import said


def test_the_ledger_of_a_sound_run(results: Path) -> None:
    counts = ledger.check(results)
    assert (counts.inputs, counts.kept) == (60, 30)
    assert counts.dropped == {"aesthetic": 12, "nsfw": 6, "duplicate_exact": 4, "duplicate_near": 6, "unreadable": 2}
    assert counts.unreadable == {"not_an_image": 1, "truncated": 1}
    assert (counts.shards, counts.written_shards) == (3, 3)
    assert counts.image_bytes == sum(len(row.data) for row in standard_rows())
    assert counts.written_bytes == sum(path.stat().st_size for path in results.glob("curated/*.tar"))


def double_a_sample(results: Path) -> None:
    path = path_of(results, "samples", "00000")
    write_table(path_of(results, "samples", "00001"), read_table(path).slice(5, 1))
    change_decisions(results, lambda table: pa.concat_tables([table, table.slice(5, 1)]))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a decision is missing": (
        lambda results: change_decisions(results, lambda table: table.slice(0, 59)),
        "60 input samples, but 30 are kept and 29 dropped|samples could not be read",
    ),
    "a decision about another sample": (
        lambda results: change_decisions(results, lambda table: change_column(table, "uid", 31, "0" * 32)),
        "1 samples have no decision",
    ),
    "a decision twice, another missing": (
        lambda results: change_decisions(
            results, lambda table: change_column(table, "uid", 31, table["uid"][32].as_py())
        ),
        "more than once in the decisions",
    ),
    "a sample twice in both tables": (double_a_sample, "more than once in the samples"),
    "kept with a reason to drop": (
        lambda results: change_decisions(results, lambda table: change_column(table, "reason", 0, "nsfw")),
        "kept with a reason to drop",
    ),
    "no reason": (
        lambda results: change_decisions(results, lambda table: change_column(table, "reason", 40, None)),
        "has no decision",
    ),
    "an unreadable sample called a duplicate": (
        lambda results: change_decisions(results, lambda table: change_column(table, "reason", 59, "duplicate_near")),
        "2 samples could not be read, but 1",
    ),
    "a kept sample that goes nowhere": (
        lambda results: change_decisions(results, lambda table: change_column(table, "output_shard", 0, None)),
        "only 29 have an output shard",
    ),
    "a dropped sample that is written": (
        lambda results: change_decisions(results, lambda table: change_column(table, "output_shard", 40, "00000.tar")),
        "1 dropped samples have an output shard",
    ),
    "a tar with a sample too few": (
        lose_a_kept_sample_from_a_tar,
        "00001.tar should contain 10 samples, but contains 9",
    ),
    "a tar that was not finished": (
        lambda results: (results / "curated" / "00002_stats.json").unlink(),
        "00002.tar should contain 10 samples, but contains 0",
    ),
    "a tar of an earlier run": (
        lambda results: (results / "curated" / "00003_stats.json").write_text('{"samples": 4, "bytes": 1}'),
        "00003.tar should contain 0 samples, but contains 4",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_ledger_that_does_not_add_up_is_an_error(results: Path, fault: str) -> None:
    damage, says = FAULTS[fault]
    damage(results)
    with pytest.raises(LedgerError, match=says):
        write_report(results, Setup())
    assert not (results / "summary.json").exists()
    assert not (results / "report.html").exists()


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("a decision about another sample", "run again from DECIDE"),
        ("a decision twice, another missing", "run again from DECIDE"),
        ("a sample twice in both tables", "run again from EMBED"),
        ("an unreadable sample called a duplicate", "run again from DECIDE"),
        ("a tar that was not finished", "run WRITE again"),
        ("a tar of an earlier run", "run WRITE again"),
    ],
)
def test_the_remedy_is_that_of_the_stage_at_fault(results: Path, fault: str, remedy: str) -> None:
    FAULTS[fault][0](results)
    with pytest.raises(LedgerError, match=f"; do not use this output, but {remedy}\\.$"):
        ledger.check(results)


@pytest.mark.parametrize("uid", ["0" * 31, "0" * 40, "g" * 32])
def test_what_is_no_uid_is_said_to_be_none(results: Path, uid: str) -> None:
    change_decisions(results, lambda table: change_column(table, "uid", 31, uid))
    with pytest.raises(TableError, match="A uid is not 32 hex digits"):
        ledger.check(results)


def test_a_missing_partition_is_embedded_again(results: Path) -> None:
    with pytest.raises(LedgerError, match=r"2 partitions, but 1 samples tables; .* run again from EMBED\.$"):
        ledger.check(results, 2)


def test_the_remedies_are_enough(results: Path) -> None:
    """After another decision, WRITE; where that writes nothing, away with what an earlier one left."""
    decide = ("decide", "--results", results, "--no-dedup")
    said(*decide, "--images-per-tar", "20")
    assert "but run WRITE again." in said("report", "render", "--results", results, code=1)
    said("write", "--results", results)
    said("report", "render", "--results", results)
    said(*decide, "--no-write")
    assert "but remove curated/, which" in said("report", "render", "--results", results, code=1)
    shutil.rmtree(results / "curated")
    said("report", "render", "--results", results)


def test_uids_are_compared_in_buckets(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "ROWS", 7)
    ledger.check(results)
    change_decisions(results, lambda table: change_column(table, "uid", 31, "0" * 32))
    with pytest.raises(LedgerError, match=r"have no decision|do not belong to any sample"):
        ledger.check(results)


def test_a_run_that_is_to_write_nothing_adds_up_without_shards(results: Path) -> None:
    place = read_table(results / "decisions.parquet").schema.get_field_index("output_shard")
    nowhere = pa.nulls(60, pa.string())
    change_decisions(results, lambda table: table.set_column(place, "output_shard", nowhere))
    with pytest.raises(LedgerError, match=r"00000\.tar should contain 0 samples, but contains 10"):
        ledger.check(results)
    shutil.rmtree(results / "curated")
    counts = ledger.check(results)
    assert (counts.kept, counts.written_shards, counts.written_bytes) == (30, 0, 0)
    assert write_report(results, Setup())["written"] == {"shards": 0, "bytes": 0}
