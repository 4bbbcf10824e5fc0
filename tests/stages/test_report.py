"""What the report promises: a ledger that adds up or an error, a true summary, a fair and small choice of examples."""

import base64
import hashlib
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from report_run import HOSTILE, THRESHOLDS, Row, crops, decide_by, make_run, standard_rows, write_parameters

from pycurate.errors import LedgerError, TableError
from pycurate.filters.filtering import Filtering
from pycurate.report import ledger, summary, thumbnails
from pycurate.report.examples import select_examples
from pycurate.report.nearest import nearest_pairs
from pycurate.report.page import funnel
from pycurate.results.costs import read_times, record
from pycurate.results.layout import path_of
from pycurate.results.partitions import read_all
from pycurate.results.tables import SAMPLES, read_table, write_array, write_table
from pycurate.stages.report import Setup, read_parameters, write_report
from scripts import started


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return make_run(tmp_path, standard_rows())


def test_the_ledger_of_a_sound_run(results: Path) -> None:
    counts = ledger.check(results)
    assert (counts.inputs, counts.kept) == (60, 30)
    assert counts.dropped == {"aesthetic": 12, "nsfw": 6, "duplicate_exact": 4, "duplicate_near": 6, "unreadable": 2}
    assert counts.unreadable == {"not_an_image": 1, "truncated": 1}
    assert (counts.shards, counts.written_shards) == (3, 3)


def change_decisions(results: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    path = results / "decisions.parquet"
    write_table(path, change(read_table(path)))


def change_column(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    values = table[name].to_pylist()
    values[row] = value
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))


def lose_a_kept_sample_from_a_tar(results: Path) -> None:
    path = results / "curated" / "00001_stats.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"samples": 9}))


def double_a_sample(results: Path) -> None:
    path = path_of(results, "samples", "00000")
    write_table(path_of(results, "samples", "00001"), read_table(path).slice(5, 1))
    change_decisions(results, lambda table: pa.concat_tables([table, table.slice(5, 1)]))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a decision is missing": (
        lambda results: change_decisions(results, lambda table: table.slice(0, 59)),
        "60 samples came in, but 30 are kept and 29 dropped|samples could not be read",
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
        "kept for a reason to drop",
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
    "a tar with a sample too few": (lose_a_kept_sample_from_a_tar, "00001.tar should hold 10 samples, but holds 9"),
    "a tar that was not finished": (
        lambda results: (results / "curated" / "00002_stats.json").unlink(),
        "00002.tar should hold 10 samples, but holds 0",
    ),
    "a tar of an earlier run": (
        lambda results: (results / "curated" / "00003_stats.json").write_text('{"samples": 4, "bytes": 1}'),
        "00003.tar should hold 0 samples, but holds 4",
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


def test_uids_are_compared_in_passes(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "UIDS_PER_PASS", 7)
    ledger.check(results)
    change_decisions(results, lambda table: change_column(table, "uid", 31, "0" * 32))
    with pytest.raises(LedgerError, match=r"have no decision|about no sample"):
        ledger.check(results)


def test_a_run_that_is_to_write_nothing_adds_up_without_shards(results: Path) -> None:
    place = read_table(results / "decisions.parquet").schema.get_field_index("output_shard")
    nowhere = pa.nulls(60, pa.string())
    change_decisions(results, lambda table: table.set_column(place, "output_shard", nowhere))
    with pytest.raises(LedgerError, match=r"00000\.tar should hold 0 samples, but holds 10"):
        ledger.check(results)
    shutil.rmtree(results / "curated")
    counts = ledger.check(results)
    assert (counts.kept, counts.written_shards, counts.written_bytes) == (30, 0, 0)
    assert write_report(results, Setup())["written"] == {"shards": 0, "bytes": 0}


def test_a_run_without_any_sample(tmp_path: Path) -> None:
    results = make_run(tmp_path, [Row("broken", b"", error="empty")])
    assert select_examples(results).num_rows == 0
    facts = write_report(results, Setup())
    assert (facts["inputs"], facts["kept"], facts["dropped"]) == (1, 0, {"unreadable": 1})


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="samples"):
        write_report(tmp_path, Setup())


