"""The examples are a fair and small choice, the same however the rows lie."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from report_run import Row, change_column, change_decisions, crops, decide_by, make_run

from pycurate.filters.filtering import Filtering
from pycurate.report import examples
from pycurate.report.examples import select_examples
from pycurate.results.tables import read_table


def test_the_choice_covers_what_a_curator_asks(results: Path) -> None:
    chosen = select_examples(results)
    assert set(pc.unique(chosen["section"]).to_pylist()) >= {"score", "threshold", "reason", "group", "pair"}
    assert (results / "examples.tsv").read_text() == "00000.tar\n00001.tar\n00002.tar\n"
    rows = chosen.to_pylist()
    sides = [row for row in rows if row["section"] == "threshold" and row["name"] == "aesthetic"]
    nearest_above = min(value for value in chosen["aesthetic"].to_pylist() if value >= 0.5)
    assert next(row["aesthetic"] for row in sides if row["part"] == 1) == nearest_above
    assert all((row["aesthetic"] >= 0.5) == bool(row["part"]) for row in sides)
    group = [row for row in rows if row["section"] == "group" and row["key"] == "kept00"]
    assert group[0]["place"] == 0
    largest = [row["key"] for row in rows if row["section"] == "group" and row["name"] == group[0]["uid"]]
    assert largest[0] == "kept00" and set(largest[1:]) == {"near00", "copy00", "copy01", "copy02", "copy03"}
    first_pair = [row["key"] for row in rows if row["name"] == "above" and row["part"] == 0]
    assert first_pair == ["kept00", "near00"]
    assert "unreadable" not in {row["reason"] for row in rows}


def test_the_choice_is_the_same_however_the_rows_lie(results: Path, tmp_path: Path) -> None:
    first = select_examples(results)
    change_decisions(results, lambda table: table.take(np.random.default_rng(1).permutation(60)))
    assert select_examples(results).equals(first)


def test_the_choice_stays_small(tmp_path: Path) -> None:
    data = crops(1)[0]
    rows = [Row(f"image{i:04}", data, i / 600, 1 - i / 600) for i in range(600)]
    results = make_run(tmp_path, rows, per_shard=300)
    assert select_examples(results).num_rows < 100


def test_a_kept_image_of_a_reference_set_is_no_example(results: Path) -> None:
    change_decisions(results, lambda table: change_column(table, "duplicate_of", 52, "f" * 32))
    assert "f" * 32 not in select_examples(results)["uid"].to_pylist()


def test_a_kept_image_of_a_reference_set_may_have_the_uid_of_another(results: Path) -> None:
    chosen = read_table(results / "decisions.parquet")
    row = chosen["key"].to_pylist().index("copy00")
    kept = chosen["duplicate_of"][row].as_py()
    change_decisions(results, lambda table: change_column(table, "reason", row, "duplicate_reference"))
    rows = [row for row in select_examples(results).to_pylist() if row["section"] == "group"]
    ours = [row["key"] for row in rows if row["name"] == kept]
    assert ours[0] == "kept00" and set(ours[1:]) == {"near00", "copy01", "copy02", "copy03"}
    assert [row["key"] for row in rows if row["name"] == f"{kept} of a reference"] == ["copy00"]


def test_a_raw_scale_has_examples_where_it_decides_or_stands_alone(results: Path) -> None:
    shown = [row for row in select_examples(results).to_pylist() if row["name"] == "aesthetic_raw"]
    assert not shown  # it is the order of `aesthetic` once more
    decide_by(results, Filtering(min_score=["aesthetic_raw=4"]))
    shown = [row for row in select_examples(results).to_pylist() if row["name"] == "aesthetic_raw"]
    assert {row["section"] for row in shown} == {"score", "threshold"}
    sides = [row for row in shown if row["section"] == "threshold"]
    assert {row["part"] for row in sides} == {0, 1}
    assert all((row["aesthetic_raw"] >= 4) == bool(row["part"]) for row in sides)
    decide_by(results)
    change_decisions(results, lambda table: table.drop_columns("aesthetic"))
    shown = [row for row in select_examples(results).to_pylist() if row["name"] == "aesthetic_raw"]
    assert {row["section"] for row in shown} == {"score"}


def test_groups_are_counted_whole_however_many_there_are(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that was small, and forgotten among others, before it grew."""
    monkeypatch.setattr(examples, "COUNTED", 4)
    table = read_table(results / "decisions.parquet")
    uids = table["uid"].to_pylist()
    # Five groups at first, of which the largest two are remembered; then one of the others grows.
    kept = [uids[at] for at in (0, 0, 1, 1, 2, 3, 4)] + [None] * 3 + [uids[4]] * 6
    place = table.schema.get_field_index("duplicate_of")
    column = pa.array([None] * 30 + kept + [None] * (60 - 30 - len(kept)), pa.string())
    pq.write_table(table.set_column(place, "duplicate_of", column), results / "decisions.parquet", row_group_size=10)
    rows = [row for row in select_examples(results).to_pylist() if row["section"] == "group"]
    assert {row["name"]: row["value"] for row in rows}[uids[4]] == kept.count(uids[4])
