"""The self-test tells whether models give what was published."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_clip import save_tiny

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


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_self_test_passes_where_loader_and_encoder_work_as_they_should(tmp_path: Path, device: str) -> None:
    words = ["--encoder", save_tiny(tmp_path / "model"), "--device", device, "--model-dir", str(tmp_path)]
    found = called("models", "verify", *words, "--report", str(tmp_path / "report.json"))
    assert found.exit_code == 0, found.output
    report = json.loads((tmp_path / "report.json").read_text())
    passed = {(f["check"], f["subject"].rpartition(", ")[2]) for f in report["findings"] if f["state"] == "passed"}
    assert passed >= {("preparation", "cpu"), ("preparation", "dali")}
    assert {check for check, _ in passed} == {"weights", "batches", "preparation"} and report["device"] == device
