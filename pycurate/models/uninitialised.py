"""Models made without random numbers, which take as long as reading the weights that replace them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

DRAWN = {torch.Tensor.normal_, torch.Tensor.uniform_, init.normal_, init.uniform_, init.kaiming_uniform_}
"""What fills parameters at random; torch's and timm's other initialisations come to one of these."""


class Uninitialised(TorchFunctionMode):
    """Within it, parameters that would be drawn at random are NaN, so that one which no weights replace is noticed."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in DRAWN:
            return func(*args, **kwargs)
        parameter: torch.Tensor = args[0] if args else kwargs["tensor"]
        parameter.detach().fill_(torch.nan)
        return parameter
