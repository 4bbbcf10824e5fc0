"""The options that the scripts in bin/ and the command `pycurate` share; parameters' are made from the schema."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pycurate.cli.command import Command
from pycurate.parameters import Parameter, all_parameters

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""What click takes for the path of a folder or file that is there."""

results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder shared by the stages.  [default: the current folder]",
)


def stage_command(function: Callable[..., Any]) -> click.Command:
    """A command with --results; the first docstring line of `function` is its help."""
    return click.command(cls=Command, context_settings={"max_content_width": 110})(results_option(function))


def parameters(*names: str, **defaults: Any) -> Decorator:
    """An option for each of these parameters, as the schema describes them; each arrives under its own name.

    Those of `defaults` have that default in place of the schema's. A list arrives as a tuple. Raises KeyError for a
    name that no parameter has.
    """
    known = all_parameters()

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed([*names, *defaults]):
            default = defaults.get(name, known[name].default)
            function = option(known[name], default, default, hidden=False)(function)
        return function

    return decorate


def option(one: Parameter, default: Any, shown: Any, *aliases: str, hidden: bool) -> Decorator:
    """The option of one parameter, with `default`, of which the help says what `shown` is."""
    text = one.brief
    if one.type == "boolean":
        flags, metavar = f"{one.option}/--no-{one.option[2:]}", None
        text += "" if shown is None else f"  [default: {'on' if shown else 'off'}]"
    else:
        flags = one.option
        metavar = None if one.enum else {"string": "TEXT", "integer": "COUNT", "number": "NUMBER"}[one.type]
        text += f"  [default: {shown}]" if shown not in (None, "") else ""
    return click.option(
        *aliases,
        flags,
        one.name,
        type=_kind(one),
        default=default,
        hidden=hidden,
        metavar=metavar,
        help=text,
        multiple=one.list,
        callback=_split if one.list else None,
    )


def _kind(one: Parameter) -> click.ParamType:
    """What click takes for a value. Raises KeyError for a type that no parameter may have."""
    if one.enum:
        return click.Choice(one.enum)
    bounded = one.minimum is not None or one.maximum is not None
    return {
        "string": click.STRING,
        "boolean": click.BOOL,
        "integer": click.IntRange(one.minimum, one.maximum) if bounded else click.INT,  # type: ignore[arg-type]
        "number": Number(one.minimum, one.maximum),
    }[one.type]


class Number(click.FloatRange):
    """A number within its bounds, if any: no infinity, which JSON cannot name, nor NaN, which no bound refuses."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if not math.isfinite(click.FLOAT.convert(value, param, ctx)):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        number: float = super().convert(value, param, ctx)
        return number


def _split(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """The parts of what was given; defaults that a command has set are parts already, which may hold a comma."""
    if context.get_parameter_source(parameter.name or "") is ParameterSource.DEFAULT_MAP:
        return given
    return tuple(part for text in given for part in text.split(",") if part)


partition_option = click.option(
    "--partition",
    "partitions",
    multiple=True,
    metavar="NUMBER",
    help="Number of a partition, such as 00000; repeatable.  [default: all]",
)

reference_option = click.option(
    "--reference",
    "references",
    multiple=True,
    type=FOLDER,
    help="Results folder of a set that takes precedence over this one and is never written; repeatable.",
)
