"""Parameters are described once, in nextflow_schema.json; configuration, scripts and workflow agree with it."""

import json
import re
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from flows import environment

from pycurate.filters.filtering import BALANCE, FILTERS, Filtering
from pycurate.parameters import Parameter, all_parameters, switches
from scripts import NAMES, commands, main_of

ROOT = Path(__file__).resolve().parents[2]
EACH = pytest.mark.parametrize("one", all_parameters().values(), ids=all_parameters())


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


def test_defaults_of_the_configuration_are_those_of_the_schema(configured: dict[str, str]) -> None:
    stray = configured.keys() - all_parameters().keys()
    assert not stray, f"add {stray} to pycurate/nextflow_schema.json, or take it out of nextflow.config"
    for name, value in configured.items():
        default = all_parameters()[name].default
        written = default if isinstance(default, str) else json.dumps(default)
        same = value == written.replace("~", str(Path.home()))
        assert same, f"nextflow.config sets {name} to {value}, nextflow_schema.json to {written}: give both one default"


@EACH
def test_each_parameter_is_described_has_a_default_and_is_read_by_somebody(one: Parameter) -> None:
    configuration = [ROOT / "nextflow.config", *(ROOT / "conf").glob("*.config")]
    set_there = any(re.search(rf"^ +{one.name} += ", path.read_text(), re.MULTILINE) for path in configuration)
    assert set_there, f"add {one.name} with its default to `params` in nextflow.config"
    assert one.description and one.type in ("string", "boolean", "integer", "number"), "mend it in nextflow_schema.json"
    assert one.default is None or not one.enum or one.default in one.enum
    assert one.type != "boolean" or one.default is not None, f"give {one.name} a default, true or false, in both"
    switch = all_parameters().get(one.switch or "")
    assert one.switch is None or (switch and switch.type == "boolean"), (
        f"{one.name} is `with` {one.switch}: add a boolean of that name to nextflow_schema.json"
    )
    workflow = [ROOT / "main.nf", *configuration, *(ROOT / "lib").glob("*.groovy"), *(ROOT / "modules").glob("*.nf")]
    read = any(re.search(rf"\b(params|settings|set)\.{one.name}\b", path.read_text()) for path in workflow)
    assert read or one.tasks, "neither a task nor the workflow reads it: give it `tasks` in nextflow_schema.json"


@pytest.mark.parametrize("script", NAMES)
def test_a_script_has_the_options_that_the_workflow_gives_it(script: str) -> None:
    found = [{option.name: option for option in command.params} for command in commands(script)]
    for one in all_parameters().values():
        mine = [options[one.name] for options in found if one.name in options]
        assert mine or script.upper() not in one.tasks, (
            f"bin/{script}.py has no option {one.option}: add {one.name!r} to its @parameters(...) and an argument of "
            "that name; for a filter, a field to Filtering in pycurate/filters/filtering.py"
        )
        for option in mine:
            assert one.option in option.opts
            assert not one.enum or (isinstance(option.type, click.Choice) and tuple(option.type.choices) == one.enum)


def test_each_task_is_told_its_parameters() -> None:
    """A process whose `ext options` are those of a task gives them to a command of the task's script that has them."""
    told = set()
    for path in (ROOT / "modules").glob("*.nf"):
        for process in path.read_text().split("\nprocess ")[1:]:
            call = re.search(r"^ +(\w+)\.py (?:(\w+) )?.*\$\{task\.ext\.options\}", process, re.MULTILINE)
            task = re.search(r"\boptions: \{ Options\.of\('(\w+)'(?:, .+)?\) \}", process)
            assert bool(call) == bool(task), f"{path}: `ext options` and ${{task.ext.options}} go together"
            if call and task:
                told.add(task[1])
                main = main_of(call[1])
                command = main.commands[call[2]] if isinstance(main, click.Group) else main
                given = {one.name for one in all_parameters().values() if task[1] in one.tasks}
                missing = given - {option.name for option in command.params}
                assert not missing, f"bin/{call[1]}.py {call[2] or ''} is given {missing} and has no such options"
    untold = {(one.name, task) for one in all_parameters().values() for task in one.tasks} - {
        (one.name, task) for one in all_parameters().values() for task in told
    }
    assert not untold, (
        f"{untold}: a process in modules/ needs `ext options: {{ Options.of(TASK) }}` and ${{task.ext.options}}"
    )


