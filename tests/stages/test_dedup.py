"""The scripts of DEDUP as tasks, reference sets, increments, embedding folders."""

import functools
import io
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from curated import decide
from dedup_sets import Samples, brute_force, clustered, decided, viewed, write_set
from PIL import Image
from tars import read_tar, write_tar

from pycurate.dedup.brute_force import check_decisions
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.filters.filtering import Filtering
from pycurate.report.nearest import nearest_pairs
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table
from pycurate.stages import dedup as module
from pycurate.stages.dedup import find_pairs
from scripts import said, started


def stage(task: Path, *paths: Path) -> Path:
    """A task's folder with these files of a results folder, as a workflow engine lays them out."""
    for path in paths:
        target = task / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return task


SETS = pytest.mark.parametrize(("kind", "views"), [("img_emb", 1), ("dedup_emb", 1), ("dedup_emb", 2)])


def made(count: int, dim: int, views: int, seed: int) -> Samples:
    return Samples.of(viewed(count, dim, views, seed) if views > 1 else clustered(count, dim, seed))


@SETS
def test_tasks_that_see_only_their_own_files_equal_one_process(tmp_path: Path, kind: str, views: int) -> None:
    samples = made(300, 32, views, seed=6)
    one, tasks = tmp_path / "one", tmp_path / "tasks"
    write_set(one, samples, np.array_split(np.arange(300), 2), kind)
    names = ["00000", "00001"]
    inputs = {each: [path_of(one, each, name) for name in names] for each in ("samples", "scores", kind)}
    choice = ("--dedup-threshold", "0.9", "--dedup-recall", "exact", "--dedup-cells", "8", "--dedup-buckets", "2")
    limits = ("--aesthetic-threshold", "0.3", "--nsfw-threshold", "0.8", "--images-per-tar", "10")
    said("dedup", "pairs", "--results", one, *choice)
    said("decide", "--results", one, *limits)

    said("dedup", "train", "--results", stage(tasks / "train", *inputs["samples"], *inputs[kind]), *choice)
    cells = path_of(tasks / "train", "cells")
    assigned, pairs = [], []
    for number, name in enumerate(names):
        task = stage(tasks / f"assign{name}", cells, *(files[number] for files in inputs.values()))
        said("dedup", "assign", "--results", task, "--partition", name)
        assigned.append(path_of(task, "assigned", name))
    for bucket in ("0", "1"):
        task = stage(tasks / f"match{bucket}", cells, *assigned, *inputs[kind])
        said("dedup", "match", "--results", task, "--bucket", bucket)
        pairs.append(path_of(task, "pairs", f"0000{bucket}"))
    rest = (cells, *assigned, *inputs[kind])  # for those whose first duplicates are all filtered out
    task = stage(tasks / "decide", *inputs["samples"], *inputs["scores"], *pairs, *rest)
    said("decide", "--results", task, *limits)

    for name in ("decisions.parquet", "duplicates.parquet", "plan/plan_00000.parquet"):
        assert read_table(task / name).equals(read_table(one / name))
    assert decided(read_table(one / "decisions.parquet")) == brute_force(samples, 0.9, "best", 0.3, 0.8)
    assert "each of a kept sample" in said("dedup", "check", "--results", one)
    done = started("dedup", "check", "--results", one)
    assert done.returncode == 0 and "each of a kept sample" in done.stdout, done.stderr


