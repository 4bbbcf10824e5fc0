"""The products of keys, by numpy or by torch: whichever computes them, what is near the floor is compared in full."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pycurate.dedup.keys import pair_cost
from pycurate.hardware import computes_bf16, cores, default_device

if TYPE_CHECKING:  # it takes seconds to import, and few samples do without
    import torch

Keys = TypeVar("Keys", np.ndarray, "torch.Tensor")

ClosePairs = Callable[[np.ndarray, slice], tuple[np.ndarray, np.ndarray]]
"""For int64 (m,), positions of rows, and a run of columns: int64 (k,) twice, which of both have a product of at least
the floor, and maybe some of less, in the order of the rows and then the columns."""

BF16_SLACK = 1.22e-2
"""What bf16 may take from the product of two keys no longer than 1.01: 2 * 2^-8 + 2^-16 by rounding their numbers to 8
bits (Cauchy-Schwarz), 2^-8 by rounding the product, times 1.01 squared each, and less than 1e-4 by its float32 sum."""
BF16_FROM = 128  # numbers of a key, below which the slack's candidates take the time that bf16 saves
IMPORT = 4e9  # of torch, and of learning the cells that it serves


def torch_pays(cost: float) -> bool:
    """Whether so much work, in the unit of `pycurate.dedup.keys`, is too much for numpy and one cell."""
    return cost >= IMPORT


def device_for(products: float, numbers: int) -> str | None:
    """Where so many products of keys of so many numbers are made: a device of torch, or None for numpy."""
    return product_device() if torch_pays(products * pair_cost(numbers)) else None


def product_device() -> str:
    """A device of torch, which from here on makes products of float32 as such.

    An environment may have it make TF32 of them on a GPU (TORCH_ALLOW_TF32_CUBLAS_OVERRIDE), whose error is far beyond
    what the search allows for.
    """
    import torch

    torch.set_float32_matmul_precision("highest")
    return default_device()


def threads_for(device: str | None) -> ThreadPoolExecutor:
    """Threads that make products there, each by itself: most are too small for threads to share one."""
    return ThreadPoolExecutor(cores(), initializer=_one_thread if device else None)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def close_pairs(rows: np.ndarray, columns: np.ndarray, floor: float, device: str | None) -> ClosePairs:
    """What finds pairs of keys, float32 (n, dim) each and no longer than 1.01, with a product of at least `floor`.

    `device`: of torch; None: numpy computes them, for so few that they take less time than importing torch.
    """
    return _by_numpy(rows, columns, floor) if device is None else _by_torch(rows, columns, floor, device)


def _by_numpy(rows: np.ndarray, columns: np.ndarray, floor: float) -> ClosePairs:
    def close(active: np.ndarray, run: slice) -> tuple[np.ndarray, np.ndarray]:
        others = columns[run]
        row, column = np.divmod(np.flatnonzero(_of(rows, active) @ others.T >= floor), len(others))
        return row, column

    return close


def _by_torch(rows: np.ndarray, columns: np.ndarray, floor: float, device: str) -> ClosePairs:
    import torch

    row_keys, column_keys = (torch.from_numpy(keys).to(device) for keys in (rows, columns))
    # Not on a GPU: none has shown yet that it sums these products in float32.
    if device == "cpu" and rows.shape[1] >= BF16_FROM and computes_bf16():
        row_keys, column_keys, floor = row_keys.bfloat16(), column_keys.bfloat16(), floor - BF16_SLACK

    def close(active: np.ndarray, run: slice) -> tuple[np.ndarray, np.ndarray]:
        products = _of(row_keys, active) @ column_keys[run].T
        hits = torch.nonzero(products.amax(dim=1).float() >= floor).flatten()
        if not len(hits):
            return active[:0], active[:0]
        row, column = torch.nonzero(products[hits].float() >= floor, as_tuple=True)
        return hits[row].cpu().numpy(), column.cpu().numpy()

    return close


def _of(keys: Keys, active: np.ndarray) -> Keys:
    """These rows; a slice, which is no copy, where none between them is left out."""
    if len(active) == active[-1] - active[0] + 1:
        return keys[active[0] : active[-1] + 1]
    return keys[active]
