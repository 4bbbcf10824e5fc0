"""The command `pycurate`, but for what needs a run of its own: help, parameter files, stages, errors."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from flows import ROOT, environment, pycurate

from pycurate.cli.main import COMMANDS
from pycurate.nextflow.parameters import SETTLED, parameter_file, run_parameters
from pycurate.nextflow.processes import processes

SCREEN = 45  # lines of 100 columns


def schema() -> dict[str, dict[str, Any]]:
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    return {name: entry for group in groups for name, entry in group["properties"].items()}


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=lambda words: " ".join(words))
def test_help_fits_a_screen(command: tuple[str, ...]) -> None:
    done = pycurate(*command, "--help")
    assert done.returncode == 0 and not done.stderr
    assert 5 < len(done.stdout.splitlines()) <= SCREEN


@pytest.mark.parametrize("script", sorted((ROOT / "bin").glob("*.py")), ids=lambda path: path.name)
def test_help_of_the_scripts_fits_a_screen(script: Path) -> None:
    def helped(*words: str) -> str:
        command = [sys.executable, str(script), *words, "--help"]
        done = subprocess.run(command, env=environment() | {"COLUMNS": "100"}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) <= SCREEN
        return done.stdout

    _, listed, commands = helped().partition("\nCommands:\n")
    for name in re.findall(r"^  (\w+) ", commands, re.MULTILINE) if listed else []:
        helped(name)


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


def test_each_error_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- dedup")
    (tmp_path / "strange.yaml").write_text("imput: shards")
    for words, said in (
        (("config",), "--input-path"),
        (("run",), "--input-path"),
        (("run", "--params-file", "list.yaml"), "dedup: true"),
        (("run", "--params-file", "strange.yaml", "--input", "x"), "no parameter imput"),
        (("runn",), "No such command"),
    ):
        done = pycurate(*words, cwd=tmp_path)
        assert done.returncode == 2 and said in done.stderr, (words, done.stderr)
    for command in ("inspect .", "refilter .", "stages --verbose --results ."):
        done = pycurate(*command.split(), cwd=tmp_path)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "no summary of a run" in done.stderr and "folder of --outdir" in done.stderr


def test_stages_are_those_of_the_modules_with_the_resources_of_the_configuration() -> None:
    known = {one.name: one for one in processes()}
    text = "".join(path.read_text() for path in (ROOT / "modules").glob("*.nf"))
    # The workings of a reference set and of the test profile are no stages.
    assert known.keys() == set(re.findall(r"^process (\w+)", text, re.MULTILINE)) - {"REFERENCE_FOLDER", "TESTSET"}
    done = subprocess.run(
        ["nextflow", "config", ROOT, "-flat"], env=environment(), capture_output=True, text=True, check=True
    )
    configured = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if "withLabel" in line)
    gpu = known["EMBED"].resources
    assert configured["process.'withLabel:process_gpu'.cpus"] == str(gpu.cpus) and gpu.gpu
    assert gpu.memory.replace(" ", ".") in configured["process.'withLabel:process_gpu'.memory"]
    shown = pycurate("stages", "--verbose")
    assert shown.returncode == 0 and all(name in shown.stdout for name in known)
    assert "Measured: " in shown.stdout and "not measured" in shown.stdout  # of the GPU
