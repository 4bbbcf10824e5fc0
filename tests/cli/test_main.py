"""The command `pycurate`: its help and its errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from flows import ROOT, environment, pycurate

from pycurate.cli.main import COMMANDS

SCREEN = 45  # lines of 100 columns


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


@pytest.mark.parametrize("script", sorted((ROOT / "bin").glob("*.py")), ids=lambda path: path.name)
def test_python_and_openblas_are_set_before_a_script_imports_numpy(script: Path) -> None:
    command = [sys.executable, "-X", "importtime", str(script), "--help"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    done_with = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]  # in the order of their ends
    assert "numpy" not in done_with[: done_with.index("pycurate.cli")]


def test_a_process_with_triton_ends_without_a_report_of_what_is_left() -> None:
    code = "import pycurate.cli, triton; pycurate.cli.begin_work()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_each_error_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- dedup")
    (tmp_path / "strange.yaml").write_text("imput: shards")
    for words, said in (
        (("config",), "--input-path"),
        (("run",), "--input-path"),
        (("run", "--params-file", "list.yaml"), "dedup: true"),
        (("run", "--params-file", "strange.yaml", "--input", "x"), "no parameter imput"),
        (("runn",), "No such command"),
        (("run", "--input-path", "a.tar", "b.tar"), "quote patterns, as in --input-path"),
    ):
        done = pycurate(*words, cwd=tmp_path)
        assert done.returncode == 2 and said in done.stderr, (words, done.stderr)
    for command in ("inspect .", "calibrate .", "refilter .", "stages --verbose --results ."):
        done = pycurate(*command.split(), cwd=tmp_path)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "no summary of a run" in done.stderr and "--outdir of a finished run" in done.stderr
