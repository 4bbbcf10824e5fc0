"""The parameters are described once, in nextflow_schema.json; the configuration and the scripts agree with it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flows import environment

from pycurate.images.decode import MAX_PIXELS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    parts = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    return {name: entry for part in parts for name, entry in part["properties"].items()}


@pytest.fixture(scope="module", params=["standard", "slurm"])
def configured(request: pytest.FixtureRequest) -> dict[str, str]:
    """The parameters as Nextflow has them under a profile, as text."""
    done = subprocess.run(
        ["nextflow", "config", ROOT, "-profile", request.param, "-flat"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [
        line.removeprefix("params.").split(" = ", 1) for line in done.stdout.splitlines() if line.startswith("params.")
    ]
    return {name: value.strip("'") for name, value in lines}


def test_defaults_of_the_configuration_are_those_of_the_schema(
    schema: dict[str, Any], configured: dict[str, str]
) -> None:
    assert configured.keys() <= schema.keys()
    for name, value in configured.items():
        default = schema[name].get("default")
        written = {None: "null", True: "true", False: "false"}.get(default, str(default))
        assert value == written.replace("~", str(Path.home())), name


def test_each_parameter_has_a_default_in_some_profile(schema: dict[str, Any]) -> None:
    text = "".join(path.read_text() for path in (ROOT / "nextflow.config", *(ROOT / "conf").glob("*.config")))
    assert all(name in text for name in schema)
    assert all(entry["description"] and entry["type"] for entry in schema.values())


def test_the_largest_image_is_that_of_the_scripts(schema: dict[str, Any]) -> None:
    assert schema["max_pixels"]["default"] == MAX_PIXELS
