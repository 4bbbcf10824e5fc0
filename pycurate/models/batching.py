"""Models called with care: in batches of one size, within the memory there is, and never believed unseen.

A matrix product may round otherwise for another number of rows, and on a CPU its last rows otherwise than its first.
So that an image's numbers do not depend on its neighbours, on where a partition ends or on --batch_size, a model always
sees the same number of rows: on a CPU one image; on a GPU a batch, whose last one is filled up with copies of its last
row, and what comes out for those is thrown away. (Seen here: ViT-B/32 on a CPU gives other last bits for every other
number of images; MKL's product of ten rows gives the ninth and tenth others than it gives the first eight.) A model may
choose the number as its attribute `batch`; None says that it takes any number, since it computes each row by itself.

A GPU works while its caller goes on, so `start_encode` and `start_score` only begin; what they give is waited for and
looked at when it is called. `one_behind` puts the next batch before that. On a CPU they only begin, too, where `batch`
is None: such models share the cores, and pycurate's own work at two batches at a time, so that no core is idle until
the last image of one is done. Others have done their work when they return.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
import torch

from pycurate.errors import ModelError
from pycurate.images.decode import ImageInfo
from pycurate.models.protocols import EmbeddingScorer, Encoder, PixelScorer
from pycurate.plugins import cause

log = logging.getLogger(__name__)

GPU_BATCH = 100  # images; the default of --batch_size, so that whole batches need no filling up
CPU_BATCH = 1
EMBEDDING_BATCH = 1024  # embeddings

_smaller: dict[type, int] = {}  # a model's class -> the batch that fitted, where memory was short


Rows = Callable[[], np.ndarray]
"""What a model gives for some samples: call it to wait for a GPU that is still at it, and to have it checked."""

T = TypeVar("T")


def one_behind(started: Iterable[T]) -> Iterator[T]:
    """Each element when the one after it has been made: a GPU works on that while the caller looks at this."""
    waiting: list[T] = []
    for one in started:
        yield from waiting
        waiting = [one]
    yield from waiting


def batch_of(model: Encoder | PixelScorer, pixels: torch.Tensor) -> int | None:
    """How many images a model is given at once, where memory suffices; None: any number, each by itself."""
    batch: int | None = getattr(model, "batch", GPU_BATCH if pixels.is_cuda else CPU_BATCH)
    return batch


def start_encode(encoder: Encoder, pixels: torch.Tensor, partition: str, samples: Sequence[str]) -> Rows:
    """uint8 (n, 3, h, w), and the name of each sample -> float32 (n, encoder.dim), as the encoder gives it.

    On a GPU, and if `encoder.batch` is None, the work has only begun when this returns. A batch too large for memory is
    halved. This or the result, when it is called for, raises ModelError, naming class, partition and sample, if the
    encoder raises; the result does if the encoder gave what its protocol does not allow: another shape or type, a
    value that is not finite.
    """

    def encode(start: int, stop: int, size: int) -> torch.Tensor:
        return encoder.encode(_filled(_unshared(encoder, pixels[start:stop]), size))

    batch = batch_of(encoder, pixels)
    return _beside(encoder, pixels, batch, lambda: _start(encode, encoder, (encoder.dim,), partition, samples, batch))


def start_score(
    scorer: PixelScorer, pixels: torch.Tensor, images: Sequence[ImageInfo], partition: str, samples: Sequence[str]
) -> Rows:
    """uint8 (n, 3, h, w), and what is known of each image -> float32 (n,), raw scale. Raises as start_encode does."""

    def score(start: int, stop: int, size: int) -> np.ndarray:
        known = [*images[start:stop], *[images[stop - 1]] * (size - (stop - start))]
        return scorer.score(_filled(_unshared(scorer, pixels[start:stop]), size), known)

    batch = batch_of(scorer, pixels)
    return _beside(scorer, pixels, batch, lambda: _start(score, scorer, (), partition, samples, batch))


def checked_encode(encoder: Encoder, pixels: torch.Tensor, partition: str, samples: Sequence[str]) -> np.ndarray:
    """The result of start_encode, waited for."""
    return start_encode(encoder, pixels, partition, samples)()


def checked_embedding_score(
    scorer: EmbeddingScorer, embeddings: np.ndarray, partition: str, samples: Sequence[str]
) -> np.ndarray:
    """float32 (n, dim), unit length -> float32 (n,), raw scale. Raises as start_encode and its result do."""

    def score(start: int, stop: int, size: int) -> np.ndarray:
        part = embeddings[start:stop]
        return scorer.score(np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]))

    return _start(score, scorer, (), partition, samples, getattr(scorer, "batch", EMBEDDING_BATCH))()


def _beside(model: object, pixels: torch.Tensor, batch: int | None, begin: Callable[[], Rows]) -> Rows:
    """begin(); beside others, in a thread of the model's class, where models share a CPU."""
    if pixels.is_cuda or batch is not None:
        return begin()
    return _threads(_name(model), 2 if _own(model) else 1).submit(lambda: begin()()).result


@cache
def _threads(name: str, at_once: int) -> ThreadPoolExecutor:
    """Threads in which models of a class are called, `at_once` of its batches at a time; torch works as in this one."""
    return ThreadPoolExecutor(at_once, name, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),))