@pytest.mark.parametrize("cells", [1, 3, 9])
def test_threads_that_share_cells_find_the_same(tmp_path: Path, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = made(2500, 16, 2, seed=3)  # in several blocks of rows
    write_set(tmp_path, samples, [np.arange(2500)], "dedup_emb")
    found = []
    for threads in (1, 2, 40):  # nine cells are few for the third only
        monkeypatch.setattr(module, "cores", lambda threads=threads: threads)
        find_pairs(tmp_path, sources_of(tmp_path), Settings(0.9, exact=True, cells=cells))
        found.append(path_of(tmp_path, "pairs", "00000").read_bytes())
    assert found[0] == found[1] == found[2]
    decide(tmp_path, sources_of(tmp_path), Filtering(), None, dedup=True)
    assert decided(read_table(tmp_path / "decisions.parquet")) == brute_force(samples, 0.9)


def test_a_search_opens_fewer_files_than_there_are_partitions(tmp_path: Path) -> None:
    samples = made(150, 8, 1, seed=3)
    write_set(tmp_path, samples, np.array_split(np.arange(150), 150))
    few = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (100, 100))
    done = started("dedup", "pairs", "--results", tmp_path, "--dedup-threshold", "0.9", preexec_fn=few)
    assert done.returncode == 0, done.stderr
    said("decide", "--results", tmp_path, "--aesthetic-threshold", "0.3", "--nsfw-threshold", "0.8")
    assert decided(read_table(tmp_path / "decisions.parquet")) == brute_force(samples, 0.9, "best", 0.3, 0.8)


def test_wrong_calls_say_what_to_do(tmp_path: Path) -> None:
    write_set(tmp_path, Samples.of(np.eye(4, dtype=np.float16)), [np.arange(4)])
    assert "run dedup.py train again" in said("dedup", "assign", "--results", tmp_path, code=1)
    assert "pairs_00000" in said("decide", "--results", tmp_path, code=1)
    assert "is not in the range 0.001<=x<=1" in said(
        "dedup", "train", "--results", tmp_path, "--dedup-threshold", "1.5", code=2
    )
    said("dedup", "pairs", "--results", tmp_path)
    assert "no bucket 5" in said("dedup", "match", "--results", tmp_path, "--bucket", "5", code=2)
    assert "no partition 7" in said("dedup", "assign", "--results", tmp_path, "--partition", "7", code=2)
    assert "no partition ²:00000" in said("dedup", "assign", "--results", tmp_path, "--partition", "²:00000", code=2)
    for threshold in ("nan", "5", "0"):
        said_so = said("dedup", "check", "--results", tmp_path, "--dedup-threshold", threshold, code=2)
        assert "must be a cosine above 0 and at most 1" in said_so
    leaks = ("dedup", "leakage", "--results", tmp_path, "--leakage")
    assert "no partition 00007" in said(*leaks, f"own={tmp_path}", "--partition", "00007", code=2)
    assert "no folder" in said(*leaks, f"own={tmp_path / 'nothing'}", code=2)
    for wrong in ("own", "own=", f"={tmp_path}"):
        assert "is not NAME=FOLDER" in said(*leaks, wrong, code=2)
    assert "--out" in said("dedup", "all", "--embeddings", tmp_path, code=2)
    assert "contains no .npy files" in said(
        "dedup", "all", "--embeddings", tmp_path / "scores", "--out", tmp_path / "o", code=2
    )


@pytest.mark.parametrize("step", ["train", "pairs", "decide", "check"])
def test_a_set_is_no_reference_of_its_own(tmp_path: Path, step: str) -> None:
    """Else all that it kept would be dropped, as duplicates of themselves."""
    results = write_set(tmp_path / "results", Samples.of(np.eye(4, dtype=np.float16)), [np.arange(4)])
    said("dedup", "pairs", "--results", results)
    said("decide", "--results", results)
    before = read_table(results / "decisions.parquet")
    words = ("decide",) if step == "decide" else ("dedup", step)
    refused = said(*words, "--results", results, "--reference", tmp_path / "results" / ".." / "results", code=2)
    assert "--reference: " in refused and "holds the results themselves" in refused
    assert read_table(results / "decisions.parquet").equals(before)


