"""The options that the scripts in bin/ and the command `pycurate` share; parameters' are made from the schema."""

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pycurate.cli.command import Command
from pycurate.errors import UsageError
from pycurate.models.selection import select_models
from pycurate.parameters import Parameter, all_parameters, switches

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

MODELS = ("preset", "encoder", "scorer", "pixel_scorer", *dict.fromkeys(switches().values()), "model_dir")

results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder that the stages share; each adds its files to it.  [default: the current folder]",
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
            function = _option(known[name], default, default, hidden=False)(function)
        return function

    return decorate


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each parameter of a run; those that are given arrive as one dict, `given`, by name."""
    from pycurate.nextflow.parameters import run_parameters

    known = run_parameters()

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        values = {one.name: options.pop(one.name) for one in known}
        return function(given={name: value for name, value in values.items() if value is not None}, **options)

    command: Callable[..., Any] = run
    for one in reversed(known):
        aliases = {"input": ["--input-path"], "outdir": ["--output-path"]}.get(one.name, [])
        command = _option(dataclasses.replace(one, list=False), None, one.default, *aliases, hidden=one.hidden)(command)
    return command


def _option(one: Parameter, default: Any, shown: Any, *aliases: str, hidden: bool) -> Decorator:
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
        "number": click.FloatRange(one.minimum, one.maximum) if bounded else click.FLOAT,
    }[one.type]


def _split(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for text in given for part in text.split(",") if part)


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which stages are told the same models; they arrive as one ModelSelection, `models`."""

    @functools.wraps(function)
    def run(device: str | None, **options: Any) -> Any:
        given = {name: options.pop(name) for name in MODELS}
        models = select_models(
            given["preset"],
            _weights(given["model_dir"]),
            encoder=given["encoder"],
            scorers=(*given["pixel_scorer"], *given["scorer"]),
            without={score for score in switches().values() if not given[score]},
            device=device,
        )
        return function(models=models, **options)

    on = click.option("--device", help="cuda, cpu, ...  [default: cuda where there is one]")
    return parameters(*MODELS)(on(run))


def _weights(folder: str) -> Path:
    """The folder of weights. Raises UsageError where it lies in a home that is not there."""
    if folder.startswith("~/") and not os.environ.get("HOME"):
        raise UsageError(f"HOME is not set, so there is no {folder}; name a folder of weights by --model-dir.")
    return Path(folder).expanduser()


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which samples are chosen; they arrive as one Filtering, `filtering`. One left out is off."""
    group = [one for one in all_parameters().values() if one.group == "Filters"]
    off = {one.name: one.default if one.enum else None for one in group}

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        from pycurate.filters.filtering import Filtering  # here, since it brings numpy and pyarrow

        return function(filtering=Filtering(**{name: options.pop(name) for name in off}), **options)

    return parameters(**off)(run)


partition_option = click.option(
    "--partition", "partitions", multiple=True, metavar="NUMBER", help="A partition, such as 00000; else all of them."
)

reference_option = click.option(
    "--reference",
    "references",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Results folder of a set that outranks this one and is never written; repeatable.",
)
