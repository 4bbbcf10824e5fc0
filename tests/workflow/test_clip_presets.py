"""The presets clip-b32 and clip-l14 at their real sizes, from shards to decisions.

Random weights stand in for OpenAI's, so only the numbers in the encoder's file differ from a real run. The heads are
the published ones.
"""

import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path

import numpy as np
import open_clip
import pyarrow.parquet as pq
import pytest
from by_hand import call
from flows import LIMIT, Flow, environment, tasks, wait_until
from hub import running_hub
from lettering import lettered
from pictures import encode, photographs
from PIL import Image
from tars import jpeg, read_tar, write_tar
from tiny_clip import save_stand_in

from pycurate.files import exclusive
from pycurate.models.fetch import FETCHED
from pycurate.models.selftest import CAPTIONS
from pycurate.results.layout import path_of
from pycurate.results.tables import read_array, read_table

OWN = list(CAPTIONS)[:2]  # the names of the package's two photographs
CHECKS = {"weights", "golden", "preparation", "batches", "captions"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for weights, which pytest would keep."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def write_shard(path: Path, images: list[tuple[bytes, bytes | None]], field: str | None = None) -> Path:
    """A shard of images and captions, in .txt or in a field of .json beside a .txt of no use; None is no caption."""
    members: list[tuple[str, bytes]] = []
    for number, (image, caption) in enumerate(images):
        members.append((f"{number:03d}.jpg", image))
        if caption is not None and field:
            members.append((f"{number:03d}.json", json.dumps({field: caption.decode()}).encode()))
            members.append((f"{number:03d}.txt", b"DSC_0001.JPG"))
        elif caption is not None:
            members.append((f"{number:03d}.txt", caption))
    return write_tar(path, members)


def own_photographs() -> list[tuple[bytes, bytes | None]]:
    """The package's two photographs, each with its caption, then with that of the other, then without."""
    images = [(files("pycurate.models") / "photographs" / name).read_bytes() for name in OWN]
    captions = [CAPTIONS[name].encode() for name in OWN]
    return [*zip(images, captions, strict=True), *zip(images, captions[::-1], strict=True), (images[0], None)]


def reason(row: dict, aesthetic: float, nsfw: float, clip: float, without: str) -> str:
    """What becomes of a sample with these scores, duplicates apart; `without`: of one without a caption."""
    if row["aesthetic"] is None:
        return "unreadable"
    if row["aesthetic"] < aesthetic:
        return "aesthetic"
    if row["nsfw"] >= nsfw:
        return "nsfw"
    if row["clip_score"] is None or np.isnan(row["clip_score"]):
        return without
    return "clip_score" if row["clip_score"] < clip else "kept"


def check_decisions(rows: list[dict], thresholds: tuple[float, float, float, str]) -> None:
    """Each sample has the reason that its scores give it, the first five the clip scores that are due."""
    for row in rows:
        due = reason(row, *thresholds)
        assert row["reason"] == due or (due == "kept" and row["reason"].startswith("duplicate")), row
        assert row["kept"] == (row["reason"] == "kept")
        if row["aesthetic"] is not None:
            assert 0 <= row["aesthetic"] <= 1 and 0 <= row["nsfw"] <= 1 and np.isfinite(row["aesthetic_raw"])
    fits, also_fits, wrong, also_wrong, missing = [row["clip_score"] for row in rows[:5]]
    assert min(fits, also_fits) > 0 > max(wrong, also_wrong)
    assert missing is None or np.isnan(missing)


def passed(report: Path) -> set[str]:
    """The checks of a self-test, all of which passed."""
    findings = json.loads(report.read_text())["findings"]
    assert [finding for finding in findings if finding["state"] != "passed"] == []
    return {finding["check"] for finding in findings}


def test_clip_b32_runs_from_an_empty_model_folder_to_decisions(shared: Path, shared_images: Path, folder: Path) -> None:
    """MODELS fetches the encoder from a hub on loopback, which HF_ENDPOINT names; the heads lie there already."""
    photos = [(data, b"some caption") for name, data, _ in read_tar(shared_images / "00000.tar") if "jpg" in name][:15]
    words = encode(lettered(Image.open(io.BytesIO(photos[-1][0])).convert("RGB"), 0.15, 0)[0], "PNG")
    images = [*own_photographs(), *photos[:-1], (words, b"some caption"), (photos[0][0][:5000], None)]
    shard = write_shard(folder / "in" / "00000.tar", images, "TEXT")
    home = folder / "models" / "clip-b32"
    home.mkdir(parents=True)
    for head in ("sa_0_4_vit_b_32_linear.pth", "clip_autokeras_nsfw_b32.zip"):
        shutil.copy(shared / "heads" / head, home)
    weights = save_stand_in("ViT-B-32", folder / "stand_in.safetensors")
    repository = open_clip.get_pretrained_cfg("ViT-B-32", "openai")["hf_hub"].rstrip("/")
    with running_hub() as hub:
        hub.store(repository, "open_clip_model.safetensors", weights)
        env = {**environment(), "HF_ENDPOINT": hub.url}
        options = ("--input", str(shard), "--model_dir", str(home.parent), "--preset", "clip-b32")
        flow = Flow(folder, (*options, "--caption_key", "TEXT"), env)
        thresholds = "--aesthetic_threshold 0 --nsfw_threshold 1 --clip_score_threshold 0 --missing_caption drop"
        compared = (
            "--clip_score_masked",
            "true",
            "--s_clip_loss",
            "true",
            "--concept",
            "mark=a photo with a watermark|a photo",
        )
        flow.succeed("--dedup", "true", *thresholds.split(), *compared)
        assert [served.starts for served in hub.files.values()] == [[0]]
    assert "MODELS" in tasks(flow, "COMPLETED")
    assert passed(flow.folder / "results" / "pipeline_info" / "models.json") == CHECKS
    rows = pq.read_table(flow.folder / "results" / "decisions.parquet").to_pylist()
    assert len(rows) == 21
    check_decisions(rows, (0, 1, 0, "missing_caption"))
    assert rows[-1]["reason"] == "unreadable"
    assert {"kept", "clip_score", "missing_caption", "unreadable"} <= {row["reason"] for row in rows}
    summary = json.loads((flow.folder / "results" / "summary.json").read_text())
    assert summary["inputs"] == 21 == summary["kept"] + sum(summary["dropped"].values())
    sums = subprocess.run(["sha256sum", "-c", FETCHED], cwd=home, capture_output=True, text=True)
    assert sums.returncode == 0 and sums.stdout.count(": OK") == 3, sums.stdout + sums.stderr
    # The captions of photographs fit them more than any other; the fifth sample has none.
    losses = [row["s_clip_loss"] for row in rows[:5]]
    assert min(losses[:2]) > max(losses[2:4]) and np.isnan(losses[4])
    assert all(0 <= row["concept_mark"] <= 1 for row in rows[:-1]) and rows[-1]["concept_mark"] is None
    assert summary["concepts"][0]["name"] == "mark"
    # The words are painted over; photographs without text keep their scores.
    lettering = rows[19]
    assert lettering["text_area"] > 0.02 and lettering["clip_score_masked"] != lettering["clip_score"]
    without, texts = (read_array(path_of(flow.out, kind, "00000")) for kind in ("masked_emb", "text_emb"))
    for row, image, text in zip(rows, without.astype(np.float32), texts.astype(np.float32), strict=False):
        assert np.isnan(row["clip_score_masked"]) or abs(row["clip_score_masked"] - image @ text) < 1e-3
        assert row["text_area"] > 0 or row["clip_score_masked"] == row["clip_score"] or not text.any()
    # Scorers that read embeddings come and go; nothing is fetched, from a hub that is gone, or embedded again.
    (folder / "own.py").write_text(SCORERS)
    top = ("--keep_top", "clip_score_masked=19,s_clip_loss=2")
    flow.succeed("--aesthetic", "false", *top, "--scorer", f"{folder}/own.py:Sum", "-resume")
    assert {"EMBED", "MODELS_VERIFY"} <= tasks(flow, "CACHED")
    assert {"MODELS_SCORERS", "SCORE"} <= tasks(flow, "COMPLETED")
    decisions = pq.read_table(flow.out / "decisions.parquet")
    assert "aesthetic" not in decisions.column_names and "sum" in decisions.column_names
    found = {reason: [] for reason in ("kept", "top_s_clip_loss")}  # type: dict[str, list[float]]
    for row in decisions.to_pylist():
        found.get(row["reason"], []).append(row["s_clip_loss"])
    assert len(found["kept"]) == 2 and min(found["kept"]) >= np.nanmax(found["top_s_clip_loss"])


SCORERS = """
class Sum:
    name = "sum"
    def __init__(self, model_dir, device): ...
    def score(self, embeddings): return embeddings.sum(axis=1)
"""


def test_clip_l14_gives_scores_and_decisions_by_its_scripts(shared: Path, folder: Path) -> None:
    models = folder / "models"
    models.mkdir()
    for head in ("sac+logos+ava1-l14-linearMSE.pth", "clip_autokeras_binary_nsfw.zip"):
        (models / head).symlink_to(shared / "heads" / head)
    weights = save_stand_in("ViT-L-14", models / "ViT-L-14.openai.safetensors")
    with open(weights, "rb") as file:  # what `models.py fetch` leaves beside it
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    weights.with_name(f"{weights.name}.sha256").write_text(f"{digest}  {weights.name}\n")
    others: list[tuple[bytes, bytes | None]] = [(data, b"some caption") for data in list(photographs().values())[:4]]
    shard = write_shard(folder / "in" / "00000.tar", own_photographs() + others)

    preset = ("--preset", "clip-l14", "--model-dir", models)
    call(folder, "models", "verify", *preset, "--report", folder / "models.json")
    assert passed(folder / "models.json") == CHECKS
    call(folder, "partition", "--input", shard)
    call(folder, "embed", *preset)
    call(folder, "score", *preset, "--clip-score")
    scores = read_table(path_of(folder, "scores", "00000"))
    assert scores.column_names == ["uid", "aesthetic", "aesthetic_raw", "nsfw", "clip_score"]
    images, texts = (read_array(path_of(folder, kind, "00000")) for kind in ("img_emb", "text_emb"))
    assert texts.shape == images.shape and texts.dtype == images.dtype
    assert not texts[4].any()  # the fifth has no caption
    cosines = np.einsum("nd,nd->n", images.astype(np.float32), texts.astype(np.float32))
    expected = np.nan_to_num(scores["clip_score"].to_numpy())
    np.testing.assert_allclose(cosines, expected, atol=1e-3)
    thresholds = ("--aesthetic-threshold", "0", "--nsfw-threshold", "1", "--clip-score-threshold", "0")
    call(folder, "dedup", "pairs", "--preset", "clip-l14")
    call(folder, "decide", *thresholds)
    rows = pq.read_table(folder / "decisions.parquet").to_pylist()
    assert len(rows) == 9
    check_decisions(rows, (0, 1, 0, "kept"))


def test_two_first_runs_at_once_share_a_model_folder(tmp_path: Path) -> None:
    """Both find it empty; one fills it while the other waits, which then leaves it alone, or it would embed again.

    The test holds the folder's lock until both tasks wait for it.
    """
    shard = write_shard(tmp_path / "in" / "00000.tar", [(jpeg(seed), None) for seed in range(5)])
    home = tmp_path / "models"
    options = ("--input", str(shard), "--model_dir", str(home), "--aesthetic_threshold", "0")
    flows = [Flow(tmp_path / name, options) for name in ("one", "other")]
    (home / "light").mkdir(parents=True)
    for more in ([], ["-resume"]):
        with nullcontext() if more else exclusive(home / "light" / ".lock"):
            running = [flow.start(*more) for flow in flows]
            if not more:
                wait_until(lambda: all(any(flow.tasks("models.py")) for flow in flows), "models.py of both runs")
        assert [run.wait(LIMIT) for run in running] == [0, 0], flows[0].text + flows[1].text
        stages = "CACHED" if more else "COMPLETED"
        assert all({"EMBED", "SCORE"} <= tasks(flow, stages) for flow in flows)
        assert all(("MODELS" in tasks(flow, "COMPLETED")) == (not more) for flow in flows)
    assert flows[0].results() == flows[1].results()
    assert sorted(path.name for path in (home / "light").iterdir()) == [".lock", FETCHED]