def test_the_summary(results: Path, tmp_path: Path) -> None:
    done = started(
        "report",
        *("render", "--results", results, "--parameters", write_parameters(tmp_path / "parameters.json")),
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((results / "summary.json").read_text())
    assert facts["inputs"] == facts["kept"] + sum(facts["dropped"].values()) == 60
    assert facts["thresholds"] == THRESHOLDS
    assert facts["parameters"]["preset"] == "light"
    assert facts["versions"]["pyarrow"] == pa.__version__
    scores = read_table(results / "decisions.parquet").to_pydict()
    for name in ("aesthetic", "aesthetic_raw", "nsfw"):
        values = np.array([value for value in scores[name] if value is not None])
        found = facts["scores"][name]
        assert sum(found["histogram"]["scored"]) == len(values) == 58
        assert sum(found["histogram"]["kept"]) == 30
        assert found["mean"] == pytest.approx(values.mean(), abs=1e-5)
        assert found["quantiles"]["0"] == pytest.approx(values.min(), abs=1e-5)
        assert found["quantiles"]["1"] == pytest.approx(values.max(), abs=1e-5)
        share_below = (values <= found["quantiles"]["0.5"] + 1e-3 * np.ptp(values)).mean()
        assert share_below >= 0.5


def test_a_threshold_parts_the_bins(results: Path) -> None:
    spread = summary.histograms(results, ["aesthetic"], {"aesthetic": 0.505})["aesthetic"]
    values = np.array(read_table(results / "decisions.parquet")["aesthetic"].drop_null().to_pylist(), np.float32)
    above = spread.scored[spread.edges[:-1] >= np.float32(0.505)].sum()
    assert above == (values >= np.float32(0.505)).sum() > 0
    assert np.float32(0.505) in spread.edges


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


def test_the_script_without_a_sum_fails(results: Path) -> None:
    lose_a_kept_sample_from_a_tar(results)
    done = started("report", "render", "--results", results)
    assert done.returncode == 1
    assert "should hold 10 samples, but holds 9" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_script_used_wrongly(results: Path, tmp_path: Path) -> None:
    assert started("report", "render", "--results", results, "--nsfw-threshold", "0.5").returncode == 2
    (results / "decisions.json").write_text('{"filters": [')
    for step in ("examples", "render"):
        done = started("report", step, "--results", results)
        assert done.returncode == 1 and "decisions.json does not say what decided" in done.stderr
        assert "run DECIDE again" in done.stderr and "Traceback" not in done.stderr
    decide_by(results)
    (tmp_path / "list.json").write_text("[1]")
    done = started("report", "render", "--results", results, "--parameters", tmp_path / "list.json")
    assert done.returncode == 2 and "one object of names and values" in done.stderr
    assert started("report", "--help").returncode == started("report", "examples", "--help").returncode == 0


def write_times(results: Path, stage: str, number: str, seconds: float, peak_bytes: int) -> None:
    """A file of times as a task of 1.5 busy cores leaves it."""
    path = results / "times" / f"{stage}_{number}.json"
    path.parent.mkdir(exist_ok=True)
    cost = {"name": stage, "tasks": 1, "seconds": seconds, "longest": seconds, "cpu_seconds": 1.5 * seconds}
    path.write_text(json.dumps(cost | {"peak_bytes": peak_bytes}))


def test_times_by_stage(tmp_path: Path) -> None:
    write_times(tmp_path, "WRITE", "00000", 1.0, 1 << 20)
    write_times(tmp_path, "EMBED", "00000", 58.0, 2 << 30)
    write_times(tmp_path, "EMBED", "00001", 62.0, 1 << 30)
    embed, write = read_times(tmp_path)
    assert (embed.name, embed.tasks, embed.seconds, embed.longest) == ("EMBED", 2, 120.0, 62.0)
    assert (embed.cpu_seconds, embed.peak_bytes, write.name) == (180.0, 2 << 30, "WRITE")
    (tmp_path / "times" / "WRITE_00000.json").write_text('{"name": "WRITE", "when": 1}')
    with pytest.raises(TableError, match="holds no times"):
        read_times(tmp_path)


def test_a_script_accounts_for_all_its_time(tmp_path: Path) -> None:
    record(tmp_path, "EMBED", "00000")
    began = time.monotonic()
    sum(range(3_000_000))
    record(tmp_path, "EMBED", "1:00001")
    spent = time.monotonic() - began
    whole, part = (
        json.loads((tmp_path / "times" / f"EMBED_{number}.json").read_text()) for number in ("00000", "1-00001")
    )
    assert part["seconds"] == pytest.approx(spent, rel=0.5)
    assert whole["seconds"] > part["seconds"], "the first record reaches back to the start of the process"
    assert whole["peak_bytes"] > 1 << 20


def test_hostile_text_is_escaped(results: Path, tmp_path: Path) -> None:
    select_examples(results)
    write_report(results, Setup(read_parameters(write_parameters(tmp_path / "p.json"))))
    page = (results / "report.html").read_text()
    assert HOSTILE not in page
    assert "<b>kept04</b>" not in page


def test_the_page_shows_what_the_tables_say(results: Path, tmp_path: Path) -> None:
    write_times(results, "EMBED", "00000", 58.0, 2 << 30)
    write_times(results, "EMBED", "00001", 62.0, 1 << 30)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "head.pth").write_bytes(b"abc")
    decide_by(results, Filtering(aesthetic_threshold=0.5))
    done = started("report", "render", "--results", results, "--model-dir", tmp_path / "weights")
    assert done.returncode == 0, done.stderr
    facts = json.loads((results / "summary.json").read_text())
    assert facts["thresholds"] == {"aesthetic": 0.5, "dedup": 0.9}
    assert facts["weights"] == {"head.pth": hashlib.sha256(b"abc").hexdigest()}
    assert [stage["name"] for stage in facts["stages"]] == ["EMBED"]
    page = (results / "report.html").read_text()
    for text in ("60 in = 30 kept + 30 dropped", "2 min 00 s", hashlib.sha256(b"abc").hexdigest(), "not_an_image"):
        assert text in page
    assert "No pictures" in page and "data:image" not in page  # nothing was chosen


