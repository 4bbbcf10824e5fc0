"""From image bytes to batches of pixels that models take, with one decode for all of them.

    with Loader([View(224, 224)], backend="cpu") as loader:
        for batch in loader.batches(("a name", data) for data in files):
            ...

What comes out depends on the image and the view alone: not on the batch, its size or its neighbours.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, Literal, Protocol, Self, TypeVar

import torch

from pycurate.errors import UsageError
from pycurate.hardware import cores
from pycurate.images.cpu import CpuBackend, Result
from pycurate.images.decode import MAX_PIXELS, ImageInfo
from pycurate.images.views import View

T = TypeVar("T")

STARTED = 2
"""Batches that are being decoded at a time, so that no worker waits for the slowest image of one."""

READY = 1
"""Finished batches that wait for the caller."""

BATCH_BYTES = 1 << 28
"""Bytes of files that close a batch early, so that a hundred scans of 100 MB do not wait in memory."""


@dataclass(frozen=True)
class Batch(Generic[T]):
    """Images of one batch, in input order.

    `items` and `images` have one entry per input, unreadable ones included; `pixels` holds, per view, uint8
    (k, 3, view.height, view.width), RGB, of the k images without an error, on the loader's device. Equal views share
    one tensor, so nobody writes into it.
    """

    items: list[T]
    images: list[ImageInfo]
    pixels: list[torch.Tensor]


class Backend(Protocol):
    """What decodes: `start` begins with a batch and gives a function for its result, asked for in the same order."""

    def start(self, files: Sequence[bytes]) -> Callable[[], Result]: ...

    def close(self) -> None: ...


class Loader:
    """Decodes, turns upright, resizes and crops images for several models at once, ahead of the caller.

    `views`: what each model wants. `backend`: `cpu` (threads; reads all formats of pycurate.images.decode) or `dali`
    (JPEG by NVIDIA DALI, on the GPU where `device` is one; the rest, and what DALI fails on, by `cpu`). `device`: a
    torch device name, where the pixels end up. `max_pixels`: larger images are refused before they are decoded.
    `workers`: threads. A context manager. Raises UsageError if an argument makes no sense.
    """

    def __init__(
        self,
        views: Sequence[View],
        backend: Literal["cpu", "dali"] = "cpu",
        device: str = "cpu",
        batch_size: int = 100,
        max_pixels: int = MAX_PIXELS,
        workers: int | None = None,
    ) -> None:
        workers = cores() if workers is None else workers
        for name, value in (("batch_size", batch_size), ("max_pixels", max_pixels), ("workers", workers)):
            if value < 1:
                raise UsageError(f"{name} is {value}; give 1 or more.")
        if not views:
            raise UsageError("The loader has no view to compute; give at least one.")
        self.device, self.batch_size = torch.device(device), batch_size
        self._stream: Generator[Batch, None, None] | None = None
        self._backend: Backend
        distinct = list(dict.fromkeys(views))
        self._order = [distinct.index(view) for view in views]
        if backend == "cpu":
            self._backend = CpuBackend(distinct, device, max_pixels, workers)
        elif backend == "dali":
            from pycurate.images.dali import DaliBackend  # DALI takes a second to import and is not always wanted

            self._backend = DaliBackend(distinct, device, batch_size, max_pixels, workers)
        else:
            raise UsageError(f"The loader has no backend {backend!r}; use cpu or dali.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream:
            self._stream.close()
        self._backend.close()

    def batches(self, items: Iterable[tuple[T, bytes]]) -> Iterator[Batch[T]]:
        """Pair after pair of anything and an image file's bytes, as batches of `batch_size`, the last one shorter.

        `items` is read in a thread, at most STARTED + READY + 1 batches beyond the one in the caller's hands. An
        exception in `items` or in a worker is raised here. One iteration at a time.
        """
        stream = _ahead(self._produce(iter(items)), READY)
        self._stream = stream
        return stream

    def _produce(self, items: Iterator[tuple[T, bytes]]) -> Iterator[Batch[T]]:
        if self.device.type == "cuda":  # copies then overlap with the models' work on the default stream
            torch.cuda.set_stream(torch.cuda.Stream(self.device))
        started: deque[tuple[list[T], Callable[[], Result]]] = deque()
        for batch in _batches(items, self.batch_size):
            started.append(([item for item, _ in batch], self._backend.start([data for _, data in batch])))
            if len(started) > STARTED:
                yield self._finish(*started.popleft())
        while started:
            yield self._finish(*started.popleft())

    def _finish(self, items: list[T], result: Callable[[], Result]) -> Batch[T]:
        images, pixels = result()
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
            for tensor in pixels:  # made on this thread's stream, used and freed on the default one
                tensor.record_stream(torch.cuda.default_stream(self.device))
        return Batch(items, images, [pixels[at] for at in self._order])


def _batches(items: Iterator[tuple[T, bytes]], size: int) -> Iterator[list[tuple[T, bytes]]]:
    """Lists of `size` items, or of fewer where they reach BATCH_BYTES."""
    batch: list[tuple[T, bytes]] = []
    held = 0
    for item in items:
        batch.append(item)
        held += len(item[1])
        if len(batch) == size or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


class _End:
    """The last thing in the queue of `_ahead`: how the iterator ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Run an iterator in a thread, up to `depth` finished elements ahead of the caller, who gets its exception."""
    free = threading.Semaphore(depth - 1)  # the one in the thread's hands is put before it waits
    ready: SimpleQueue[T | _End] = SimpleQueue()
    stopped = False

    def run() -> None:
        error = None
        try:
            for item in items:
                ready.put(item)
                free.acquire()
                if stopped:
                    break
        except BaseException as caught:  # noqa: BLE001 - raised again by the caller's thread
            error = caught
        ready.put(_End(error))

    thread = threading.Thread(target=run, name="loader", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            free.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped = True
        free.release()
        thread.join()
