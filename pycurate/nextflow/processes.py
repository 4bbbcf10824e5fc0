"""The stages of the workflow as its own files describe them: what each process does and what it asks for."""

import ast
import json
import re
from dataclasses import dataclass, replace
from importlib.resources import files as package_files
from pathlib import Path

from pycurate.errors import TableError
from pycurate.nextflow.parameters import root
from pycurate.results.costs import Cost
from pycurate.results.tables import read_summary

MODULES = (
    "models", "partition", "embed", "score", "reference", "compare", "dedup", "decide", "write", "report", "upload",
)  # fmt: skip
PROCESS = re.compile(r"((?:^// [^\n]*\n)+)\n*^process (\w+) \{\n.*?^    label '(\w+)'$", re.MULTILINE | re.DOTALL)
SELECTED = re.compile(r"with(?:Label|Name): '?([\w|]+)'? \{[^\n]*\n(.*?)^    \}", re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"(\w+) *= (?:\{ *)?([\d.]+(?:GB|h)?)")


@dataclass(frozen=True)
class Resources:
    """What a task asks for at its first attempt; a retry after it was killed asks for more."""

    cpus: int
    memory: str
    time: str
    gpu: bool


@dataclass(frozen=True)
class Process:
    """One process of the workflow: `name` as in modules/, `stage` the noun it belongs to."""

    name: str
    stage: str
    about: str
    resources: Resources


def processes() -> list[Process]:
    """Every process of modules/, in the order of the workflow, with the resources of conf/base.config."""
    asked = requests((root() / "conf" / "base.config").read_text(encoding="utf-8"))
    found = []
    for noun in MODULES:
        text = (root() / "modules" / f"{noun}.nf").read_text(encoding="utf-8")
        for comment, name, label in PROCESS.findall(text):
            about = " ".join(line.removeprefix("// ") for line in comment.strip().splitlines())
            asks = asked[label] | asked.get(name, {})
            found.append(Process(name, noun.upper(), about, _resources(asks)))
    return found


def summed_up(found: list[Process]) -> list[Process]:
    """One entry a stage: what its script says of itself, and the most that one of its processes asks for."""
    stages = []
    for name in dict.fromkeys(one.stage for one in found):
        its = [one for one in found if one.stage == name]
        most = max(its, key=lambda one: (one.resources.cpus, float(one.resources.memory.split()[0])))
        asks = replace(most.resources, gpu=any(one.resources.gpu for one in its))
        script = root() / "bin" / f"{name.lower()}.py"
        about = most.about
        if script.exists():
            text = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").splitlines()[0]
            words = text.partition(": ")[2]
            about = words[:1].upper() + words[1:]
        stages.append(Process(name, name, about, asks))
    return stages


def requests(config: str) -> dict[str, dict[str, str]]:
    """What a configuration file of ours sets for each label, and for each process that it names."""
    return {name: dict(SETTING.findall(body)) for names, body in SELECTED.findall(config) for name in names.split("|")}


def _resources(values: dict[str, str]) -> Resources:
    memory, time = (values[key].replace(".", " ") for key in ("memory", "time"))
    return Resources(int(values["cpus"]), memory, time, "accelerator" in values)


def measured_costs(results: Path | None) -> tuple[str, list[Cost]]:
    """On what the stages were measured, and what: by the run in `results`, else by the one that the package names.

    Raises TableError if its summary is not there, or says nothing of the stages.
    """
    if results is None:
        kept = json.loads((package_files("pycurate.nextflow") / "measured.json").read_text(encoding="utf-8"))
        return kept["about"], [Cost(**entry) for entry in kept["stages"]]
    summary = read_summary(results)
    try:
        stages = [Cost(**entry) for entry in summary["stages"]]
    except (KeyError, TypeError) as error:
        raise TableError(f"{results} has no times of its stages ({error!r}); run REPORT again.") from error
    return f"the run in {results}, {summary['inputs']} samples", stages
