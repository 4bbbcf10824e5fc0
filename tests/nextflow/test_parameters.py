"""Parameter files for Nextflow."""

import re
from pathlib import Path

import yaml

from pycurate.nextflow.parameters import SETTLED, parameter_file
from pycurate.parameters import all_parameters


def test_a_parameter_file_names_every_parameter_with_its_default() -> None:
    """With what is commented out made lines, it sets each to its default."""
    commented = rf"^# (({'|'.join(all_parameters())}): )"
    whole = yaml.safe_load(re.sub(commented, r"\1", parameter_file({}), flags=re.MULTILINE))
    expected = {name: one.default for name, one in all_parameters().items() if name not in SETTLED}
    assert whole == expected | {"model_dir": str(Path.home() / ".cache" / "pycurate")}
