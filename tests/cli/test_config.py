"""`pycurate config` writes parameter files that say what was given."""

import shlex
from pathlib import Path

import yaml
from flows import pycurate

from pycurate.parameters import with_recipe


def test_a_parameter_file_sets_what_was_given(tmp_path: Path) -> None:
    words = (
        "--input-path shards --output-path out --aesthetic-threshold 0.6 --nsfw-threshold 0.4 --dedup --batch-size 50 "
        "--images-per-tar 1000 --no-nsfw --min-side 200 --output-file image_pipeline.yaml"
    )
    done = pycurate("config", *words.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((tmp_path / "image_pipeline.yaml").read_text()) == {
        "input": "shards",
        "outdir": "out",
        "aesthetic_threshold": 0.6,
        "nsfw_threshold": 0.4,
        "dedup": True,
        "batch_size": 50,
        "images_per_tar": 1000,
        "nsfw": False,
        "min_side": 200,
    }
    words += " --recipe datacomp-basic --min-side 300 --force"
    done = pycurate("config", *words.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load((tmp_path / "image_pipeline.yaml").read_text())
    assert (found["recipe"], found["language"], found["max_aspect"], found["min_side"]) == (
        "datacomp-basic",
        "en",
        3,
        300,
    )
    # A run with this file sets the same: what the recipe set is given now.
    assert with_recipe(found) == found


def test_a_file_that_exists_is_replaced_by_force_only(tmp_path: Path) -> None:
    file = tmp_path / "my run.yaml"
    file.write_text("dedup: true\n")
    words = ("config", "--input-path", "shards", "--output-file", file)
    done = pycurate(*words)
    assert done.returncode == 2 and f"{file} exists" in done.stderr and "--force" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and file.read_text() == "dedup: true\n"
    done = pycurate(*words, "--force")
    assert done.returncode == 0 and yaml.safe_load(file.read_text()) == {"input": "shards"}, done.stderr
    assert shlex.split(done.stdout)[-5:] == ["Next:", "pycurate", "run", "--params-file", str(file)]
