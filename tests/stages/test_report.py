"""REPORT as a script: what its page says, and how it fails."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from by_hand import MODELS, call, make_set
from dedup_sets import Samples, clustered, write_set
from report_run import (
    Row,
    change_column,
    change_decisions,
    decide_by,
    lose_a_kept_sample_from_a_tar,
    make_run,
    write_cost,
)

from pycurate.errors import TableError
from pycurate.filters.filtering import Filtering
from pycurate.report.examples import select_examples
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table, write_table
from pycurate.stages.report import NAMED, Setup, unreadable_rows, weights_in, write_report
from scripts import said, started


def test_a_run_without_any_sample(tmp_path: Path) -> None:
    results = make_run(tmp_path, [Row("broken", b"", error="empty")])
    assert select_examples(results).num_rows == 0
    facts = write_report(results, Setup())
    assert (facts["inputs"], facts["kept"], facts["dropped"]) == (1, 0, {"unreadable": 1})


def test_the_first_unreadable_samples_of_each_code_are_named_and_none_that_is_blocked(tmp_path: Path) -> None:
    rows = [Row(f"{code[0]}{i}", b"", error=code) for i in range(NAMED + 3) for code in ("truncated", "empty")]
    results = make_run(tmp_path, [*rows, Row("a", b"", error="not_an_image")])
    change_decisions(results, lambda table: change_column(table, "reason", 3, "blocked"))
    named = [(row["error"], row["key"], row["error_message"]) for row in unreadable_rows(results)]
    due = [("empty", f"e{i}") for i in range(NAMED + 1) if i != 1] + [("not_an_image", "a")]
    due += [("truncated", f"t{i}") for i in range(NAMED)]
    assert named == [(code, key, f"The file {key} cannot be read.") for code, key in due]


def test_weights_are_files_that_are_neither_hidden_nor_checksums(tmp_path: Path) -> None:
    for name in ("b/x.pt", "a.pth", "a.pth.sha256", ".lock", "b/.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    assert weights_in(tmp_path) == {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a.pth", "b/x.pt")}


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="samples"):
        write_report(tmp_path, Setup())


def test_the_script_without_a_sum_fails(results: Path) -> None:
    lose_a_kept_sample_from_a_tar(results)
    done = started("report", "render", "--results", results)
    assert done.returncode == 1
    assert "should contain 10 samples, but contains 9" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_script_used_wrongly(results: Path, tmp_path: Path) -> None:
    assert started("report", "render", "--results", results, "--nsfw-threshold", "0.5").returncode == 2
    (results / "decisions.json").write_text('{"filters": [')
    for step in ("examples", "render"):
        done = started("report", step, "--results", results)
        assert done.returncode == 1 and "decisions.json does not contain the criteria" in done.stderr
        assert "run DECIDE again" in done.stderr and "Traceback" not in done.stderr
    decide_by(results)
    (tmp_path / "list.json").write_text("[1]")
    done = started("report", "render", "--results", results, "--parameters", tmp_path / "list.json")
    assert done.returncode == 2 and "one object of names and values" in done.stderr
    assert started("report", "--help").returncode == started("report", "examples", "--help").returncode == 0


def test_examples_of_an_earlier_decision_are_refused(tmp_path: Path) -> None:
    samples = Samples.of(clustered(60, 16, seed=2))
    results = write_set(tmp_path, samples, [np.arange(60)])
    for before, after in (("aesthetic", "nsfw"), ("nsfw", "nsfw")):
        said("decide", "--results", results, "--no-dedup", "--no-write", f"--{before}-threshold", "0.5")
        said("report", "examples", "--results", results)
        said("report", "render", "--results", results)
        said("decide", "--results", results, "--no-dedup", "--no-write", f"--{after}-threshold", "0.4")
        left = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
        refused = said("report", "render", "--results", results, code=1)
        assert "examples.parquet was drawn from other decisions than those in" in refused
        assert refused.endswith("; run report.py examples again.\n") and refused.count("\n") == 1
        assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == left
        said("report", "examples", "--results", results)
        said("report", "render", "--results", results)
        assert json.loads((results / "summary.json").read_text())["thresholds"] == {after: 0.4}
    write_table(results / "examples.parquet", read_table(results / "examples.parquet").replace_schema_metadata(None))
    assert "run report.py examples again" in said("report", "render", "--results", results, code=1)


def test_tars_of_an_earlier_decision_are_refused_though_they_hold_as_many_samples(tmp_path: Path) -> None:
    make_set(tmp_path, [[1, 0, 3, 2]])  # the brightest come second and last
    call(tmp_path, "embed", *MODELS)
    call(tmp_path, "score", *MODELS)
    decided = []
    for rule in (("--filter", "own.py:Even"), ("--keep-top", "bright=2")):
        call(tmp_path, "decide", "--no-dedup", *rule)
        decided.append(read_table(path_of(tmp_path, "decisions"))["kept"].to_pylist())
        if rule[0] == "--filter":
            call(tmp_path, "write")
    assert decided[0] != decided[1] and sum(decided[0]) == sum(decided[1]) == 2
    call(tmp_path, "report", "examples")
    refused = call(tmp_path, "report", "render", code=1)
    assert "00000.tar should contain 2 samples, but contains 0; do not use this output, but run WRITE" in refused
    call(tmp_path, "write")
    call(tmp_path, "report", "render")


def test_the_page_shows_what_the_tables_say(results: Path, tmp_path: Path) -> None:
    write_cost(results, "EMBED", "00000", 58.0, 2 << 30)
    write_cost(results, "EMBED", "00001", 62.0, 1 << 30)
    write_cost(results, "SCORE", "00000", 0.01, 1 << 30)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "head.pth").write_bytes(b"abc")
    decide_by(results, Filtering(aesthetic_threshold=0.5))
    done = started("report", "render", "--results", results, "--model-dir", tmp_path / "weights")
    assert done.returncode == 0, done.stderr
    facts = json.loads((results / "summary.json").read_text())
    assert facts["thresholds"] == {"aesthetic": 0.5, "dedup": 0.9}
    assert facts["weights"] == {"head.pth": hashlib.sha256(b"abc").hexdigest()}
    assert [stage["name"] for stage in facts["stages"]] == ["EMBED", "SCORE"]
    page = (results / "report.html").read_text()
    digest = hashlib.sha256(b"abc").hexdigest()
    rates = "<td>0.5</td>", "<td>6,000</td>"  # of 60 samples in 120 and in 0.01 seconds
    for text in ("60 inputs = 30 kept + 30 dropped", "2 min 00 s", digest, "not_an_image", *rates):
        assert text in page
    assert "No images" in page and "data:image" not in page  # nothing was chosen
