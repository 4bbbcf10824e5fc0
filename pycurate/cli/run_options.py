"""The options by which `pycurate run` and `config` are told the parameters of a run."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from pycurate.cli.options import option
from pycurate.nextflow.parameters import run_parameters

EPILOG = "Every parameter in docs/usage.md is an option, including those not shown here, such as --min-side 200."


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each parameter of a run; those that are given arrive as one dict, `given`, by name."""
    known = run_parameters()

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        values = {one.name: options.pop(one.name) for one in known}
        return function(given={name: value for name, value in values.items() if value is not None}, **options)

    command: Callable[..., Any] = run
    for one in reversed(known):
        aliases = {"input": ["--input-path"], "outdir": ["--output-path"]}.get(one.name, [])
        command = option(dataclasses.replace(one, list=False), None, one.default, *aliases, hidden=one.hidden)(command)
    return command
