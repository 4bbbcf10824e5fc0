"""The options by which DECIDE and `pycurate refilter` are told what to keep."""

import functools
from collections.abc import Callable
from typing import Any

import click

from pycurate.cli.options import parameters
from pycurate.parameters import all_parameters, recipes


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which samples are chosen; they arrive as one Filtering, `filtering`. One left out is off."""
    group = [one for one in all_parameters().values() if one.group == "Filters" and one.name != "recipe"]
    off = {one.name: one.default if one.enum else None for one in group}

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        from pycurate.filters.filtering import Filtering  # here, since it brings numpy and pyarrow

        return function(filtering=Filtering(**{name: options.pop(name) for name in off}), **options)

    return parameters(**off)(run)


def _prefer_recipe(context: click.Context, _parameter: click.Parameter, name: str | None) -> None:
    """Make what the recipe sets the defaults of the options."""
    known = all_parameters()
    chosen = recipes().get(name or "", {})
    values = {one: tuple(value.split(",")) if known[one].list else value for one, value in chosen.items()}
    context.default_map = {**(context.default_map or {}), **values}


recipe_option = click.option(
    "--recipe",
    type=click.Choice(list(recipes())),
    is_eager=True,
    expose_value=False,
    callback=_prefer_recipe,
    help=all_parameters()["recipe"].description,
)