def _own(model: object) -> bool:
    """Whether a model's class is pycurate's: those write to none of their pixels, and two threads may call one."""
    return type(model).__module__.startswith("pycurate.")


def _start(
    compute: Callable[[int, int, int], object],
    model: object,
    width: tuple[int, ...],
    partition: str,
    samples: Sequence[str],
    batch: int | None,
) -> Rows:
    """compute(start, stop, size) for all samples, in batches of one size; smaller ones from where memory is short."""
    parts: list[tuple[Callable[[], object], int, int, int]] = []
    start = 0
    while start < len(samples):
        size = _smaller.get(type(model), batch) or len(samples) - start
        stop = min(start + size, len(samples))
        try:
            parts.append((_sent(compute(start, stop, size)), start, stop, size))
            start = stop
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise ModelError(
                    f"{_name(model)} does not have enough memory for one image (partition {partition}, sample "
                    f"{samples[start]}); use a smaller model or a larger GPU."
                ) from error
            _smaller[type(model)] = size // 2
            log.warning("%s: not enough memory for a batch of %d, continuing with %d", _name(model), size, size // 2)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if not isinstance(error, torch.AcceleratorError):  # after which a GPU does nothing more, for any sample
                _name_culprit(compute, model, partition, samples, range(start, stop), size)
            raise ModelError(raised(model, error, partition, samples[start:stop])) from error

    def finish() -> np.ndarray:
        done = [np.zeros((0, *width), dtype=np.float32)]
        for arrived, start, stop, size in parts:
            names = samples[start:stop]
            try:
                rows = arrived()
            except Exception as error:  # a GPU tells of a fault when one waits for it
                raise ModelError(raised(model, error, partition, names)) from error
            done.append(_checked(rows, (size, *width), model, partition, names)[: stop - start])
        return np.concatenate(done)

    return finish


def _sent(rows: object) -> Callable[[], object]:
    """Begin to copy a model's rows to main memory; what comes back waits until they are there.

    They are copied in any case, since a model may write those of its next batch to the same place. From a GPU they go
    to pinned memory, in the order of its work, so that nobody waits meanwhile.
    """
    if not isinstance(rows, torch.Tensor):
        kept = rows.copy() if isinstance(rows, np.ndarray) else rows
        return lambda: kept
    rows = rows.detach()
    if rows.dtype == torch.bfloat16:  # which numpy does not know
        rows = rows.float()
    if not rows.is_cuda:
        here = rows.cpu().numpy().copy()
        return lambda: here
    copy = rows.to("cpu", non_blocking=True)
    arrival = torch.cuda.Event(blocking=True)  # who waits for it sleeps, and leaves the core to the decoder
    arrival.record(torch.cuda.current_stream(rows.device))

    def wait() -> np.ndarray:
        arrival.synchronize()
        return copy.numpy()

    return wait


def _name_culprit(
    compute: Callable[[int, int, int], object],
    model: object,
    partition: str,
    samples: Sequence[str],
    suspects: range,
    size: int,
) -> None:
    """Raise ModelError for the first sample at which the model raises when it is alone; return if there is none."""
    for index in suspects:
        try:
            compute(index, index + 1, size)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ModelError(raised(model, error, partition, samples[index : index + 1])) from error


def raised(model: object, error: BaseException, partition: str, samples: Sequence[str]) -> str:
    """The sentence that says that a model raised on these samples of a partition."""
    where = _these(samples) if len(samples) > 1 else f"sample {samples[0]}"
    return f"{_name(model)} {cause(error)} (partition {partition}, {where})."


def _unshared(model: object, pixels: torch.Tensor) -> torch.Tensor:
    """Pixels that a class of the user's own may write to: models of one view are given the same ones, and where memory
    is short a model is given them again."""
    return pixels if _own(model) else pixels.clone()


def _filled(pixels: torch.Tensor, size: int) -> torch.Tensor:
    missing = size - len(pixels)
    return torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)]) if missing else pixels


def _checked(rows: object, shape: tuple[int, ...], model: object, partition: str, samples: Sequence[str]) -> np.ndarray:
    """`rows` as float32. `samples` may be fewer than rows: what fills up a batch is not looked at."""
    if not isinstance(rows, np.ndarray):
        raise ModelError(
            f"{_name(model)} gave a {type(rows).__name__} instead of an array (partition {partition}, "
            f"{_these(samples)})."
        )
    if rows.shape != shape:
        raise ModelError(
            f"{_name(model)} gave shape {rows.shape} instead of {shape} (partition {partition}, {_these(samples)})."
        )
    if rows.dtype.kind not in "fiu":
        raise ModelError(
            f"{_name(model)} gave {rows.dtype} instead of float32 (partition {partition}, {_these(samples)})."
        )
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is found here
        rows = rows.astype(np.float32, copy=False)
    rows = np.ma.filled(rows, np.nan)  # what stands behind a mask is no value
    finite = np.isfinite(rows[: len(samples)].reshape(len(samples), -1)).all(axis=1)
    if not finite.all():
        raise ModelError(
            f"{_name(model)} gave a value that is not finite (partition {partition}, sample "
            f"{samples[int(np.argmin(finite))]})."
        )
    return rows


def _these(samples: Sequence[str]) -> str:
    return f"samples {samples[0]} to {samples[-1]}"


def _name(model: object) -> str:
    return f"{type(model).__module__}:{type(model).__qualname__}"