def test_a_filter_of_the_users_own_has_its_place(results: Path) -> None:
    change_decisions(results, lambda table: change_column(table, "reason", 42, "<i>mine</i>"))
    facts = write_report(results, Setup())
    assert facts["dropped"]["<i>mine</i>"] == 1 and facts["dropped"]["nsfw"] == 5
    steps = [step["title"] for step in funnel(facts)]
    assert steps[1:5] == ["Aesthetic filter", "NSFW filter", "<i>mine</i>", "Exact duplicate"]
    assert [step["left"] for step in funnel(facts)][-1] == 30
    assert "<i>mine</i>" not in (results / "report.html").read_text()


def test_the_pictures_have_a_budget(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = select_examples(results)
    shards = read_all(results)
    everything = thumbnails.thumbnails(chosen, shards)
    assert set(everything) == set(chosen["uid"].to_pylist())
    monkeypatch.setattr(thumbnails, "BUDGET", 50_000)
    some = thumbnails.thumbnails(chosen, shards)
    assert 0 < len(some) < len(everything)
    assert sum(map(len, some.values())) <= 50_000


def test_a_thumbnail_is_small_and_upright() -> None:
    picture = Image.fromarray(skimage.data.coffee()).resize((3000, 2000))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif)
    uri = thumbnails.data_uri(file.getvalue())
    head, _, data = uri.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as thumbnail:
        assert head == "data:image/jpeg;base64" and thumbnail.size == (96, 144)
    with pytest.raises(ValueError, match="format"):
        thumbnails.data_uri(b"<html>")


def test_a_shard_that_changed_costs_its_pictures_only(results: Path) -> None:
    select_examples(results)
    shard = read_all(results)["00001.tar"].path
    shard.write_bytes(shard.read_bytes() + bytes(512))
    write_report(results, Setup())
    page = (results / "report.html").read_text()
    assert "no picture" in page and "data:image/jpeg" in page


@given(st.integers(2, 40), st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 0.9, 1.1]))
@settings(deadline=None, max_examples=25)
def test_the_nearest_pairs_are_those_of_brute_force(count: int, seed: int, threshold: float) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    uids = [f"{number:032x}" for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        for part, rows in (("00000", slice(0, count // 2)), ("00001", slice(count // 2, count))):
            held = uids[rows]
            samples = [dict.fromkeys(SAMPLES.names) | {"uid": uid, "row": row} for row, uid in enumerate(held)]
            write_table(path_of(results, "samples", part), pa.Table.from_pylist(samples, SAMPLES))
            write_array(path_of(results, "img_emb", part), vectors[rows])
        found = nearest_pairs(results, uids, threshold, 3)
    wide = vectors.astype(np.float32)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    cosines = [
        float(wide[i] @ wide[j]) for i in range(count) for j in range(i + 1, count) if wide[i] @ wide[j] < threshold
    ]
    assert bool(found) == bool(cosines)
    if found:
        assert found[0][2] == pytest.approx(max(cosines), abs=1e-5)
        images = [uid for pair in found for uid in pair[:2]]
        assert len(images) == len(set(images))
        assert [pair[2] for pair in found] == sorted((pair[2] for pair in found), reverse=True)
