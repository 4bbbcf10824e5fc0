"""What this machine gives: cores, a GPU; and work on all cores.

Models run on a CPU one image at a time, on every core: ONNX Runtime is as fast image by image on one thread per core as
it is with batches, and an image's result then cannot depend on which images came with it.
"""

import fcntl
import logging
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TypeVar

from threadpoolctl import threadpool_limits

log = logging.getLogger(__name__)

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
    return list(start_on_all_cores(function, items))


def start_on_all_cores(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """As on_all_cores, but this only begins the work; the iterator waits for it, and raises."""
    return _pool().map(function, items)


@cache
def _turns() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() // 4), "turns")


def start_in_turn(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """As start_on_all_cores, for a function that is many short calls of numpy: in one thread on fewer than eight cores.

    Each such call lets go of Python's lock, so that two threads wake each other at every one. On two cores that took
    twice the CPU time, and longer by the clock than one thread alone.
    """
    return _turns().map(function, items)


one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")
"""Decorates what multiplies matrices by numpy on threads of its own, or few enough: OpenBLAS's threads spin while they
wait for each other, which on a busy machine takes several times the CPU time of one."""


def default_device() -> str:
    """cuda where there is a GPU, else cpu. Of several GPUs this process takes one."""
    take_gpu(Path(tempfile.gettempdir()))
    import torch  # here, since it takes seconds

    return "cuda" if torch.cuda.is_available() else "cpu"


def take_gpu(locks: Path) -> None:
    """Of several GPUs let CUDA, which must not have begun, see one only: the first that no other process has taken.

    Slurm gives each task a GPU of its own; the tasks of one machine see all of them, and CUDA takes the first. Whoever
    takes a GPU holds a file in the folder `locks` until it ends. If all are taken, processes share them.
    """
    seen = _visible_gpus()
    if len(seen) > 1:
        free = (gpu for gpu in seen if _hold(locks / f"pycurate-{gpu}.lock"))
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu = next(free, seen[os.getpid() % len(seen)])
        log.info("of %d GPUs this process uses %s", len(seen), gpu)


def _visible_gpus() -> list[str]:
    """The GPUs that CUDA sees here, by index or UUID."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return _driver_gpus() if given is None else list(takewhile(lambda gpu: gpu != "-1", given.split(",")))


@cache  # it may take the driver a second
def _driver_gpus() -> list[str]:
    """The UUIDs of a machine's GPUs; none where one is divided by MIG, of which CUDA sees one part."""
    command = shutil.which("nvidia-smi")
    told = subprocess.run([command, "-L"], capture_output=True, text=True).stdout if command else ""
    return [] if "MIG-" in told else re.findall(r"\(UUID: (GPU-[\w-]+)\)", told)


def _hold(lock: Path) -> bool:
    """Whether this process, until it ends, holds the lock for which a file in a folder of all users stands."""
    new = 0 if lock.exists() else os.O_CREAT  # which Linux refuses for another user's file in /tmp
    try:
        file = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | new, 0o644)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return False
    return True


def computes_bf16() -> bool:
    """Whether this processor has instructions for products of bf16: AMX, or AVX-512 BF16, which all with AMX have."""
    import torch

    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def cores() -> int:
    """The cores that this process may use: those that it may run on, which under Slurm are fewer than the machine's, or
    as many as its control groups give it time of, which in a container with a limit are fewer still."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), granted_cores())))


def granted_cores(root: Path = Path("/")) -> float:
    """Of how many cores the control groups of this process, and those above them, give it the time; inf for no limit.

    `root` is the folder with `proc` and `sys`.
    """
    granted, groups = math.inf, root / "proc/self/cgroup"
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")  # none are named in version 2
        # A container may not see its group under the name that it has outside: what is not there sets no limit.
        group = PurePosixPath(path.lstrip("/"))
        granted = min(granted, *(_granted_by(mount / place) for place in (group, *group.parents)))
    return granted


def _granted_by(group: Path) -> float:
    """The same of one control group."""
    try:
        if (group / "cpu.max").exists():
            time, period = (group / "cpu.max").read_text().split()
        else:
            time, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        granted = int(time) / int(period)
    except (OSError, ValueError):  # it is not there, or its time is `max`
        return math.inf
    return granted if granted > 0 else math.inf
