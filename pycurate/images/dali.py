"""The `dali` backend: NVIDIA DALI decodes JPEGs and computes all views in one graph, on a GPU or a CPU.

DALI is given what it reads as the `cpu` backend does: JPEGs of the ordinary kind, all of whose markers stand where they
belong and say what libjpeg takes (`pycurate.images.jpegwalk.regular`), with the orientation that pycurate reads as
their only one. All else goes to the `cpu` backend, which also has the last word on what DALI fails on. That takes care:
one image that it cannot decode ends the whole pipeline and every batch within.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
import torch
from nvidia.dali import Pipeline, fn, types

from pycurate.images.budget import BYTES
from pycurate.images.cpu import CpuBackend, Result, Row
from pycurate.images.decode import ImageInfo, jpeg_header
from pycurate.images.jpeg import JpegHeader, read_header, restated
from pycurate.images.render import LONG, interpolation, place
from pycurate.images.views import TILE, TILES_ACROSS, View, corners

log = logging.getLogger(__name__)

DEPTH = 2
"""Runs within the pipeline at a time: one decodes while the other is resized or fetched."""

FAILURES = (RuntimeError, ValueError, IndexError, TypeError, MemoryError, StopIteration)
"""What DALI raises: Python's counterparts of the errors of C++, and StopIteration where a pipeline has ended.

A want of GPU memory comes as RuntimeError out of a run, and as MemoryError out of what surrounds it.
"""

RUN_PIXELS = BYTES // 2 // DEPTH // 4
"""The most pixels that one run decodes, 0.4 GB of RGB, unless a single image is larger. DALI holds a run at once.

