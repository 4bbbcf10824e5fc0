"""The `cpu` backend: libjpeg-turbo or Pillow decodes, torch resizes, in threads.

Threads, not processes: all of the work releases the GIL, so two threads were measured at 780-860 photographs a second
on two cores where two processes, which must copy the pixels to their parent, reached 500-620.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from pycurate.images.budget import BYTES, Budget, Share
from pycurate.images.decode import ImageInfo, decode
from pycurate.images.render import render
from pycurate.images.views import View

Row = list[torch.Tensor]
"""One image's pixels: per view, uint8 (3, view.height, view.width)."""

Result = tuple[list[ImageInfo], list[torch.Tensor]]
"""A batch: one ImageInfo per file; per view, uint8 (k, 3, view.height, view.width) of the k readable ones."""


class CpuBackend:
    """Decodes and renders each image by itself, `workers` at a time, fewer where they are so large that `memory` ends.

    `memory`: bytes for what is being decoded (see pycurate.images.budget).
    """

    def __init__(self, views: Sequence[View], device: str, max_pixels: int, workers: int, memory: int = BYTES) -> None:
        self.views, self.device, self.max_pixels = views, device, max_pixels
        self.budget = Budget(memory)
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def start(self, files: Sequence[bytes]) -> Callable[[], Result]:
        """Begin with a batch; call what comes back for its result."""
        pending = [self.submit(data) for data in files]
        return lambda: self.gather([future.result() for future in pending])

    def submit(self, data: bytes) -> "Future[tuple[ImageInfo, Row | None]]":
        return self.pool.submit(self.load, data)

    def load(self, data: bytes) -> tuple[ImageInfo, Row | None]:
        """Decode once, render each view; None in place of the pixels of an image that cannot be read."""
        with Share(self.budget) as share:
            info, pixels = decode(data, self.max_pixels, share.take)
            return info, None if pixels is None else [render(pixels, view) for view in self.views]

    def readable(self, data: bytes) -> bool:
        """Whether an image can be decoded."""
        with Share(self.budget) as share:
            return decode(data, self.max_pixels, share.take)[0].error is None

    def gather(self, loaded: Sequence[tuple[ImageInfo, Row | None]]) -> Result:
        """Stack the readable images' rows into one tensor per view, on the device."""
        rows = [row for _, row in loaded if row is not None]
        pixels = [self._stack(view, [row[at] for row in rows]) for at, view in enumerate(self.views)]
        return [info for info, _ in loaded], pixels

    def _stack(self, view: View, images: list[torch.Tensor]) -> torch.Tensor:
        """One tensor on the device, of images that are there already (DALI's) or still in main memory."""
        here = [at for at, image in enumerate(images) if image.device.type == "cpu"]
        # From pinned memory a GPU fetches a whole batch by itself, while it computes.
        pixels = torch.empty(
            (len(here), 3, view.height, view.width), dtype=torch.uint8, pin_memory=self.device.startswith("cuda")
        )
        # By numpy, since torch would wake its threads for this, and they stand in the way of the ones that decode.
        for at, place in zip(here, pixels.numpy(), strict=True):
            place[:] = images[at].numpy()
        sent = pixels.to(self.device, non_blocking=True)
        if len(here) == len(images):
            return sent
        arrived = dict(zip(here, sent, strict=True))
        return torch.stack([arrived.get(at, image) for at, image in enumerate(images)])

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)
