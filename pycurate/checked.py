"""Models called with care: in batches of one size, within the memory there is, and never believed unseen.

A matrix product may round otherwise for another number of rows. So that an image's numbers do not depend on its
neighbours, on where a partition ends or on --batch_size, a model always sees the same number of rows; the last
batch is filled up with copies of its last row, and what comes out for those is thrown away. (Seen here: ViT-B/32 on a
CPU gives other last bits for every other number of images.) A model may choose the number as its attribute `batch`;
None says that it takes any number, since it computes each row by itself.
"""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch

from pycurate.errors import ModelError
from pycurate.images import ImageInfo
from pycurate.models import EmbeddingScorer, Encoder, PixelScorer

log = logging.getLogger(__name__)

GPU_BATCH = 100  # images; the default of --batch_size, so that whole batches need no filling up
CPU_BATCH = 10
EMBEDDING_BATCH = 1024  # embeddings

_smaller: dict[type, int] = {}  # a model's class -> the batch that fitted, where memory was short


def checked_encode(encoder: Encoder, pixels: torch.Tensor, partition: str, samples: Sequence[str]) -> np.ndarray:
    """uint8 (n, 3, h, w), and the name of each sample -> float32 (n, encoder.dim), as the encoder gives it.

    Raises ModelError, naming class, partition and sample, if the encoder raises or gives what its protocol does
    not allow: another shape or type, a value that is not finite. A batch too large for memory is halved.
    """

    def encode(start: int, stop: int, size: int) -> np.ndarray:
        rows = _host(encoder.encode(_filled(pixels[start:stop], size)), encoder, partition, samples[start:stop])
        return _checked(rows, (size, encoder.dim), encoder, partition, samples[start:stop])

    if not len(pixels):
        return np.zeros((0, encoder.dim), dtype=np.float32)
    return _in_batches(encode, encoder, partition, samples, GPU_BATCH if pixels.is_cuda else CPU_BATCH)


def checked_score(
    scorer: PixelScorer, pixels: torch.Tensor, images: Sequence[ImageInfo], partition: str, samples: Sequence[str]
) -> np.ndarray:
    """uint8 (n, 3, h, w), and what is known of each image -> float32 (n,), raw scale. Raises as checked_encode does."""

    def score(start: int, stop: int, size: int) -> np.ndarray:
        known = [*images[start:stop], *[images[stop - 1]] * (size - (stop - start))]
        rows = _host(scorer.score(_filled(pixels[start:stop], size), known), scorer, partition, samples[start:stop])
        return _checked(rows, (size,), scorer, partition, samples[start:stop])

    if not len(pixels):
        return np.zeros(0, dtype=np.float32)
    return _in_batches(score, scorer, partition, samples, GPU_BATCH if pixels.is_cuda else CPU_BATCH)


def checked_embedding_score(
    scorer: EmbeddingScorer, embeddings: np.ndarray, partition: str, samples: Sequence[str]
) -> np.ndarray:
    """float32 (n, dim), unit length -> float32 (n,), raw scale. Raises as checked_encode does."""

    def score(start: int, stop: int, size: int) -> np.ndarray:
        part = embeddings[start:stop]
        full = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        rows = _host(scorer.score(full), scorer, partition, samples[start:stop])
        return _checked(rows, (size,), scorer, partition, samples[start:stop])

    if not len(embeddings):
        return np.zeros(0, dtype=np.float32)
    return _in_batches(score, scorer, partition, samples, EMBEDDING_BATCH)


def _in_batches(
    compute: Callable[[int, int, int], np.ndarray], model: object, partition: str, samples: Sequence[str], batch: int
) -> np.ndarray:
    """compute(start, stop, size) for all samples, in batches of one size; smaller ones from where memory is short."""
    chosen = getattr(model, "batch", batch)
    done: list[np.ndarray] = []
    start = 0
    while start < len(samples):
        size = _smaller.get(type(model), chosen) or len(samples) - start
        stop = min(start + size, len(samples))
        try:
            done.append(compute(start, stop, size)[: stop - start])
            start = stop
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise ModelError(
                    f"{_name(model)} has not memory enough for one image (partition {partition}, sample "
                    f"{samples[start]}); take a smaller model or a larger GPU."
                ) from error
            _smaller[type(model)] = size // 2
            log.warning("%s: no memory for %d at once, going on with %d", _name(model), size, size // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        except ModelError:
            raise
        except Exception as error:
            _name_culprit(compute, model, partition, samples, range(start, stop), size)
            raise ModelError(_raised(model, error, partition, _these(samples[start:stop]))) from error
    return np.concatenate(done)


def _name_culprit(
    compute: Callable[[int, int, int], np.ndarray],
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
        except Exception as error:
            raise ModelError(_raised(model, error, partition, f"sample {samples[index]}")) from error


def _raised(model: object, error: Exception, partition: str, where: str) -> str:
    return f"{_name(model)} raised {type(error).__name__}: {error} (partition {partition}, {where})."


def _filled(pixels: torch.Tensor, size: int) -> torch.Tensor:
    missing = size - len(pixels)
    return torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)]) if missing else pixels


def _host(rows: object, model: object, partition: str, samples: Sequence[str]) -> np.ndarray:
    """What a model gave as an array in main memory."""
    if isinstance(rows, torch.Tensor):
        return rows.detach().cpu().numpy() if rows.dtype != torch.bfloat16 else rows.detach().float().cpu().numpy()
    if isinstance(rows, np.ndarray):
        return rows
    raise ModelError(
        f"{_name(model)} gave a {type(rows).__name__} where an array is due (partition {partition}, {_these(samples)})."
    )


def _checked(
    rows: np.ndarray, shape: tuple[int, ...], model: object, partition: str, samples: Sequence[str]
) -> np.ndarray:
    """`rows` as float32. `samples` may be fewer than rows: what fills up a batch is not looked at."""
    if rows.shape != shape:
        raise ModelError(
            f"{_name(model)} gave shape {rows.shape} where {shape} is due (partition {partition}, {_these(samples)})."
        )
    if rows.dtype.kind not in "fiu":
        raise ModelError(
            f"{_name(model)} gave {rows.dtype} where float32 is due (partition {partition}, {_these(samples)})."
        )
    finite = np.isfinite(rows[: len(samples)].reshape(len(samples), -1)).all(axis=1)
    if not finite.all():
        raise ModelError(
            f"{_name(model)} gave a value that is not finite (partition {partition}, sample "
            f"{samples[int(np.argmin(finite))]})."
        )
    return rows.astype(np.float32, copy=False)


def _these(samples: Sequence[str]) -> str:
    return f"samples {samples[0]} to {samples[-1]}"


def _name(model: object) -> str:
    return f"{type(model).__module__}:{type(model).__qualname__}"