With a quarter more for what it needs beside them, its runs may take half of the memory for decoding; the threads that
decode the rest have the other half. Were it one pot, a run that waits to be fetched could hold what a thread waits for.
"""


class Jpeg(NamedTuple):
    """A JPEG for DALI: its place in the batch, its bytes, what they say of it."""

    at: int
    data: bytes
    header: JpegHeader

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        return self.header.upright[::-1]


class DaliBackend:
    """Decodes a batch's ordinary JPEGs in one DALI run, or a few where they are large, and the rest by CpuBackend."""

    def __init__(self, views: Sequence[View], device: str, batch_size: int, max_pixels: int, workers: int) -> None:
        self.views, self.batch_size, self.max_pixels, self.workers = views, batch_size, max_pixels, workers
        self.device = torch.device(device)
        self.cpu = CpuBackend(views, device, max_pixels, workers, BYTES // 2)
        self.waiting: deque[list[Jpeg]] = deque()
        self.running: deque[list[Jpeg]] = deque()
        self.stuck = False  # it took no further run, and now holds half of one perhaps
        self.rebuilt = 0
        self.pipeline = self._build()

    def start(self, files: Sequence[bytes]) -> Callable[[], Result]:
        """Begin with a batch; call what comes back for its result. Results are asked for in the order of the starts."""
        jpegs: list[Jpeg] = []
        others: dict[int, Future[tuple[ImageInfo, Row | None]]] = {}
        for at, data in enumerate(files):
            header = jpeg_header(data)
            if header and self._takes(*header.upright):
                jpegs.append(Jpeg(at, data, header))
            else:
                others[at] = self.cpu.submit(data)
        runs = list(_runs(jpegs))
        self.waiting.extend(runs)
        self._feed()
        return lambda: self._finish(runs, others)

    def close(self) -> None:
        self.cpu.close()
        del self.pipeline

    def _takes(self, width: int, height: int) -> bool:
        """Whether DALI may have an image: within the limit, and no strip that a view would make huge."""
        return width * height <= self.max_pixels and all(
            at.height * at.width <= LONG * view.height * view.width
            for view in self.views
            if view.resize != "tiles"
            for at in [place(view, height, width)]
        )

    def _finish(self, runs: list[list[Jpeg]], others: dict[int, "Future[tuple[ImageInfo, Row | None]]"]) -> Result:
        loaded: dict[int, tuple[ImageInfo, Row | None]] = {}
        for run in runs:
            for jpeg, row in zip(run, self._collect(run), strict=True):
                if row is None:
                    others[jpeg.at] = self.cpu.submit(jpeg.data)
                else:
                    info = ImageInfo(*jpeg.header.upright, "jpeg", quality=jpeg.header.quality)
                    loaded[jpeg.at] = info, row
        loaded |= {at: future.result() for at, future in others.items()}
        return self.cpu.gather([loaded[at] for at in sorted(loaded)])

    def _collect(self, run: list[Jpeg]) -> list[Row | None]:
        """The rows of the oldest run; None for an image that DALI cannot read."""
        rows: list[Row | None] | None = None
        try:
            rows = [*self._fetch()]
            self.running.popleft()
        except FAILURES as error:
            log.warning("DALI failed on a batch of %d images (%s); looking for the cause.", len(run), _cause(error))
        if rows is None:  # below the handler, since the exception holds what _fetch had of DALI's memory
            self.waiting.extendleft(reversed(self.running))  # they ended with the pipeline
            self.running.clear()
            self.waiting.popleft()  # which is this run
            self._rebuild()
            rows = self._isolate(run)
        self._feed()
        return rows

    def _isolate(self, run: list[Jpeg]) -> list[Row | None]:
        """Set aside what the cpu backend cannot decode either: that finds nearly every culprit for one decode each."""
        sound = self.cpu.pool.map(lambda jpeg: self.cpu.readable(jpeg.data), run)
        marked = list(zip(run, sound, strict=True))
        rows = iter(self._bisect([jpeg for jpeg, good in marked if good]))
        return [next(rows) if good else None for _, good in marked]

    def _bisect(self, run: list[Jpeg]) -> list[Row | None]:
        """Run, and on failure run each half by itself, down to single images."""
        if not run:
            return []
        with suppress(*FAILURES):
            self._schedule(run)
            return [*self._fetch()]
        self._rebuild()
        if len(run) == 1:
            return [None]
        half = len(run) // 2
        return self._bisect(run[:half]) + self._bisect(run[half:])

    def _feed(self) -> None:
        while self.waiting and len(self.running) < DEPTH and not self.stuck:
            try:
                self._schedule(self.waiting[0])
            except FAILURES as error:  # as a rule the run before it has failed meanwhile; _collect redoes both
                log.debug("DALI accepted no further batch: %s", _cause(error))
                self.stuck = True
                return
            self.running.append(self.waiting.popleft())

    def _schedule(self, run: list[Jpeg]) -> None:
        self._put(self.pipeline, run)
        self.pipeline.schedule_run()

    def _put(self, pipeline: Pipeline, run: list[Jpeg]) -> None:
        pipeline.feed_input("jpeg", [np.frombuffer(restated(jpeg.data, jpeg.header), np.uint8) for jpeg in run])
        for number, view in enumerate(self.views):
            if view.resize == "tiles":
                places_of = [np.stack([corners(length) for length in jpeg.size]).astype(np.int32) for jpeg in run]
                pipeline.feed_input(f"corners{number}", places_of)
                continue
            places = [place(view, *jpeg.size) for jpeg in run]
            pipeline.feed_input(f"size{number}", [np.array([at.height, at.width], np.float32) for at in places])
            pipeline.feed_input(f"start{number}", [np.array([at.top, at.left], np.int32) for at in places])

    def _warm(self, pipeline: Pipeline) -> None:
        """Send a black image through, DEPTH times: a pipeline's first schedule_run wants that many inputs at once."""
        data = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))
        black = Jpeg(0, data, read_header(data))
        for _ in range(DEPTH):
            self._put(pipeline, [black])
        pipeline.schedule_run()
        for _ in range(DEPTH):
            pipeline.share_outputs()
            pipeline.release_outputs()

    def _fetch(self) -> Iterator[Row]:
        """The rows of the oldest run within the pipeline, copied out of DALI's buffers on their device."""
        outputs = self.pipeline.share_outputs()
        if self.device.type == "cuda":
            pixels = [torch.from_dlpack(output.as_tensor()).clone() for output in outputs]
            torch.cuda.current_stream(self.device).synchronize()  # once released, the buffers are written again
        else:
            pixels = [torch.from_numpy(np.array(output.as_array())) for output in outputs]
        self.pipeline.release_outputs()
        return (list(row) for row in zip(*pixels, strict=True))

    def _rebuild(self) -> None:
        self.rebuilt += 1
        del self.pipeline  # its memory first
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # torch keeps what it has freed, and DALI may have failed for want of it
        self.pipeline = self._build()
        self.stuck = False

    def _build(self) -> Pipeline:
        pipeline = self._define()
        pipeline.build()
        self._warm(pipeline)
        return pipeline

    def _define(self) -> Pipeline:
        """JPEG bytes, and per view the resized size and the crop's corner, to uint8 (3, view.height, view.width)."""
        on_gpu = self.device.type == "cuda"
        pipeline = Pipeline(
            batch_size=self.batch_size,
            num_threads=self.workers,
            device_id=(self.device.index or 0) if on_gpu else None,
            prefetch_queue_depth=DEPTH,
        )
        with pipeline:
            # Equal to libjpeg-turbo as far as may be. The hardware decoder stays unused: DALI shares a batch between it
            # and the other decoders by load, so that an image's pixels would hang on its neighbours.
            gpu: dict[str, Any] = {"jpeg_fancy_upsampling": True, "hw_decoder_load": 0.0} if on_gpu else {}
            data = fn.external_source(name="jpeg", dtype=types.DALIDataType.UINT8, ndim=1)
            image = fn.decoders.image(
                data, device="mixed" if on_gpu else "cpu", output_type=types.DALIImageType.RGB, **gpu
            )
            pipeline.set_outputs(*[_render(image, number, view) for number, view in enumerate(self.views)])
        return pipeline


