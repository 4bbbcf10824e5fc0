"""The command `pycurate`: a module for each of its words. How its processes and those of bin/ start and end is here.

Modules are hundreds of thousands of objects that stay, most of them torch's. Python's search for garbage in cycles went
through them again and again while they came, and once more at the end, for a fifth of the time of a task of a second.
So it waits until the work begins, and from then on passes over what is there.

OpenBLAS's threads, one per core, spin when they have nothing to do, for a tenth of a second as they start. Here they
sleep after a hundredth of that.

Systems let a process open a thousand files or so, and more if it asks, for the sake of programs that cannot count
further. A search for duplicates opens one for each partition, as far as it may.
"""

import atexit
import gc
import os
import resource
import sys
from contextlib import suppress

_USUAL = gc.get_threshold()
gc.set_threshold(100_000)
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")  # 2^20 ticks of the clock; read when numpy is imported


def begin_work() -> None:
    """Keep what has been imported, and look for garbage as often as usual, since what comes now may hold pixels.

    Many files may be open from now on.
    """
    if gc.get_threshold() != _USUAL:  # once in a process, though tests call many commands in one
        gc.freeze()
        gc.set_threshold(*_USUAL)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError):  # where not even root has so many
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@atexit.register
def _leave_all_as_it_is() -> None:
    if "triton" in sys.modules:  # which open_clip brings, and which reports what is still there at the end
        gc.unfreeze()
    else:
        gc.freeze()
