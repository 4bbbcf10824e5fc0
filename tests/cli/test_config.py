"""`pycurate config` writes parameter files that say what was given."""

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
    words += " --recipe datacomp-basic --min-side 300"
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
