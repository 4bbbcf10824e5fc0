"""The self-test tells whether models give what was published."""

import json
import shutil
from pathlib import Path

import pytest
from by_hand import CLASSES
from tiny_clip import save_tiny

from pycurate.models.findings import findings_path
from pycurate.models.selection import select_models
from scripts import called


def test_verify_checks_the_heads_where_the_encoder_is_not_there(shared: Path, tmp_path: Path) -> None:
    for path in (shared / "heads").iterdir():
        shutil.copy(path, tmp_path)
    good = called("models", "verify", "--preset", "clip-l14", "--model-dir", str(tmp_path))
    assert good.exit_code == 0, good.output
    assert [line.split()[:2] for line in good.output.splitlines()] == [
        ["skipped", "weights"],
        ["passed", "weights"],
        ["passed", "golden"],
        ["passed", "weights"],
        ["passed", "golden"],
    ]
    (tmp_path / "clip_autokeras_binary_nsfw.zip").unlink()
    bad = called("models", "verify", "--preset", "clip-l14", "--model-dir", str(tmp_path))
    assert bad.exit_code == 1
    assert "clip_autokeras_binary_nsfw.zip is missing" in bad.output


def test_what_was_found_holds_for_the_same_weights_only(shared: Path, tmp_path: Path) -> None:
    models = tmp_path / "models" / "clip-l14"
    shutil.copytree(shared / "heads", models)
    words = ["models", "verify", "--preset", "clip-l14", "--model-dir", str(models), "--keep", "--report"]
    first, second, third = (called(*words, str(tmp_path / name)) for name in ("first", "second", "third"))
    assert first.exit_code == second.exit_code == third.exit_code == 0, first.output
    assert first.output == second.output.partition("\n")[2] == third.output.partition("\n")[2]
    assert second.output.startswith("As found before with the same models")
    assert (tmp_path / "first").read_text() == (tmp_path / "second").read_text() == (tmp_path / "third").read_text()

    (kept,) = (tmp_path / "models" / ".verified").iterdir()
    kept.chmod(0o666)  # anybody may have written it
    assert "As found before" not in called(*words, str(tmp_path / "report")).output
    (models / "clip_autokeras_binary_nsfw.zip").write_bytes(b"altered")
    for _ in range(2):  # what failed is not kept
        bad = called(*words, str(tmp_path / "report"))
        assert bad.exit_code == 1 and "has SHA-256" in bad.output and "As found before" not in bad.output


def test_nothing_is_kept_of_ones_own_models(tmp_path: Path) -> None:
    words = ["--encoder", save_tiny(tmp_path / "tiny"), "--device", "cpu", "--model-dir", str(tmp_path / "models")]
    assert called("models", "verify", *words, "--keep").exit_code == 0
    assert not (tmp_path / ".verified").exists()
    (tmp_path / "mine.pt").touch()
    for pin in ("", "#" + "0" * 64):  # as it is named, and as the workflow names it
        assert findings_path(select_models("light", tmp_path, encoder=f"ViT-B-32/{tmp_path}/mine.pt{pin}")) is None


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_self_test_passes_where_loader_and_encoder_work_as_they_should(tmp_path: Path, device: str) -> None:
    words = ["--encoder", save_tiny(tmp_path / "model"), "--device", device, "--model-dir", str(tmp_path)]
    found = called("models", "verify", *words, "--report", str(tmp_path / "report.json"))
    assert found.exit_code == 0, found.output
    report = json.loads((tmp_path / "report.json").read_text())
    passed = {(f["check"], f["subject"].rpartition(", ")[2]) for f in report["findings"] if f["state"] == "passed"}
    assert passed >= {("preparation", "cpu"), ("preparation", "dali")}
    assert {check for check, _ in passed} == {"weights", "batches", "preparation"} and report["device"] == device


def test_a_scorer_of_ones_own_that_cannot_be_created_fails_a_check(tmp_path: Path) -> None:
    bad = "class Bad(First):\n    def __init__(self, model_dir, device): {}['x']\n"
    (tmp_path / "own.py").write_text(CLASSES + bad)
    words = [f"{option}={tmp_path}/own.py:{name}" for option, name in (("--encoder", "Mean"), ("--scorer", "Bad"))]
    found = called("models", "verify", *words, "--device", "cpu", "--model-dir", str(tmp_path))
    *_, last = found.output.splitlines()
    assert found.exit_code == 1 and last.startswith("failed  weights") and "raised KeyError: 'x'" in last


@pytest.mark.gpu
def test_the_default_models_pass_on_a_gpu(tmp_path: Path) -> None:
    found = called("models", "verify", "--preset", "light", "--device", "cuda", "--model-dir", str(tmp_path))
    assert found.exit_code == 0, found.output
