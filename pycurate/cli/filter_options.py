"""The options by which DECIDE and `pycurate refilter` are told what to keep."""

import functools
from collections.abc import Callable
from typing import Any

from pycurate.cli.options import parameters
from pycurate.parameters import all_parameters


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which samples are chosen; they arrive as one Filtering, `filtering`. One left out is off."""
    group = [one for one in all_parameters().values() if one.group == "Filters"]
    off = {one.name: one.default if one.enum else None for one in group}

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        from pycurate.filters.filtering import Filtering  # here, since it brings numpy and pyarrow

        return function(filtering=Filtering(**{name: options.pop(name) for name in off}), **options)

    return parameters(**off)(run)