def _render(image: Any, number: int, view: View) -> Any:
    """The graph of one view. DALI's own `resize_shorter` rounds otherwise than torchvision, hence sizes as inputs."""
    if view.resize == "tiles":
        return _tiles(image, number, view)
    size = fn.external_source(name=f"size{number}", dtype=types.DALIDataType.FLOAT, ndim=1)
    start = fn.external_source(name=f"start{number}", dtype=types.DALIDataType.INT32, ndim=1)
    kind = types.DALIInterpType.INTERP_CUBIC if interpolation(view) == "bicubic" else types.DALIInterpType.INTERP_LINEAR
    resized: Any = fn.resize(image, size=size, interp_type=kind, antialias=True)
    shape = [view.height, view.width]
    pad: dict[str, Any] = {"out_of_bounds_policy": "pad", "fill_values": view.fill}
    return fn.transpose(fn.slice(resized, start=start, shape=shape, axes=(0, 1), **pad), perm=[2, 0, 1])


def _tiles(image: Any, number: int, view: View) -> Any:
    """The graph of the view TILES."""
    corner = fn.external_source(name=f"corners{number}", dtype=types.DALIDataType.INT32, ndim=2)

    def tile(down: int, across: int) -> Any:
        start = fn.stack(corner[0, down], corner[1, across])
        return fn.slice(
            image, start=start, shape=[TILE, TILE], axes=(0, 1), out_of_bounds_policy="pad", fill_values=view.fill
        )

    rows = [fn.cat(*[tile(down, across) for across in range(TILES_ACROSS)], axis=1) for down in range(TILES_ACROSS)]
    return fn.transpose(fn.cat(*rows, axis=0), perm=[2, 0, 1])


def _runs(jpegs: list[Jpeg]) -> Iterator[list[Jpeg]]:
    """Cut a batch where its images exceed RUN_PIXELS together."""
    run: list[Jpeg] = []
    pixels = 0
    for jpeg in jpegs:
        size = jpeg.header.height * jpeg.header.width
        if run and pixels + size > RUN_PIXELS:
            yield run
            run, pixels = [], 0
        run.append(jpeg)
        pixels += size
    if run:
        yield run


def _cause(error: Exception) -> str:
    """The line of DALI's report that says what happened, without its traceback."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    return next((line for line in lines if line.startswith(("Failed to", "nvImageCodec", "CUDA"))), lines[0])
