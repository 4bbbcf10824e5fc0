"""What arrow takes of memory."""

from collections.abc import Callable

import pyarrow as pa


def peak(work: Callable[[], object]) -> int:
    """The bytes that arrow holds at most while this is done."""
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    try:
        work()
    finally:
        pa.set_memory_pool(usual)
    return pool.max_memory()
