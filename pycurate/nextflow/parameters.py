"""The workflow beside this package: where it is, and files of its parameters."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pycurate.errors import UsageError
from pycurate.parameters import Parameter, all_parameters
from pycurate.text import printable

SETTLED = ("help", "show_hidden", "testset")  # parameters that belong to a call of nextflow and not to a run

TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}

READ: dict[str, tuple[str, Callable[[str], Any]]] = {
    "boolean": ("(?i:true|false)", lambda text: text.lower() == "true"),
    "integer": (r"-?\d+", int),
    "number": (r"-?\d+(\.\d+)?", float),
}
"""What lib/Typing.groovy takes for a value of these types where it is text, and which value."""


def root() -> Path:
    """The folder of main.nf. Raises UsageError if the package was installed without the workflow."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "main.nf").exists():
        raise UsageError(f"There is no main.nf next to {folder / 'pycurate'}; call pycurate from a checkout's .venv.")
    return folder


def run_parameters() -> list[Parameter]:
    """Those of a run, in the order of the schema."""
    return [one for one in all_parameters().values() if one.name not in SETTLED]


def parameter_file(given: Mapping[str, Any]) -> str:
    """A parameter file for `nextflow run -params-file` in YAML: `given` by name, all others as comments.

    Raises UsageError for a name that no parameter has.
    """
    known = run_parameters()
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
    """The parameters that a YAML or JSON file sets, in their types. What is null, and unknown names, stay as they are.

    Raises UsageError if it is something else, or a value is of another type than its parameter.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as YAML ({error}); write lines such as `dedup: true`.") from error
    if not isinstance(values, dict | None):
        raise UsageError(f"{path} sets no parameters; write lines such as `dedup: true`.")
    known, values = all_parameters(), values or {}
    return values | {name: _typed(path, known[name], values[name]) for name in values.keys() & known.keys()}


def expanded(value: Any) -> Any:
    """A parameter's value with the paths of folders in the home, which nothing else will expand."""
    if not isinstance(value, str) or "~" not in value:
        return value
    return ",".join(os.path.expanduser(part) if part.startswith("~/") else part for part in value.split(","))


def results_folder(outdir: str) -> Path:
    """The folder of results on this machine: `outdir`, or what nextflow.config makes of an address."""
    return Path(expanded(outdir).replace("://", "/", 1))


def _typed(path: Path, one: Parameter, value: Any) -> Any:
    pattern, read = READ.get(one.type, ("", str))
    if isinstance(value, str) and pattern and re.fullmatch(pattern, value, re.ASCII):
        value = read(value)
    if value is None or (isinstance(value, TYPES[one.type]) and isinstance(value, bool) == (one.type == "boolean")):
        return value
    remedy = "; write it in quotes" if one.type == "string" and isinstance(value, int | float) else ""
    raise UsageError(f"{path} sets {one.name} to {value!r}, which is not of type {one.type}{remedy}.")


def _values(one: Parameter) -> str:
    if one.enum:
        return f" ({', '.join(one.enum)})"
    if one.minimum is not None:
        return f" ({one.minimum:g} to {one.maximum:g})" if one.maximum is not None else f" ({one.minimum:g} or more)"
    return ""


def _yaml(value: Any) -> str:
    """One value as YAML writes it in a line."""
    value = expanded(value)
    plain = printable(str(value)) == str(value)
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=plain, width=10**9).split("\n...")[0].strip()
