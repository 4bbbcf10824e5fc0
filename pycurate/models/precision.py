"""The floating-point format in which open_clip's models compute.

The choice follows from the device and the processor alone, so that every task on one kind of machine makes the same.
"""

import torch

from pycurate.errors import UsageError
from pycurate.hardware import computes_bf16
from pycurate.parameters import default_of

AUTO: str = default_of("precision")
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def precision_on(device: torch.device, wanted: str = AUTO) -> str:
    """`wanted`, one of FORMATS; for AUTO bf16 on a GPU and on a CPU with AVX-512 BF16, else fp32.

    Raises UsageError for any other.
    """
    if wanted in FORMATS:
        return wanted
    if wanted != AUTO:
        raise UsageError(f"There is no precision {wanted!r}; choose among {AUTO}, {', '.join(FORMATS)}.")
    return "bf16" if device.type == "cuda" or computes_bf16() else "fp32"
