"""The workflow beside this package: where it is, and its parameters as nextflow_schema.json describes them."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from pycurate.errors import UsageError
from pycurate.text import printable

ALIASES = {"input": "--input-path", "outdir": "--output-path"}  # beside the option of the parameter's own name
SETTLED = ("help", "show_hidden", "testset")  # parameters that belong to a call of nextflow and not to a run


@dataclass(frozen=True)
class Parameter:
    """One parameter of the workflow. `hidden`: seldom needed, so that only the manual lists it."""

    name: str
    group: str
    type: str  # string, boolean, integer, number
    description: str
    default: Any = None
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    hidden: bool = False

    @property
    def option(self) -> str:
        """The name as an option: words are joined by dashes."""
        return "--" + self.name.replace("_", "-")

    @property
    def brief(self) -> str:
        """The description without examples and remarks."""
        return re.split(r" \(|; ", self.description)[0]

    def kind(self) -> click.ParamType:
        """What click takes for a value. Raises KeyError for a type that no parameter may have."""
        if self.enum:
            return click.Choice(self.enum)
        bounded = self.minimum is not None or self.maximum is not None
        return {
            "string": click.STRING,
            "boolean": click.BOOL,
            "integer": click.IntRange(self.minimum, self.maximum) if bounded else click.INT,  # type: ignore[arg-type]
            "number": click.FloatRange(self.minimum, self.maximum) if bounded else click.FLOAT,
        }[self.type]


def root() -> Path:
    """The folder of main.nf. Raises UsageError if the package was installed without the workflow."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "main.nf").exists():
        raise UsageError(f"There is no main.nf beside {folder / 'pycurate'}; call pycurate from a checkout's .venv.")
    return folder


def parameters() -> list[Parameter]:
    """Those of a run, in the order of the schema."""
    groups = json.loads((root() / "nextflow_schema.json").read_text(encoding="utf-8"))["$defs"].values()
    fields = Parameter.__dataclass_fields__.keys()
    return [
        Parameter(name, group["title"], **{key: entry[key] for key in entry.keys() & fields} | _enum(entry))
        for group in groups
        for name, entry in group["properties"].items()
        if name not in SETTLED
    ]


def parameter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each parameter of the workflow; those that are given arrive as one dict, `given`, by name."""
    known = parameters()

    def run(**options: Any) -> Any:
        values = {one.name: options.pop(one.name) for one in known}
        return function(given={name: value for name, value in values.items() if value is not None}, **options)

    for one in reversed(known):
        names = [alias] if (alias := ALIASES.get(one.name)) else []
        flag = f"{one.option}/--no-{one.option[2:]}" if one.type == "boolean" else one.option
        text = one.brief + (f"  [default: {one.default}]" if one.type != "boolean" and one.default else "")
        run = click.option(
            *names, flag, one.name, type=one.kind(), default=None, hidden=one.hidden, metavar=_metavar(one), help=text
        )(run)
    run.__doc__ = function.__doc__
    return run


def parameter_file(given: Mapping[str, Any]) -> str:
    """A parameter file for `nextflow run -params-file` in YAML: `given` by name, all others as comments.

    Raises UsageError for a name that no parameter has.
    """
    known = parameters()
    strange = given.keys() - {one.name for one in known}
    if strange:
        raise UsageError(f"There is no parameter {min(strange)}; docs/usage.md lists them.")
    lines = ["# Parameters of a run of pycurate: nextflow run main.nf -params-file THIS_FILE", ""]
    group = None
    for one in known:
        if one.group != group:
            group = one.group
            lines += [f"# --- {group} ---", ""]
        value = given.get(one.name, one.default)
        lines.append(f"# {one.description}{_values(one)}")
        lines += [("" if one.name in given else "# ") + f"{one.name}: {_yaml(value)}", ""]
    return "\n".join(lines)


def read_parameter_file(path: Path) -> dict[str, Any]:
    """The parameters that a YAML or JSON file sets. Raises UsageError if it is something else."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as YAML ({error}); write lines such as `dedup: true`.") from error
    if not isinstance(values, dict | None):
        raise UsageError(f"{path} sets no parameters; write lines such as `dedup: true`.")
    return values or {}


def _enum(entry: dict[str, Any]) -> dict[str, Any]:
    return {"enum": tuple(entry["enum"])} if "enum" in entry else {}


def _metavar(one: Parameter) -> str | None:
    if one.enum or one.type == "boolean":
        return None
    return {"string": "TEXT", "integer": "COUNT", "number": "NUMBER"}[one.type]


def _values(one: Parameter) -> str:
    if one.enum:
        return f" ({', '.join(one.enum)})"
    if one.minimum is not None:
        return f" ({one.minimum:g} to {one.maximum:g})" if one.maximum is not None else f" ({one.minimum:g} or more)"
    return ""


def _yaml(value: Any) -> str:
    """One value as YAML writes it in a line; of a folder in the home, which nothing will expand, the whole path."""
    if isinstance(value, str) and value.startswith("~/"):
        value = str(Path(value).expanduser())
    plain = printable(str(value)) == str(value)
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=plain, width=10**9).split("\n...")[0].strip()