def test_a_new_search_does_not_go_on_with_what_an_earlier_one_left(tmp_path: Path) -> None:
    samples = Samples.of(clustered(300, 16, seed=2, copies=0.7))
    write_set(tmp_path, samples, np.array_split(np.arange(300), 2))
    search = ("--results", tmp_path, "--dedup-recall", "exact", "--dedup-cells", "8", "--dedup-threshold")
    said("dedup", "pairs", *search, "0.99")
    said("dedup", "train", *search, "0.8")
    assert "pairs_00000" in said("decide", "--results", tmp_path, code=1)
    said("dedup", "assign", "--results", tmp_path, "--partition", "00001")
    assert "assigned_00000" in said("dedup", "match", "--results", tmp_path, code=1)
    said("dedup", "assign", "--results", tmp_path, "--partition", "00000")
    said("dedup", "match", "--results", tmp_path)
    said("decide", "--results", tmp_path, "--aesthetic-threshold", "0", "--nsfw-threshold", "1")
    assert decided(read_table(tmp_path / "decisions.parquet")) == brute_force(samples, 0.8)


OTHERS = [("assigned/assigned_00001.npy", ("dedup", "match")), ("pairs/pairs_00001.parquet", ("decide",))]


@pytest.mark.parametrize(("file", "call"), OTHERS)
def test_what_another_search_left_is_refused(tmp_path: Path, file: str, call: tuple[str, ...]) -> None:
    """As a task of that leaves it which ends late: with it duplicates would be missing."""
    write_set(tmp_path, Samples.of(clustered(300, 16, seed=2, copies=0.7)), np.array_split(np.arange(300), 2))
    search = ("--results", tmp_path, "--dedup-recall", "exact", "--dedup-threshold", "0.9", "--dedup-buckets", "2")
    said("dedup", "pairs", *search, "--dedup-cells", "9")
    other = shutil.copy(tmp_path / file, tmp_path / "other")
    said("dedup", "pairs", *search, "--dedup-cells", "8")
    shutil.copy(other, tmp_path / file)
    assert "search" in said(*call, "--results", tmp_path, code=1)


@SETS
@pytest.mark.parametrize("kept_only", [True, False])
def test_reference_sets(tmp_path: Path, kept_only: bool, kind: str, views: int) -> None:
    samples = made(500, 32, views, seed=7)
    earlier, later = np.arange(300), np.arange(300, 500)
    old = write_set(tmp_path / "old", samples, np.array_split(earlier, 2), kind)
    new = write_set(tmp_path / "new", samples, np.array_split(later, 2), kind)
    reference = earlier.tolist()
    if kept_only:  # the reference is what an earlier run kept, else all of a set
        first = sources_of(old)
        find_pairs(old, first, Settings(0.9))
        decide(old, first, Filtering(), None, dedup=True)
        kept = decided(read_table(old / "decisions.parquet"))
        reference = [i for i in reference if kept[samples.uid(i)][0] == "kept"]
    sources = sources_of(new, [old])
    find_pairs(new, sources, Settings(0.9, "best", True, 8, 2))
    decisions = decide(new, sources, Filtering(), None, dedup=True)
    assert decided(decisions) == brute_force(samples, 0.9, reference=reference, members=later.tolist())
    assert "duplicate_reference" in decisions["reason"].to_pylist()
    check_decisions(sources, decisions, 0.9)  # the union, too, has no two kept samples that are duplicates


def test_a_reference_set_with_the_uids_of_the_input(tmp_path: Path) -> None:
    """As when each crawl begins with 00000.tar."""
    samples = Samples.of(clustered(300, 16, seed=9, copies=0.7))
    turned = Samples(*(array[::-1] for array in vars(samples).values()))
    old, new = tmp_path / "old", tmp_path / "new"
    write_set(old, turned, [np.arange(100)])
    write_set(new, samples, [np.arange(150)])
    said("dedup", "pairs", "--results", new, "--dedup-threshold", "0.9", "--reference", old)
    said("decide", "--results", new, "--reference", old)
    assert "each of a kept sample" in said("dedup", "check", "--results", new, "--reference", old, "--reference", old)
    rows = read_table(new / "decisions.parquet").to_pylist()
    reasons = {row["uid"]: row["reason"] for row in rows}
    both = [{row["duplicate_of"] for row in rows if (row["reason"] == "duplicate_reference") == yes} for yes in (0, 1)]
    assert set.intersection(*both) - {None}  # an image of the input and one of the reference
    groups: dict[int, set[bool]] = {}
    for row in read_table(new / "duplicates.parquet").to_pylist():
        if not row["kept"]:
            groups.setdefault(row["group"], set()).add(reasons[row["uid"]] == "duplicate_reference")
    assert {len(kinds) for kinds in groups.values()} == {1}


