"""The command `pycurate`: a module for each of its words. What scripts of bin/ have in common is here, too.

Whoever imports this runs a process of pycurate's own, and Python and OpenBLAS are set for such a one, which is often a
short one. Both took a fifth of the time of tasks of a second, and of what EMBED takes beside its work:

Modules make hundreds of thousands of objects that stay, most of them torch's. Python's search for cycles that are
garbage looked at them again and again while they came, and once more at the end, and found none that it might free.

Each of OpenBLAS's threads, one per core, turned for a tenth of a second before it first slept.
"""

import atexit
import gc
import os
import sys

gc.set_threshold(100_000)
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")  # 2^20 ticks of the processor's clock; numpy reads it once


@atexit.register
def _leave_all_as_it_is() -> None:
    if "triton" not in sys.modules:  # which open_clip brings, and which reports what is still there at the end
        gc.freeze()