def test_the_filters_are_those_of_the_schema() -> None:
    group = {one.name for one in all_parameters().values() if one.group == "Filters" and one.name != "recipe"}
    odd = group ^ {field.name for field in fields(Filtering)}
    assert not odd, f"{odd}: a filter is a parameter in nextflow_schema.json and a field of Filtering in filtering.py"
    # Those that have no threshold, or many.
    others = {"min_score", "missing_caption", "language", "filter", "score", "keep_top", "concept_threshold", *BALANCE}
    others |= {"blocklist"}
    odd = FILTERS.keys() ^ (group - others)
    assert not odd, f"say for {odd} in FILTERS of pycurate/filters/filtering.py which side of the threshold is kept"
    for name, score in switches().items():
        assert FILTERS[name].column == score, f"{name} is a threshold on {score}: say so in FILTERS"


def test_the_presets_give_every_score_that_can_be_switched_off() -> None:
    presets: dict[str, Any] = json.loads((ROOT / "pycurate" / "models" / "presets.json").read_text())
    assert all_parameters()["preset"].enum == tuple(presets)
    for name, preset in presets.items():
        odd = set(preset["scorers"]) ^ set(switches().values())
        assert not odd, (
            f"{odd}: give each preset in pycurate/models/presets.json (here: {name}) a scorer for it, and "
            "nextflow_schema.json a boolean of its name and a threshold `with` it"
        )


# Newer versions of Nextflow leave what stands on the command line as text, as this one does when it is told to.
@pytest.mark.parametrize("text", [{}, {"NXF_DISABLE_PARAMS_TYPE_DETECTION": "true"}], ids=["typed", "text"])
def test_values_on_the_command_line_mean_the_same_typed_and_as_text(tmp_path: Path, text: dict[str, str]) -> None:
    good = "--encoder a:B --aesthetic false --nsfw FALSE --help false --dedup --dedup_single 0 --slurm_queue_size 7"
    rest = "--max_aspect 3 --dedup_threshold 0.5 --partition_minutes 60 --images_per_second 1.5 --max_pixels 9999999999"
    wrong = "--write maybe --images_per_tar seven --tars_per_task 7.0 --batch_size 99999999999999999999 --min_side 0"
    done = subprocess.run(
        ["nextflow", "run", ROOT / "main.nf", *f"{good} {rest} {wrong} --nsfw_threshold nan".split()],
        cwd=tmp_path,
        env=environment() | text,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    # Only how a number too large for an integer is written may differ.
    said = re.findall(r"^--(\w+) (?:\S+: )?(is .*?)(?:: .*)?$", done.stderr, re.MULTILINE)
    assert sorted(said) == [
        ("batch_size", "is not of type integer"),
        ("images_per_tar", "is not of type integer"),
        ("input", "is missing"),
        ("min_side", "is not 1 or more"),
        ("nsfw_threshold", "is not of type number"),
        ("tars_per_task", "is not of type integer"),
        ("write", "is not of type boolean"),
    ]


def test_the_order_of_the_profiles_test_and_slurm_changes_nothing(tmp_path: Path) -> None:
    """Nextflow applies them in the order of their definition, newer versions in that of the call."""
    settings = {}
    for profile in ("test", "slurm"):
        (tmp_path / "nextflow.config").write_text(f"includeConfig '{ROOT / 'conf' / profile}.config'\n")
        command = ["nextflow", "config", "-flat"]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
        settings[profile] = set(re.findall(r"^(\w+\..*?) = ", done.stdout, re.MULTILINE))
    assert len(settings["test"]) >= 7 and len(settings["slurm"]) >= 20
    assert settings["test"] & settings["slurm"] == set()
