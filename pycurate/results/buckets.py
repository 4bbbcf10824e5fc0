"""Rows of numbers of a whole set, more than memory holds: divided over files by their first number."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

ROWS = 1 << 23  # of a bucket, where first numbers are spread evenly: as hashes are


class Buckets:
    """Takes uint64 (n, width), and gives it back a bucket at a time.

    All rows of one first number are in one bucket, and those of a smaller one in the same or an earlier bucket.
    """

    def __init__(self, folder: Path, width: int, count: int, stack: ExitStack) -> None:
        self._width = width
        self._files = [stack.enter_context(TemporaryFile(dir=folder)) for _ in range(count)]

    def add(self, rows: np.ndarray) -> None:
        """Some rows, which keep their order within a bucket."""
        count = len(self._files)
        # The upper 32 bits, times the number of buckets, divided by 2^32.
        bucket = ((rows[:, 0] >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)
        if count > 1:
            rows = rows[np.argsort(bucket, kind="stable")]
        ends = np.cumsum(np.bincount(bucket.astype(np.int64), minlength=count)).tolist()
        for file, start, end in zip(self._files, [0, *ends[:-1]], ends, strict=True):
            file.write(np.ascontiguousarray(rows[start:end]).data)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The rows of each bucket."""
        for file in self._files:
            file.seek(0)
            yield np.fromfile(file, np.uint64).reshape(-1, self._width)


@contextmanager
def buckets(folder: Path, width: int, rows: int) -> Iterator[Buckets]:
    """Buckets for about so many `rows`, in files within `folder` that have no name: whoever is killed leaves none."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield Buckets(folder, width, 1 + rows // ROWS, stack)
