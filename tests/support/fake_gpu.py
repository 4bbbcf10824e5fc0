"""A GPU that is not there: tensors with its device, their shapes and types, but no numbers.

On them torch refuses whatever would make the CPU wait for a number of the GPU's (`item`, `nonzero`, a tensor in an
`if`) with DataDependentOutputException, which is what makes them worth having.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import open_clip
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from pycurate.models.builtin import efficientnet

WHOLE = ("scaled_dot_product_attention",)  # which kernel this becomes, torch asks the driver


class Call(NamedTuple):
    """An operation of torch's that ran: its name, its tensors, its keywords."""

    name: str
    tensors: list[torch.Tensor]
    keywords: dict[str, Any]


class Calls(TorchDispatchMode):
    """Notes each operation while it is entered, taken apart as far as torch does that before it chooses a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.rpartition("::")[2]
        if func.namespace == "aten" and name not in WHOLE:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        self.made.append(Call(name, [arg for arg in args if isinstance(arg, torch.Tensor)], kwargs))
        return func(*args, **kwargs)

    def inputs(self, *names: str) -> set[tuple[str, torch.dtype]]:
        """The device and type of every tensor that went into operations of these names."""
        return {(one.device.type, one.dtype) for call in self.made if call.name in names for one in call.tensors}

    def copies(self) -> list[tuple[str, str, torch.dtype, bool]]:
        """The copies between devices: from, to, type, and whether the CPU goes on meanwhile."""
        moves = [(call.tensors[0], call.keywords) for call in self.made if call.name == "_to_copy"]
        return [
            (one.device.type, to["device"].type, one.dtype, bool(to.get("non_blocking")))
            for one, to in moves
            if to.get("device") is not None and to["device"].type != one.device.type
        ]


@contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within, pycurate's encoders can be made on `cuda`: made for real on the CPU, they are sent there.

    Not by torch's own `_apply`, which would exchange each weight for a fake one in its place, and cannot.
    """
    mode = FakeTensorMode()

    def faked(value: torch.Tensor) -> torch.Tensor:
        return (value if isinstance(value, FakeTensor) else mode.from_tensor(value)).detach()

    def send(module: nn.Module, convert: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
        for part in module.modules():
            for name, weight in part.named_parameters(recurse=False):
                part._parameters[name] = nn.Parameter(convert(faked(weight)), requires_grad=weight.requires_grad)
            for name, buffer in part.named_buffers(recurse=False):
                part._buffers[name] = convert(faked(buffer))
        return module

    make_clip, make_lite0 = open_clip.create_model, efficientnet.Lite0

    def clip(*arguments: Any, device: torch.device, **options: Any) -> nn.Module:
        with unset_fake_temporarily():
            model = make_clip(*arguments, device="cpu", **options)
        return send(model, lambda weight: weight.to(device))

    class Lite0(make_lite0):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            with unset_fake_temporarily():
                super().__init__()

        def _apply(self, fn: Any, recurse: bool = True) -> nn.Module:
            return send(self, fn)

    monkeypatch.setattr(open_clip, "create_model", clip)
    monkeypatch.setattr(efficientnet, "Lite0", Lite0)
    with mode:
        yield
