"""Parameter files for Nextflow."""

import re
from pathlib import Path

import pytest
import yaml

from pycurate.errors import UsageError
from pycurate.nextflow.parameters import SETTLED, parameter_file, read_parameter_file
from pycurate.parameters import all_parameters


def test_a_parameter_file_names_every_parameter_with_its_default() -> None:
    """With what is commented out made lines, it sets each to its default."""
    commented = rf"^# (({'|'.join(all_parameters())}): )"
    whole = yaml.safe_load(re.sub(commented, r"\1", parameter_file({}), flags=re.MULTILINE))
    expected = {name: one.default for name, one in all_parameters().items() if name not in SETTLED}
    assert whole == expected | {"model_dir": str(Path.home() / ".cache" / "pycurate")}
    groups = re.findall(r"^# --- (.*) ---$", parameter_file({}), re.MULTILINE)
    assert groups == list(dict.fromkeys(all_parameters()[name].group for name in expected))


def test_a_parameter_file_sets_texts_as_they_were_given(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    for text in ("word " * 60, "no", "1e3", "a: b # c", "two\n...\nlines\n", "größe 狗", "\x1b[31m\u202e\x85", "*.tar"):
        file.write_text(parameter_file({"input": text, "dedup": False}), encoding="utf-8")
        assert read_parameter_file(file) == {"input": text, "dedup": False}
        assert file.read_text(encoding="utf-8").replace("\n", "").isprintable()
    with pytest.raises(UsageError, match="There is no parameter imput"):
        parameter_file({"imput": "shards"})


def test_a_file_that_sets_nothing_and_files_of_something_else(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    for text in ("", "# dedup: true\n", parameter_file({})):
        file.write_text(text, encoding="utf-8")
        assert read_parameter_file(file) == {}
    for text, message in (("input: [", "cannot be read as YAML"), ("- input", "sets no parameters"), ("a", "sets no")):
        file.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_parameter_file(file)


def test_values_of_a_file_have_the_types_of_their_parameters(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("aesthetic_threshold: '0.6'\nmin_side: '200'\ndedup: 'True'\nlanguage: 'no'\noutdir:\nodd: 1\n")
    found = read_parameter_file(file)
    expected = {"aesthetic_threshold": 0.6, "min_side": 200, "dedup": True, "language": "no", "outdir": None, "odd": 1}
    assert found == expected and list(map(type, found.values())) == list(map(type, expected.values()))
    for line in ("min_score: 5", "language: no", "outdir: [a]", "dedup: 1", "min_side: true", "nsfw_threshold: low"):
        file.write_text(f"input: shards\n{line}\n")
        with pytest.raises(UsageError, match=f"sets {line.partition(':')[0]} to .*, which is not of type"):
            read_parameter_file(file)
