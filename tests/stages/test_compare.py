"""COMPARE: every sample of a run is compared with the same targets, however the run is split."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from by_hand import MODELS, call, make_set
from PIL import Image, ImageDraw
from tars import write_tar
from tiny_clip import save_tiny

from pycurate.comparison.contrast import hashes
from pycurate.comparison.targets import Targets
from pycurate.comparison.wanted import Wanted
from pycurate.results.comparisons import read_concepts
from pycurate.results.layout import numbers, path_of
from pycurate.results.tables import SAMPLES, read_array, read_tables, write_array, write_table
from pycurate.stages import compare
from pycurate.stages.compare import gather_targets

LIGHT = ("--model-dir", "models", "--no-aesthetic", "--no-nsfw", "--device", "cpu")


def picture(kind: str, seed: int) -> bytes:
    """Discs or stripes, of any colours, sizes and places."""
    rng = np.random.default_rng(seed)
    back, front = (tuple(rng.integers(0, 256, 3).tolist()) for _ in range(2))
    image = Image.new("RGB", (256, 256), back)
    draw = ImageDraw.Draw(image)
    for at in range(int(rng.integers(0, 30)), 256, int(rng.integers(24, 60))):
        if kind == "stripes":
            draw.rectangle((0, at, 256, at + 12), fill=front)
        else:
            x, radius = int(rng.integers(20, 236)), int(rng.integers(10, 40))
            draw.ellipse((x - radius, at - radius, x + radius, at + radius), fill=front)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def make(folder: Path, kinds: list[str], seed: int, captions: bool = False) -> None:
    """A shard of such pictures in folder/shards."""
    members = []
    for number, kind in enumerate(kinds):
        members.append((f"{kind}{number:03}.png", picture(kind, seed + number)))
        if captions and number % 5:  # every fifth has none
            members.append((f"{kind}{number:03}.txt", f"{kind} number {number}".encode()))
    write_tar(folder / "shards" / f"{seed:05}.tar", members)


def embed(folder: Path, *models: str) -> None:
    call(folder, "partition", "--input", "shards", "--partition-bytes", "1")
    call(folder, "embed", *models)


def column(folder: Path, name: str) -> dict[str, float]:
    """{uid: score} of all partitions."""
    whole = pa.concat_tables([table for _, table in read_tables(folder, "comparisons")])
    return dict(zip(whole["uid"].to_pylist(), whole[name].to_pylist(), strict=True))


def keys(folder: Path) -> dict[str, str]:
    whole = pa.concat_tables([table for _, table in read_tables(folder, "metadata")])
    return dict(zip(whole["uid"].to_pylist(), whole["key"].to_pylist(), strict=True))


def unit_vectors(folder: Path) -> np.ndarray:
    """float64 (n, dim): the embeddings of all partitions."""
    parts = [read_array(path_of(folder, "img_emb", number)) for number in numbers(folder, "img_emb")]
    vectors = np.concatenate(parts).astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def auc(positive: list[float], negative: list[float]) -> float:
    """The share of pairs in which the positive one scores more."""
    return float((np.array(positive)[:, None] > np.array(negative)).mean())


def test_what_looks_like_a_target_scores_more_and_its_concept_is_decided_by_it(tmp_path: Path) -> None:
    make(tmp_path / "target", ["stripes"] * 20, 1000)
    make(tmp_path, ["stripes", "discs"] * 10, 0)
    make(tmp_path, ["stripes", "discs"] * 10, 100)
    for folder in (tmp_path / "target", tmp_path):
        embed(folder, *LIGHT)
        call(folder, "score", *LIGHT)
    targets = ("targets", "--model-dir", "models", "--similar", "striped=target", "--concept", "stripes=target")
    call(tmp_path, "compare", *targets)
    call(tmp_path, "compare", "scores")
    names = keys(tmp_path)
    for name in ("norm_sim_inf_striped", "norm_sim_2_striped", "concept_stripes"):
        found = {kind: [] for kind in ("stripes", "discs")}  # type: dict[str, list[float]]
        for uid, score in column(tmp_path, name).items():
            found[names[uid].rstrip("0123456789")].append(score)
        assert auc(found["stripes"], found["discs"]) >= 0.9, name
    vectors, target = unit_vectors(tmp_path), unit_vectors(tmp_path / "target")
    cosines = vectors @ target.T
    greatest, squares = (list(column(tmp_path, f"norm_sim_{norm}_striped").values()) for norm in ("inf", "2"))
    np.testing.assert_allclose(greatest, cosines.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(squares, np.linalg.norm(cosines, axis=1), rtol=1e-6)

    call(tmp_path, "decide", "--no-dedup", "--keep-top", "norm_sim_inf_striped=20", "--min-score", "concept_stripes=-1")
    decisions = pq.read_table(tmp_path / "decisions.parquet").to_pylist()
    scores = [[row["norm_sim_inf_striped"] for row in decisions if row["kept"] is kept] for kept in (True, False)]
    assert len(scores[0]) == 20 and min(scores[0]) >= max(scores[1])
    said = call(tmp_path, "compare", "targets", "--model-dir", "models", "--similar", "x=nowhere", code=1)
    assert "--similar x: " in said and "nowhere" in said
    make_set(tmp_path / "other", [[0, 1]])
    call(tmp_path / "other", "embed", *MODELS)
    said = call(tmp_path, "compare", "targets", "--model-dir", "models", "--concept", "x=other", code=1)
    assert "--concept x: The reference " in said and "was embedded by" in said
    call(tmp_path, "compare", *targets)
    call(tmp_path, "compare", "scores", "--partition", "00000")
    assert "comparisons_00001.parquet is missing" in call(tmp_path, "decide", "--no-dedup", code=1)


def test_captions_are_compared_with_one_set_whatever_the_split(tmp_path: Path) -> None:
    models = ("--model-dir", "models", "--encoder", save_tiny(tmp_path / "clip"), "--device", "cpu")
    found = []
    for name, size in (("split", "1"), ("whole", "1000000")):
        folder = tmp_path / name
        for seed in (0, 100, 200):
            make(folder, ["stripes", "discs"] * 5, seed, captions=True)
        call(folder, "partition", "--input", "shards", "--partition-bytes", size)
        call(folder, "embed", *models)
        call(folder, "score", *models, "--clip-score")
        call(folder, "compare", "targets", *models, "--s-clip-loss", "--concept", "s=stripes|discs")
        call(folder, "compare", "scores")
        found.append((column(folder, "s_clip_loss"), column(folder, "concept_s")))
    assert len(numbers(tmp_path / "split", "comparisons")) == 3 and len(numbers(tmp_path / "whole", "comparisons")) == 1
    for split, whole in zip(*found, strict=True):
        assert split.keys() == whole.keys()
        np.testing.assert_array_equal(list(split.values()), [whole[uid] for uid in split])
    folder = tmp_path / "whole"
    images, texts = (read_array(path_of(folder, kind, "00000")).astype(np.float64) for kind in ("img_emb", "text_emb"))
    there = texts.any(axis=1)
    assert there.sum() == 24
    images, texts = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9) for part in (images, texts))
    cosines = images[there] @ texts[there].T
    sums = [np.log(np.exp(cosines / 0.01).sum(axis=axis)) for axis in (0, 1)]
    due = np.diag(cosines) - 0.005 * (sums[0] + sums[1])
    scores = np.array(list(found[1][0].values()))
    np.testing.assert_allclose(scores[there], due, atol=1e-6)
    assert np.isnan(scores[~there]).all()
    assert read_concepts(path_of(folder, "comparisons", "00000")) == {"concept_s": 0.5}
    call(folder, "decide", "--no-dedup", "--keep-top", "s_clip_loss=0.5")
    assert sum(pq.read_table(folder / "decisions.parquet")["kept"].to_pylist()) == 12
    (folder / "text_emb" / "text_emb_00000.npy").unlink()
    assert "text_emb" in call(folder, "compare", "scores", code=1)


def test_the_memory_of_a_contrast_set_does_not_grow_with_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "SIZE", 100)
    count, random, peaks = 3000, np.random.default_rng(0), []
    for partition in range(20):
        number, vectors = f"{partition:05d}", random.random((count, 2)).astype(np.float16)
        uids = [f"{which:032x}" for which in range(partition * count, (partition + 1) * count)]
        columns = {"uid": pa.array(uids), "row": pa.array(np.arange(count))}
        samples = [columns.get(field.name, pa.nulls(count, field.type)) for field in SAMPLES]
        write_table(path_of(tmp_path, "samples", number), pa.table(samples, schema=SAMPLES))
        for kind in ("img_emb", "text_emb"):
            write_array(path_of(tmp_path, kind, number), vectors)
        if partition in (2, 19):
            tracemalloc.start()
            gather_targets(tmp_path, Wanted(s_clip_loss=True), None)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    contrast = Targets.load(path_of(tmp_path, "targets")).contrast
    assert contrast is not None
    every = [f"{which:032x}" for which in range(20 * count)]
    assert contrast.uids.tolist() == [every[at] for at in np.argsort(hashes(every))[:100].tolist()]
    assert peaks[1] < 2 * peaks[0]


def test_a_call_that_has_nothing_to_compare_fails(tmp_path: Path) -> None:
    models = ("--model-dir", "models", "--encoder", save_tiny(tmp_path / "clip"), "--device", "cpu")
    (tmp_path / "empty").mkdir()
    said = call(tmp_path / "empty", "compare", "targets", *models, code=2)
    assert "give --similar, --concept or --s-clip-loss" in said and said.count("\n") == 1
    make(tmp_path / "striped", ["stripes"] * 2, 0)
    embed(tmp_path / "striped", *models)
    for named in (["--concept", "x=a|b"], ["--s-clip-loss"], ["--similar", f"x={tmp_path / 'striped'}"]):
        said = call(tmp_path / "empty", "compare", "targets", *models, *named, code=1)
        assert "holds no samples files; run the stage that writes them first." in said
    assert not path_of(tmp_path / "empty", "targets").exists()
    assert "give --similar" in call(tmp_path / "striped", "compare", "targets", *models, code=2)
    for option in ("--similar", "--concept"):
        said = call(tmp_path / "striped", "compare", "targets", *models, option, "x=../striped", code=2)
        assert f"{option} x: ../striped holds the results themselves" in said and "--reference" not in said


def test_words_are_embedded_by_the_weights_that_embedded_the_images(tmp_path: Path) -> None:
    make(tmp_path, ["stripes"] * 2, 0)
    embed(tmp_path, "--encoder", save_tiny(tmp_path / "one"), "--device", "cpu")
    other = save_tiny(tmp_path / "other", preparation={"mean": [0.1, 0.2, 0.3]})
    said = call(tmp_path, "compare", "targets", "--encoder", other, "--device", "cpu", "--concept", "x=a|b", code=1)
    assert "are by local-dir" in said and not path_of(tmp_path, "targets").exists()
