"""One image at a time, on every core: the way models run on a CPU.

ONNX Runtime is as fast image by image on one thread per core as it is with batches, and an image's result then
cannot depend on which images came with it.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from pycurate.choice import cores

T = TypeVar("T")
R = TypeVar("R")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), "model")


def on_all_cores(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The result of `function` for each item, in order; `function` should release the GIL for most of its time.

    The threads are shared by all models of the process and there is one for each core that it may use. The first
    exception of `function` is raised here.
    """
    return list(_pool().map(function, items))
