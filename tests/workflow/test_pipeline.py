"""The whole line on the real engine: promises 1, 2, 4 and 5 on real photographs."""

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from flows import Flow, environment, pycurate, tasks
from PIL import Image
from scripted import write_model
from tars import read_tar, write_tar

from pycurate.images.pdq import pdq, samples
from pycurate.results.criteria import read_criteria
from pycurate.results.layout import path_of
from pycurate.results.manifest import read_manifest
from pycurate.results.tables import read_array, read_table

ROOT = Path(__file__).resolve().parents[2]
STAGES = {"PARTITION", "EMBED", "SCORE", "DEDUP", "DECIDE", "WRITE", "REPORT"}


def decisions(flow: Flow) -> list[dict[str, object]]:
    return pq.read_table(flow.out / "decisions.parquet").to_pylist()


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(pattern)}


def refilter(results: Path, *options: str) -> str:
    """What `pycurate refilter` says."""
    command = [str(Path(sys.executable).parent / "pycurate"), "refilter", str(results), *options]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def photographs(shared_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A finished run on 100 real photographs."""
    flow = Flow(tmp_path_factory.mktemp("photographs"), ("--input", f"{shared_images}/{{00000..00001}}.tar"))
    flow.succeed("--dedup", "true", "--images_per_tar", "20")
    return flow


def test_every_photograph_is_accounted_for(photographs: Flow) -> None:
    results = photographs.out
    summary = json.loads((results / "summary.json").read_text())
    assert summary["inputs"] == 100 == summary["kept"] + sum(summary["dropped"].values())
    assert 0 < summary["kept"] < 100
    assert "unreadable" not in summary["dropped"]
    assert not {"duplicate_exact", "duplicate_near"} & summary["dropped"].keys()  # they are 100 different ones
    for name in ("trace.txt", "report.html", "timeline.html", "versions.json"):
        assert (results / "pipeline_info" / name).stat().st_size > 0
    assert "kept" in photographs.text and "results/report.html" in photographs.text


def test_kept_samples_leave_as_they_came(photographs: Flow, shared_images: Path) -> None:
    came = {name: data for shard in ("00000", "00001") for name, data, _ in read_tar(shared_images / f"{shard}.tar")}
    left = {
        name: data for tar in sorted((photographs.out / "curated").glob("*.tar")) for name, data, _ in read_tar(tar)
    }
    keys = {row["key"] for row in decisions(photographs) if row["kept"]}
    assert left == {name: data for name, data in came.items() if name.split(".")[0] in keys}
    assert len(left) == 3 * len(keys)


def test_published_files_are_hard_links(photographs: Flow) -> None:
    published = list((photographs.out / "curated").glob("*.tar"))
    assert published and all(path.stat().st_nlink == 2 for path in published)


def test_a_new_threshold_embeds_nothing_and_leaves_no_old_file(photographs: Flow) -> None:
    before = {path.name for path in (photographs.out / "curated").iterdir()}
    anew = photographs.folder / "anew"
    words = photographs.folder / "words.json"
    captions = read_table(path_of(photographs.out, "samples", "00000"), ["caption"])["caption"].to_pylist()
    words.write_text(json.dumps(captions[::2]))
    balance = ["--balance", "captions", "--cap", "1"]
    options = ["--aesthetic-threshold", "0.7", *balance, "--balance-words", str(words)]
    change = refilter(photographs.out, *options, "--write", str(anew))
    options = ["--aesthetic_threshold", "0.7", *balance, "--balance_words", str(words)]
    photographs.succeed("--dedup", "true", "--images_per_tar", "20", *options, "-resume")
    assert tasks(photographs, "CACHED") == {"MODELS_VERIFY", "EMBED", "SCORE", "DEDUP_PAIRS"}
    assert tasks(photographs, "COMPLETED") == {"PARTITION", "DECIDE", "WRITE", "REPORT_EXAMPLES", "REPORT"}
    kept = [row for row in decisions(photographs) if row["kept"]]
    assert kept and all(row["aesthetic"] >= 0.7 for row in kept)  # type: ignore[operator]
    assert {row["reason"] for row in decisions(photographs)} >= {"kept", "balanced"}
    assert f"Balanced over the words of captions, with a cap of 1: {len(kept)} of " in change
    after = {path.name for path in (photographs.out / "curated").iterdir()}
    assert after < before
    assert len([name for name in after if name.endswith(".tar")]) == -(-len(kept) // 20)
    # What `pycurate refilter` made of the first run's tables is the same.
    fresh = photographs.out
    assert contents(anew, "curated/*") == contents(fresh, "curated/*")
    assert contents(anew, "*.parquet") == contents(fresh, "*.parquet")
    assert contents(anew, "decisions.json") == contents(fresh, "decisions.json") != {}
    one, other = (json.loads((folder / "summary.json").read_text()) for folder in (anew, fresh))
    assert one["dropped"] == other["dropped"] and one["thresholds"] == other["thresholds"]
    assert f"{one['kept']:,} " in " ".join(change.split()) + " "
    # Going back in place leaves what the first run left.
    refilter(anew, "--aesthetic-threshold", "0.5", "--balance", "none", "--write", str(anew))
    assert {path.name for path in (anew / "curated").iterdir()} == before
    # The manifest is true after a run, of a folder that was made anew, and of one that was changed in place.
    for results in (fresh, anew):
        assert pycurate("verify", results).returncode == 0, results
    refilter(fresh, "--aesthetic-threshold", "0.5", "--balance", "none", "--write", str(fresh))
    done = pycurate("verify", fresh)
    assert done.returncode == 0, done.stdout
    assert "pipeline_info/versions.json" in read_manifest(fresh)
    assert not list(anew.glob(".pycurate*"))


def test_a_scorer_and_filters_of_ones_own_embed_nothing_again(photographs: Flow) -> None:
    folder = photographs.folder / "own"
    folder.mkdir()
    (folder / "own.py").write_text(OWN)
    own = f"{folder}/own.py"
    more = ["--scorer", f"{own}:First", "--min_score", "first=0", "--filter", f"{own}:Wide", "--min_side", "300"]
    more += ["--score", "mix=z(first)-0.5*z(nsfw)", "--keep_top", "mix=0.5,aesthetic=9"]
    # Of the recipe only the language is left: what is given takes precedence.
    more += ["--balance", "cells", "--target", "5", "--balance_by", "first"]
    more += ["--recipe", "datacomp-basic", "--max_aspect", "9", "--caption_words", "0", "--caption_characters", "0"]
    photographs.succeed(
        "--dedup",
        "true",
        "--images_per_tar",
        "20",
        "--aesthetic_threshold",
        "0",
        "--nsfw_threshold",
        "1",
        *more,
        "-resume",
    )
    assert {"EMBED"} <= tasks(photographs, "CACHED") and "SCORE" in tasks(photographs, "COMPLETED")
    rows = decisions(photographs)
    assert {row["reason"] for row in rows} >= {"kept", "first", "language", "min_side", "wide"}
    assert {row["language"] for row in rows if row["reason"] not in ("first", "language")} == {"en"}
    one = next(row for row in rows if row["reason"] == "language")
    shown = pycurate("inspect", photographs.out, one["uid"]).stdout
    assert "dropped: language (language), not one of en" in shown
    assert re.search(rf"^language +{one['language']}$", shown, re.MULTILINE)
    assert all((row["first"] >= 0) == (row["reason"] != "first") for row in rows)  # type: ignore[operator]
    # The best by the scores of others: half of what passes the filters, then nine, of which some are duplicates.
    reasons = Counter(str(row["reason"]) for row in rows)
    duplicates = sum(count for reason, count in reasons.items() if reason.startswith("duplicate"))
    left = len(rows) - sum(reasons[reason] for reason in ("unreadable", "first", "language", "min_side", "wide"))
    assert reasons["top_mix"] == left - left // 2 and reasons["top_aesthetic"] == left // 2 - 9
    assert reasons["kept"] + reasons["balanced"] + duplicates == 9 and reasons["kept"] == 5
    by_mix, by_aesthetic = (rule for rule in read_criteria(photographs.out).filters if rule.top)
    assert (by_mix.among, by_mix.chosen, by_aesthetic.chosen) == (left, left // 2, 9)
    said = f"The threshold came to {by_aesthetic.threshold} on aesthetic: it keeps the top 9, 9 of {left // 2} samples."
    assert said in photographs.text and said in (photographs.out / "report.html").read_text()
    assert said in json.loads((photographs.out / "summary.json").read_text())["selection"]
    one = next(row for row in rows if row["reason"] == "top_aesthetic")
    shown = pycurate("inspect", photographs.out, one["uid"]).stdout
    assert f"dropped: top_aesthetic (top_aesthetic), not among the top 9, at least {by_aesthetic.threshold}" in shown
    given = json.loads((photographs.out / "summary.json").read_text())["parameters"]
    assert (given["recipe"], given["language"], given["min_side"]) == ("datacomp-basic", "en", 300)
    again = refilter(photographs.out)
    assert "0 samples added, 0 removed" in again and said in again
    # A recipe outranks what the run had.
    assert re.search(r"^caption_words +0 +[1-9]", refilter(photographs.out, "--recipe", "datacomp-basic"), re.MULTILINE)
    assert "top 7, 7 of" in refilter(photographs.out, "--keep-top", "aesthetic=7")


OWN = """
import numpy as np

class First:
    name = "first"

    def __init__(self, model_dir, device):
        pass

    def score(self, embeddings):
        return embeddings[:, 0] - np.float32(np.median(embeddings[:, 0]))

class Wide:
    reason = "wide"

    def passes(self, table):
        return table["width"].to_numpy() >= table["height"].to_numpy()
"""


def test_how_the_work_is_split_changes_nothing(undisturbed: Flow, tmp_path: Path) -> None:
    # `undisturbed` has a shard to a task and a tar to a task; this one has all in one. And its numbers are text.
    flow = Flow(tmp_path, undisturbed.options, environment() | {"NXF_DISABLE_PARAMS_TYPE_DETECTION": "true"})
    flow.succeed("--partition_bytes", "1000000000", "--tars_per_task", "100", "--batch_size", "7")
    assert flow.results() == undisturbed.results()


def test_a_run_that_keeps_nothing_ends_well(undisturbed: Flow) -> None:
    flow = undisturbed.beside("nothing")
    flow.succeed("--aesthetic_threshold", "1", "-resume")
    assert not any(row["kept"] for row in decisions(flow))
    assert not list(flow.out.glob("curated/*"))
    assert "The threshold 1 on aesthetic dropped" in flow.text and "0.3 keeps" in flow.text


def test_the_test_profile_makes_its_own_input(tmp_path: Path) -> None:
    flow = Flow(tmp_path, ("-profile", "test"))
    flow.succeed("--aesthetic_threshold", "0", "--nsfw_threshold", "1")
    reasons = [row["reason"] for row in decisions(flow)]
    assert len(reasons) == 24
    assert reasons.count("unreadable") == 2
    assert {"kept", "duplicate_exact"} <= set(reasons)


MODELS = """
import numpy as np
from pycurate.images.views import View

class Encoder:
    name, dim, view = "own", 12, View(2, 2)
    def __init__(self, model_dir, device): ...
    def encode(self, pixels): return pixels.float().flatten(1) + 1

class Red:
    name, view = "red", View(8, 8)
    def __init__(self, model_dir, device): ...
    def score(self, pixels, images): return pixels[:, 0].float().mean(dim=(1, 2))
    @staticmethod
    def calibrate(raw): return raw / 255

class First:
    name = "first"
    def __init__(self, model_dir, device): ...
    def score(self, embeddings): return embeddings[:, 0]

class Wide:
    reason = "wide"
    def passes(self, table): return table["width"].to_numpy() >= table["height"].to_numpy()
"""


def test_an_encoder_of_ones_own_and_what_it_is_scored_by(shared_images: Path, tmp_path: Path) -> None:
    own = tmp_path / ("long" * 30) / "own.py"  # three such paths are more than a file's name may hold
    own.parent.mkdir()
    own.write_text(MODELS)
    models = ("--encoder", f"{own}:Encoder", "--pixel_scorer", f"{own}:Red", "--scorer", f"{own}:First")
    chosen = ("--min_score", "red=0.3", "--filter", f"{own}:Wide", "--model_dir", str(tmp_path / "models"))
    key, picture, _ = next(member for member in read_tar(shared_images / "00000.tar") if member[0].endswith(".jpg"))
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").resize((200, 150), Image.Resampling.LANCZOS))
    (tmp_path / "known.csv").write_text(f"PDQ,quality\n{pdq(samples(pixels)).hash},100\n")
    # All values are left as text here, as newer versions of Nextflow leave them: 'false' must not come to mean true.
    text = environment() | {"NXF_DISABLE_PARAMS_TYPE_DETECTION": "true"}
    flow = Flow(tmp_path, ("--input", f"{shared_images}/00000.tar", *models, *chosen), text)
    assert flow.run() != 0
    assert "There is no score aesthetic, only red, red_raw, first;" in flow.text
    assert "EMBED" not in flow.text  # it is refused before
    flow.succeed(
        "--aesthetic", "false", "--nsfw", "false", "--blocklist", "pdq:known.csv"
    )  # which have nothing to do with this encoder
    assert json.loads((flow.out / "summary.json").read_text())["parameters"]["nsfw"] is False
    reasons = {row["reason"] for row in decisions(flow)}
    assert reasons == {"kept", "red", "wide", "blocked"}
    blocked = [row for row in decisions(flow) if row["reason"] == "blocked"]
    assert [row["key"] for row in blocked] == [key.partition(".")[0]]
    assert (flow.out / "blocked.parquet").stat().st_mode & 0o777 == 0o600
    for row in decisions(flow):
        assert row in blocked or (row["reason"] == "red") == (row["red"] < 0.3)  # type: ignore[operator]
        assert row["first"] is not None


def test_a_fanned_out_search_decides_the_same(undisturbed: Flow) -> None:
    flow = undisturbed.beside("fanned")
    flow.succeed("--dedup_single", "0", "--dedup_cells", "8", "--dedup_buckets", "3", "-resume")
    assert {"DEDUP_TRAIN", "DEDUP_ASSIGN", "DEDUP_MATCH"} <= tasks(flow, "COMPLETED")
    assert flow.results() == undisturbed.results()
    assert "0 samples added, 0 removed" in refilter(flow.out)


@pytest.mark.parametrize("embedded", [True, False], ids=["results of a run", "shards"])
def test_a_reference_outranks_the_input_and_is_never_written(
    undisturbed: Flow, shards: Path, tmp_path: Path, embedded: bool
) -> None:
    reference = undisturbed.out if embedded else shards
    flow = Flow(tmp_path, ("--input", f"{shards}/00001.tar", "--dedup", "true", "--aesthetic_threshold", "0"))
    relative = os.path.relpath(reference, flow.folder)
    more = [] if embedded else ["more", relative]  # a folder named twice is embedded once
    write_tar(flow.folder / "more" / "00000.tar", [member[:2] for member in read_tar(shards / "00000.tar")[:5]])
    compared = ["--similar", f"own={relative},few=more", "--concept", "few=more"]
    compared += ["--leakage", f"first=more,all={relative}"]
    options = ["--dedup_single", "0"] if embedded else compared
    flow.succeed("--reference", ",".join([relative, *more]), *options)
    named = ",".join(f"{flow.folder}/{name}" for name in [relative, *more])
    assert json.loads((flow.out / "summary.json").read_text())["parameters"]["reference"] == named
    trace = (flow.out / "pipeline_info" / "trace.txt").read_text()
    assert trace.count("REFERENCE_FOLDER") == (0 if embedded else 2)
    measured = [path for path in flow.work.glob("*/*/measures/*.parquet") if not path.is_symlink()]
    scored = sum("nsfw" in read_table(path).column_names for path in measured)  # of a reference nobody asks for scores
    assert (scored, len(measured)) == (1, 1 if embedded else 3)
    rows = decisions(flow)
    kept = {row["uid"] for row in decisions(undisturbed) if row["kept"] or not embedded}
    if embedded:
        assert "0 samples added, 0 removed" in refilter(flow.out)
    of = {row["duplicate_of"] for row in rows if row["reason"] == "duplicate_reference"}
    assert of and of <= kept
    if not embedded:  # every readable sample of the input is in the reference, byte for byte
        columns = ("norm_sim_inf_own", "norm_sim_inf_few", "norm_sim_2_few")
        table = read_table(path_of(flow.out, "decisions"))
        own, few, few_2 = (table[name].drop_null().to_numpy() for name in columns)
        np.testing.assert_allclose(own, 1, atol=1e-6)
        assert ((few <= few_2) & (few_2 < 5**0.5 + 1e-6)).all()
        (told,) = json.loads((flow.out / "summary.json").read_text())["concepts"]
        assert told["name"] == "few" and told["members"] + told["others"] == len(own)
        flow.succeed("--reference", named, *compared, "--min_score", "norm_sim_inf_few=0.5", "-resume")
        assert {"EMBED", "EMBED_REFERENCE", "COMPARE_TARGETS", "COMPARE_SCORES"} <= tasks(flow, "CACHED")
        done = pycurate("refilter", flow.out, "--no-dedup", "--keep-top", "norm_sim_inf_few=3")
        assert done.returncode == 0 and "the top 3, 3 of" in done.stdout, done.stderr
        assert {row["reason"] for row in rows} <= {"duplicate_reference", "unreadable", "nsfw"}
        every, first = json.loads((flow.out / "summary.json").read_text())["leakage"]
        assert (every["set"], first["set"]) == ("all", "first")
        readable = sum(row["reason"] != "unreadable" for row in rows)
        assert all(at["leaked"] >= readable and at["kept"] == 0 for at in every["at"])
        assert not (tmp_path / "results" / "curated").exists()


def test_duplicates_are_those_of_the_descriptor(shards: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.pt")
    reference = tmp_path / "reference"
    write_tar(reference / "00000.tar", [member[:2] for member in read_tar(shards / "00001.tar")[:20]])
    chosen = ("--dedup_encoder", f"torchscript:{model}", "--dedup_threshold", "0.999")
    rest = ("--reference", str(reference), "--dedup", "true", "--aesthetic_threshold", "0", "--nsfw_threshold", "1")
    flow = Flow(
        tmp_path,
        ("--input", str(shards), "--partition_bytes", "1", "--model_dir", f"{tmp_path}/models", *chosen, *rest),
    )
    flow.succeed()
    vectors: dict[str, np.ndarray] = {}
    for number in ("00000", "00001"):
        samples = read_table(path_of(flow.out, "samples", number))
        uids = samples.filter(samples["row"].is_valid())["uid"].to_pylist()
        wide = read_array(path_of(flow.out, "dedup_emb", number)).astype(np.float64)
        vectors |= zip(uids, wide / np.linalg.norm(wide, axis=1, keepdims=True), strict=True)
    near = [row for row in decisions(flow) if row["reason"] == "duplicate_near"]
    for row in near:
        cosine = vectors[str(row["uid"])] @ vectors[str(row["duplicate_of"])]
        assert row["similarity"] == pytest.approx(cosine, abs=1e-6) and cosine > 0.999 - 1e-6
    kept = np.stack([vectors[str(row["uid"])] for row in decisions(flow) if row["kept"]])
    assert near and np.triu(kept @ kept.T, 1).max() < 0.999
    assert "duplicate_reference" in {row["reason"] for row in decisions(flow)}
    models = json.loads((flow.out / "pipeline_info" / "models.json").read_text())["findings"]
    assert {one["check"] for one in models if one["subject"].startswith("torchscript:")} == {"weights", "batches"}
    assert pycurate("verify", flow.out).returncode == 0 and "dedup_emb/dedup_emb_00001.npy" in read_manifest(flow.out)
    assert "0 samples added, 0 removed" in refilter(flow.out)
    # Another file under the same name is another model, in the reference as well. With --dedup_views no two kept images
    # are alike, whichever is mirrored or turned.
    write_model(model, weight=5)
    search = ("--dedup_single", "0", "--dedup_cells", "4", "--dedup_buckets", "2", "--dedup_views", "dihedral")
    flow.succeed("-resume", *search)
    assert {"EMBED", "EMBED_REFERENCE", "DEDUP_ASSIGN", "DEDUP_MATCH"} <= tasks(flow, "COMPLETED")
    views = read_array(path_of(flow.out, "dedup_emb", "00001"))
    assert views.shape == (len(wide), 8, 12) and not np.allclose(views[:, 0], wide, atol=0.01)
    assert "0 samples added, 0 removed" in refilter(flow.out)
    held: list[tuple[str, np.ndarray]] = []
    for number in ("00000", "00001"):
        samples = read_table(path_of(flow.out, "samples", number))
        uids = samples.filter(samples["row"].is_valid())["uid"].to_pylist()
        held += zip(uids, read_array(path_of(flow.out, "dedup_emb", number)).astype(np.float64), strict=True)
    stays = {row["uid"] for row in decisions(flow) if row["kept"]}
    own = np.stack([vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for uid, vectors in held if uid in stays])
    cosines = np.einsum("id,jvd->ijv", own[:, 0], own).max(axis=2)
    assert cosines[~np.eye(len(own), dtype=bool)].max() < 0.999
    assert "duplicate_reference" in {row["reason"] for row in decisions(flow)}