@pytest.mark.parametrize(
    ("keep", "kind"), [("best", "img_emb"), ("aesthetic", "img_emb"), ("first", "img_emb"), ("best", "dedup_emb")]
)
def test_increments_by_the_script(tmp_path: Path, keep: str, kind: str) -> None:
    samples = Samples.of(clustered(240, 16, seed=8))
    runs = [write_set(tmp_path / str(k), samples, [np.arange(80) + 80 * k], kind) for k in range(3)]
    for k, folder in enumerate(runs):
        before = [word for other in runs[:k] for word in ("--reference", str(other))]
        said("dedup", "pairs", "--results", folder, "--dedup-threshold", "0.9", "--dedup-keep", keep, *before)
        said("decide", "--results", folder, *before)
        said("dedup", "check", "--results", folder, *before)
    again = tmp_path / "tasks"
    write_set(again, samples, [np.arange(160, 240)], kind)
    before = ["--reference", str(runs[0]), "--reference", str(runs[1])]
    said("dedup", "train", "--results", again, "--dedup-threshold", "0.9", "--dedup-keep", keep)
    for name in ("2:00000", "00000", "1:00000"):
        said("dedup", "assign", "--results", again, "--partition", name, *before)
    said("dedup", "match", "--results", again, *before)
    said("decide", "--results", again, *before)
    assert read_table(again / "decisions.parquet").equals(read_table(runs[2] / "decisions.parquet"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_embedding_folder(tmp_path: Path, dtype: type) -> None:
    vectors: np.ndarray = clustered(400, 32, seed=11).astype(dtype)
    vectors[50:60] *= 3  # of any length
    vectors[60] = np.nan
    (tmp_path / "img_emb").mkdir()
    for number, part in enumerate(np.array_split(vectors, 3)):
        np.save(tmp_path / "img_emb" / f"img_emb_{number}.npy", part)
    said("dedup", "all", "--embeddings", tmp_path, "--dedup-threshold", "0.9", "--out", tmp_path / "out")
    samples = Samples.of(vectors)
    samples.content = np.arange(400)  # nothing is known to be byte-equal
    samples.aesthetic[:] = 0
    samples.width[:] = 0
    rows = read_table(tmp_path / "out" / "decisions.parquet").to_pylist()
    expected = brute_force(samples, 0.9, "first")
    place = {samples.uid(i): i for i in range(400)}
    assert [row["row"] for row in rows] == list(range(400))
    for row in rows:
        reason, of, alike = expected[samples.uid(row["row"])]
        assert row["kept"] == (reason == "kept")
        assert (row["duplicate_of"], row["similarity"]) == (of and place[of], alike)
    assert not list((tmp_path / "out").glob(".*"))


def test_what_is_compared_is_the_descriptor_s_where_it_is_there(tmp_path: Path) -> None:
    samples = Samples.of(clustered(200, 16, seed=5))
    old = write_set(tmp_path / "old", samples, [np.arange(100)])
    new = write_set(tmp_path / "new", samples, [np.arange(100, 200)], "dedup_emb")
    search = ("dedup", "pairs", "--results", new, "--dedup-threshold", "0.9")
    refused = said(*search, "--reference", old, code=1)
    assert f"{old} has no dedup_emb, which the input is compared by" in refused
    assert "of which no threshold is known; give one by --dedup-threshold" in said(*search[:-2], code=2)
    said(*search)
    said("decide", "--results", new)
    found = decided(read_table(new / "decisions.parquet"))
    assert found == brute_force(samples, 0.9, members=list(range(100, 200)))
    # The nearest pairs of the report are of the same embeddings.
    kept = [i for i in range(100, 200) if found[samples.uid(i)][0] == "kept"]
    vectors = samples.vectors[kept].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = nearest_pairs(new, [samples.uid(i) for i in kept], 0.9, 1)[0][2]
    assert cosine == pytest.approx(np.triu(vectors @ vectors.T, 1).max(), abs=1e-4)
    shutil.rmtree(new / "dedup_emb")
    said(*search)
    said("decide", "--results", new)
    reasons = {reason for reason, _, _ in decided(read_table(new / "decisions.parquet")).values()}
    assert reasons == {"kept", "duplicate_exact"}


TURNS = list(Image.Transpose)  # the seven that change something


@pytest.mark.parametrize("encoder", ["same", "light-copy"])
def test_mirrored_and_turned_photographs_are_found(shared_images: Path, tmp_path: Path, encoder: str) -> None:
    photographs = [data for name, data, _ in read_tar(shared_images / "00000.tar") if name.endswith(".jpg")][:30]
    copies, members = {}, [(f"{at:03}.jpg", data) for at, data in enumerate(photographs)]
    for at, photograph in enumerate(photographs[:10]):
        for turn in (at % 7, (at + 1) % 7, (at + 3) % 7):
            data = io.BytesIO()
            Image.open(io.BytesIO(photograph)).convert("RGB").transpose(TURNS[turn]).save(data, "JPEG", quality=90)
            copies[f"{at:03}-{turn}"] = f"{at:03}"
            members.append((f"{at:03}-{turn}.jpg", data.getvalue()))
    write_tar(tmp_path / "shards" / "00000.tar", members)
    said("partition", "--results", tmp_path, "--input", tmp_path / "shards")
    models = ("--no-nsfw", "--device", "cpu", "--dedup-encoder", encoder, "--dedup-views", "dihedral")
    said("embed", "--results", tmp_path, *models)
    said("score", "--results", tmp_path, *models)
    said("dedup", "pairs", "--results", tmp_path, "--dedup-keep", "first")
    said("decide", "--results", tmp_path, "--aesthetic-threshold", "0")
    assert "each of a kept sample" in said("dedup", "check", "--results", tmp_path)
    table = read_table(tmp_path / "decisions.parquet")
    key = dict(zip(table["uid"].to_pylist(), table["key"].to_pylist(), strict=True))
    found = {row["key"]: key[row["duplicate_of"]] for row in table.to_pylist() if not row["kept"]}
    assert found == copies


def test_a_stricter_filter_needs_no_new_pairs(tmp_path: Path) -> None:
    samples = Samples.of(clustered(300, 16, seed=12))
    write_set(tmp_path, samples, [np.arange(300)])
    said("dedup", "pairs", "--results", tmp_path, "--dedup-threshold", "0.9")
    shutil.rmtree(tmp_path / "img_emb")
    for threshold in (0.2, 0.6):
        said("decide", "--results", tmp_path, "--aesthetic-threshold", str(threshold))
        assert decided(read_table(tmp_path / "decisions.parquet")) == brute_force(samples, 0.9, aesthetic=threshold)


def test_check_finds_nothing_wrong_after_a_filter_that_draws_at_random(tmp_path: Path) -> None:
    samples = Samples.of(clustered(200, 16, seed=3, copies=0.8))
    write_set(tmp_path, samples, np.array_split(np.arange(200), 2))
    said("dedup", "pairs", "--results", tmp_path, "--dedup-threshold", "0.9")
    for _ in range(3):
        said("decide", "--results", tmp_path, "--filter", "coin:Coin=0.6")
        assert "each of a kept sample" in said("dedup", "check", "--results", tmp_path)
        reasons = read_table(tmp_path / "decisions.parquet")["reason"].to_pylist()
        assert {"kept", "coin", "duplicate_near"} <= set(reasons)
