"""One image at a time, on every core: the way models run on a CPU.

Image by image on one thread per core ONNX Runtime is as fast as with batches, and torch faster than with several
threads that wait for each other in every product. An image's result then cannot depend on which images came with it,
nor on how many cores there are.
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
    import torch  # here, since it takes seconds to import

    return ThreadPoolExecutor(cores(), "model", initializer=torch.set_num_threads, initargs=(1,))


def on_all_cores(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The result of `function` for each item, in order; `function` should release the GIL for most of its time.
    torch works in it on the one thread.

    The threads are shared by all models of the process and there is one for each core that it may use. The first
    exception of `function` is raised here.
    """
    return list(_pool().map(function, items))
