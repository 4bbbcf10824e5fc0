"""The parameters of the workflow and of the scripts, as nextflow_schema.json describes them: the one place that does.

Beside what JSON Schema knows, an entry may have
    tasks     processes whose script has an option of this name and is told the value (lib/Options.groovy)
    with      another parameter, a boolean: where that is false, no task is told this one
    list      the value is several, separated by commas
    enumOf    a JSON file of this package whose keys are what is allowed
    hidden    seldom needed, so that only the manual lists it
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parent / "nextflow_schema.json"
RECIPES = Path(__file__).parent / "recipes.json"


@dataclass(frozen=True)
class Parameter:
    """One parameter; `type` is string, boolean, integer or number, `switch` what the schema calls `with`."""

    name: str
    group: str
    type: str
    description: str
    default: Any = None
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    hidden: bool = False
    list: bool = False
    tasks: tuple[str, ...] = ()
    switch: str | None = None

    @property
    def option(self) -> str:
        """The name as an option: words are joined by dashes."""
        return "--" + self.name.replace("_", "-")

    @property
    def brief(self) -> str:
        """The description without examples and remarks."""
        return re.split(r" \(|; ", self.description)[0]


def with_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """These parameters, and those that the `recipe` among them sets and that are not given.

    A recipe that is not in RECIPES sets nothing: what is allowed, the schema says.
    """
    recipe = recipes().get(str(given.get("recipe")), {})
    return {**given, **{name: value for name, value in recipe.items() if given.get(name) is None}}


@functools.cache
def recipes() -> dict[str, dict[str, Any]]:
    """{recipe: {parameter: value}}; only parameters that have no default."""
    found: dict[str, dict[str, Any]] = json.loads(RECIPES.read_text(encoding="utf-8"))
    return found


@functools.cache
def all_parameters() -> dict[str, Parameter]:
    """{name: parameter}, in the order of the schema."""
    groups = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"].values()
    return {
        name: _parameter(name, group["title"], entry) for group in groups for name, entry in group["properties"].items()
    }


def default_of(name: str) -> Any:
    """The default of a parameter. Raises KeyError if there is none of that name."""
    return all_parameters()[name].default


def switches() -> dict[str, str]:
    """{parameter: the boolean with which alone it acts}, such as aesthetic_threshold: aesthetic."""
    return {one.name: one.switch for one in all_parameters().values() if one.switch}


def optional_scores() -> tuple[str, ...]:
    """The scores that a boolean parameter of this name switches off."""
    return tuple(dict.fromkeys(switches().values()))


def _parameter(name: str, group: str, entry: dict[str, Any]) -> Parameter:
    missing = {"type", "description"} - entry.keys()
    if missing:
        raise KeyError(f"{name} needs {' and '.join(sorted(missing))} in {SCHEMA}")
    enum = entry.get("enum", ())
    if "enumOf" in entry:
        enum = json.loads((SCHEMA.parent / entry["enumOf"]).read_text(encoding="utf-8"))
    known = {key: entry[key] for key in entry.keys() & Parameter.__dataclass_fields__.keys()}
    lists = {"enum": tuple(enum), "tasks": tuple(entry.get("tasks", ()))}
    return Parameter(name, group, **known | lists | {"switch": entry.get("with")})
