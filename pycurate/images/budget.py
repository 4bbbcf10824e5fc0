"""Memory for decoded pixels, shared by all threads that decode."""

import threading
from collections import deque
from types import TracebackType
from typing import Self

BYTES = 1 << 31
"""What the images in work of one loader may take together: pixels, and what decoders need beside them."""


class Budget:
    """Bytes that threads share. Who comes first is served first, so that a large image is not passed by for ever.

    An image larger than all of it takes all of it, and so is alone. A thread takes one share at a time: none that waits
    holds what another waits for.
    """

    def __init__(self, size: int = BYTES) -> None:
        self.size = self._free = size
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def take(self, size: int) -> int:
        """Wait until `size` bytes are free; returns what was taken, to be given back."""
        size, ticket = min(size, self.size), object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._queue[0] is ticket and self._free >= size)
            self._queue.popleft()
            self._free -= size
            self._changed.notify_all()
        return size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._free += size
            self._changed.notify_all()


class Share:
    """What one image takes of a budget: nothing until `take`, nothing behind the `with` block."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self._taken = budget, 0

    def take(self, size: int) -> None:
        """Wait for `size` bytes; once for each share."""
        self._taken = self._budget.take(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._budget.give(self._taken)
