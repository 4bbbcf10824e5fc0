"""`pycurate estimate` as a command: what it measures, prints and refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tars import made_shards, write_tar

from pycurate.cli.main import main
from pycurate.models.builtin.efficientnet import EfficientNetLite0
from pycurate.models.builtin.light_copy import LightCopy
from pycurate.text import size


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["estimate", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def tried(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The whole command on the demo's shards, as a process, with a short trial and a scorer that prints."""
    temporary = tmp_path_factory.mktemp("tried")
    (temporary / "loud.py").write_text(
        "from pycurate.images.views import View\n"
        "print('loud.py is imported')\n"
        "class Loud:\n"
        "    name, view = 'loud', View(8, 8)\n"
        "    def __init__(self, *given): print('Loud is made')\n"
        "    def score(self, pixels, images):\n"
        "        print('Loud scores')\n"
        "        return pixels.float().mean((1, 2, 3)).numpy()\n"
    )
    options = ["--input-path", str(demo), "--seconds", "2", "--gpus", "1,4", "--device", "cpu", "--json"]
    options += ["--pixel-scorer", f"{temporary}/loud.py:Loud"]
    command = [sys.executable, "-m", "pycurate.cli.main", "estimate", *options]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(temporary)})
    assert done.returncode == 0, done.stderr
    assert list(temporary.glob("pycurate*")) == []  # the trial leaves nothing behind
    return done


def test_the_command_measures_this_machine(tried: subprocess.CompletedProcess[str], demo: Path) -> None:
    plan = json.loads(tried.stdout)
    trial, rate = plan["machine"]["trial"], plan["machine"]["rate"]
    assert (plan["samples"]["value"], plan["shards"], plan["no_trial"]) == (303, 8, None)
    assert len(trial["rates"]) == 3 and 0 < rate["low"] <= rate["value"] <= rate["high"]
    assert trial["dim"] == EfficientNetLite0.dim + LightCopy.dim and trial["gpu_memory"] is None
    assert trial["memory"] > 200e6  # torch alone
    assert 0 < trial["start_without_torch"] < trial["start"] < trial["embed_start"]
    assert trial["start_without_torch"] <= trial["score_start"] < trial["start"]  # `light` scores nothing by torch
    assert set(trial["tables"]) == {"samples", "metadata", "measures", "scores", "decisions", "plan"}
    # A uid is 16 random bytes, written as 32 digits.
    assert all(size > 16 for size in trial["tables"].values())
    assert plan["disk"]["embeddings"]["value"] == plan["images"]["value"] * trial["dim"] * 2
    one, four = plan["times"]
    assert one["all"]["value"] == pytest.approx(
        sum(one[stage]["value"] for stage in ("embed", "score", "dedup", "write"))
    )
    assert one["embed"]["value"] == pytest.approx(
        trial["embed_start"] + plan["images"]["value"] / rate["value"]
    )  # one task
    assert four["embed"] == one["embed"]


def test_the_text_fits_a_terminal(demo: Path) -> None:
    done = call("--input-path", demo, "--images-per-second", 500)
    lines = done.stdout.splitlines()
    assert done.exit_code == 0 and 15 < len(lines) <= 40
    assert all(len(line) <= 125 for line in lines)
    assert "  samples   303" in lines
    assert "500 images/s, as given" in done.stdout
    # Without a trial SCORE and WRITE are not known, and the total is no more than a bound.
    rows = [line.split("   ")[-1] for line in lines if " ? " in line]
    assert len(rows) == 3 and all(row.startswith("more than ") for row in rows), rows
    assert "With a --blocklist of PDQ hashes EMBED takes" in done.stdout and "  --leakage takes" in done.stdout
    assert "With --text_area EMBED takes" in done.stdout and "  --similar takes" in done.stdout
    assert "--balance cells" in done.stdout and "--language" in done.stdout and "s_clip_loss takes" in done.stdout


def test_numbers_from_a_sample_come_with_their_bounds(tmp_path: Path) -> None:
    made_shards(tmp_path, 30, seed=4)
    done = call("--input-path", tmp_path, "--images-per-second", 500, "--shards", 10)
    assert re.search(r"samples   about [\d,]+ \(95 % interval [\d,]+ to [\d,]+\)", done.stdout)
    assert "headers read of 10" in done.stdout and "25.9 % of all may not show" in done.stdout
    everything = call("--input-path", tmp_path, "--images-per-second", 500, "--shards", 10, "--all")
    assert "headers read of all" in everything.stdout and "interval" not in everything.stdout


def test_without_weights_it_says_how_to_fetch_them_and_goes_on(shared_images: Path, tmp_path: Path) -> None:
    done = call("--input-path", shared_images, "--preset", "clip-b32", "--model-dir", tmp_path)
    assert done.exit_code == 0
    assert f"fetch --preset clip-b32 --model-dir {tmp_path}/clip-b32" in done.stdout
    assert f"embeddings  {size(100 * 512 * 2)}" in done.stdout  # known without weights


def test_a_trial_that_is_killed_is_a_failure(shared_images: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "import os\n\nclass Greedy:\n    def __init__(self, *_):\n        os.kill(os.getpid(), 9)\n"
        "    def encode(self, pixels): ...\n"
    )
    done = call("--input-path", shared_images, "--encoder", f"{own}:Greedy", "--device", "cpu")
    assert done.exit_code == 1 and "was killed" in done.stderr


def test_wrong_use_leaves_with_2(shared_images: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["--input-path", tmp_path / "none"], "matches no file"),
        (["--input-path", shared_images, "--gpus", "1,x"], "--gpus is '1,x'"),
        (["--input-path", shared_images, "--gpus", "0"], "--gpus is '0'"),
        (["--input-path", shared_images, "--preset", "heavy"], "'heavy' is not one of 'light', 'clip-b32'"),
        (["--input-path", shared_images, "--shards", "3"], "3 is not in the range"),
        (["--input-path", shared_images, "--images-per-second", "inf"], "'inf' is not a finite number"),
        (["--input-path", shared_images, "--seconds", "nan"], "'nan' is not a finite number"),
    ):
        done = call(*arguments)
        assert done.exit_code == 2 and said in done.stderr, arguments
    write_tar(tmp_path / "0.tar", [("a.txt", b"text")])
    done = call("--input-path", tmp_path)
    assert done.exit_code == 2 and "contains an image, only errors: no_image." in done.stderr


def test_help_fits_a_screen() -> None:
    assert len(call("--help").stdout.splitlines()) <= 40
