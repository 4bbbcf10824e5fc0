"""`pycurate config` writes parameter files that say what was given, and what else there is."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from flows import ROOT, pycurate

from pycurate.nextflow.parameters import SETTLED, parameter_file, run_parameters


def schema() -> dict[str, dict[str, Any]]:
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    return {name: entry for group in groups for name, entry in group["properties"].items()}


def test_a_parameter_file_sets_what_was_given_and_names_the_rest(tmp_path: Path) -> None:
    words = (
        "--input-path shards --output-path out --aesthetic-threshold 0.6 --nsfw-threshold 0.4 --dedup --batch-size 50 "
        "--images-per-tar 1000 --no-nsfw --min-side 200 --output-file image_pipeline.yaml"
    )
    done = pycurate("config", *words.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "image_pipeline.yaml").read_text()
    assert yaml.safe_load(text) == {
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
    # With what is commented out made lines, it sets every parameter to its default.
    commented = rf"^# (({'|'.join(schema())}): )"
    whole = yaml.safe_load(re.sub(commented, r"\1", parameter_file({}), flags=re.MULTILINE))
    expected = {name: entry.get("default") for name, entry in schema().items() if name not in SETTLED}
    expected["model_dir"] = str(Path.home() / ".cache" / "pycurate")
    assert whole == expected


def test_each_parameter_is_an_option_with_its_range() -> None:
    known = {one.name: one for one in run_parameters()}
    assert known.keys() == schema().keys() - set(SETTLED)
    for one in known.values():
        if one.minimum is not None and one.minimum > 0:
            done = pycurate("config", "--input", "x", "--output-file", "-", one.option, "-1")
            assert done.returncode == 2 and one.option in done.stderr, one.name
            break
    done = pycurate("config", "--input", "x", "--output-file", "-", "--preset", "ligth")
    assert done.returncode == 2 and "light" in done.stderr
