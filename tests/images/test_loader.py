"""The loader: both backends against open_clip's own transform, on good and bad images in any company."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import BACKENDS, SMALL, difference, load, mixture, open_clips
from pictures import broken, encode, exif, photograph, photographs

from pycurate.errors import UsageError
from pycurate.images import loader
from pycurate.images.loader import READY, STARTED, Batch, Loader
from pycurate.images.views import View
from pycurate.models.builtin.efficientnet import EfficientNetLite0

SIZES = ((224, 224), (256, 256), (336, 336), (224, 160), (128, 384))
RESIZES: tuple[Literal["shortest", "squash", "longest"], ...] = ("shortest", "squash", "longest")
INTERPOLATIONS: tuple[Literal["bicubic", "bilinear"], ...] = ("bicubic", "bilinear")
VIEWS = [
    View(*size, resize, interpolation, fill=77)
    for size, resize, interpolation in itertools.product(SIZES, RESIZES, INTERPOLATIONS)
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_pixels_are_open_clips(backend: Literal["cpu", "dali"]) -> None:
    """Every resize mode, interpolation and size that open_clip's configurations name, all from one decode."""
    files = list(photographs().values())[:6]
    _, pixels = load(files, backend, VIEWS)
    for at, data in enumerate(files):
        for view, tensor in zip(VIEWS, pixels[at], strict=True):
            assert difference(tensor, open_clips(view, data)) <= 0.5, (view, at)


@pytest.mark.parametrize("backend", BACKENDS)
def test_small_pixels_are_open_clips_for_every_photograph_and_kind(backend: Literal["cpu", "dali"]) -> None:
    files = [*photographs().values(), *(encode(photograph(), "JPEG", exif=exif(turn, "<")) for turn in range(1, 9))]
    _, pixels = load(files, backend)
    for at, data in enumerate(files):
        for view, tensor in zip(SMALL, pixels[at], strict=True):
            assert difference(tensor, open_clips(view, data)) <= 0.5, (view, at)


def test_embeddings_do_not_depend_on_the_backend(tmp_path: Path) -> None:
    encoder = EfficientNetLite0(tmp_path, "cpu")
    files = list(photographs().values())
    expected = torch.stack([torch.from_numpy(open_clips(encoder.view, data).copy()).permute(2, 0, 1) for data in files])
    target = encoder.encode(expected)
    for backend in BACKENDS:
        _, pixels = load(files, backend, [encoder.view])
        embeddings = encoder.encode(torch.stack([pixels[at][0] for at in range(len(files))]))
        assert torch.cosine_similarity(embeddings, target).min() >= 0.999


def test_both_backends_say_the_same_of_every_file() -> None:
    files = mixture()
    images, pixels = load(files, "cpu")
    assert sum(info.error is not None for info in images) == len(broken())
    dali_images, dali_pixels = load(files, "dali")
    assert dali_images == images
    assert dali_pixels.keys() == pixels.keys()
    for at, rows in pixels.items():
        for view, mine, other in zip(SMALL, rows, dali_pixels[at], strict=True):
            assert difference(mine, other.numpy().transpose(1, 2, 0)) <= 0.5, (images[at], view)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_does_not_depend_on_its_company(backend: Literal["cpu", "dali"]) -> None:
    """Bit for bit: whatever the order, the neighbours and the size of the batch."""
    files = mixture()
    images, alone = load(files, backend, batch_size=1)

    @settings(max_examples=4)
    @given(st.permutations(range(len(files))), st.integers(1, 40), st.integers(1, len(files)))
    def check(order: list[int], batch_size: int, count: int) -> None:
        order = order[:count]
        infos, pixels = load([files[at] for at in order], backend, batch_size=batch_size)
        assert infos == [images[at] for at in order]
        for number, at in enumerate(order):
            assert (number in pixels) == (at in alone)
            if at in alone:
                assert all(map(torch.equal, pixels[number], alone[at]))

    check()


def test_equal_views_are_computed_once() -> None:
    with Loader([SMALL[0], SMALL[1], SMALL[0]]) as loader:
        (batch,) = loader.batches(photographs().items())
    assert batch.pixels[0] is batch.pixels[2] and batch.pixels[1].shape[2:] == (48, 80)


class Counted:
    """An endless source of photographs that knows how many were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for data in itertools.cycle(photographs().values()):
            self.taken += 1
            yield self.taken, data


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_loader_reads_ahead_but_not_far(backend: Literal["cpu", "dali"]) -> None:
    source = Counted()
    with Loader(SMALL, backend, batch_size=5, workers=2) as loader:
        for number, batch in enumerate(itertools.islice(loader.batches(source), 12), start=1):
            assert batch.items == list(range(number * 5 - 4, number * 5 + 1))
            assert source.taken <= (number + STARTED + READY + 1) * 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("loader", "decode"))]


def test_decoding_goes_on_while_the_caller_works() -> None:
    source = Counted()
    with Loader(SMALL, batch_size=5) as loader:
        batches = loader.batches(source)
        next(batches)
        for _ in range(1000):
            if source.taken >= (1 + STARTED + READY) * 5:
                break
            threading.Event().wait(0.01)
        assert source.taken >= (1 + STARTED + READY) * 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_in_gives_nothing_out(backend: Literal["cpu", "dali"]) -> None:
    assert load([], backend) == ([], {})
    images, pixels = load([b"", b"<html>"], backend)
    assert [info.error for info in images] == ["empty", "not_an_image"] and not pixels


def test_an_exception_of_the_source_reaches_the_caller() -> None:
    def source() -> Iterator[tuple[int, bytes]]:
        yield from enumerate(photographs().values())
        raise OSError("the disk is gone")

    with Loader(SMALL, batch_size=5) as loader, pytest.raises(OSError, match="the disk is gone"):
        list(loader.batches(source()))


def test_large_files_close_a_batch_early(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(photograph(), "JPEG")
    monkeypatch.setattr(loader, "BATCH_BYTES", 2 * len(data))
    with Loader(SMALL) as cpu:
        sizes = [len(batch.items) for batch in cpu.batches((number, data) for number in range(5))]
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_exception_of_a_worker_reaches_the_caller(backend: Literal["cpu", "dali"]) -> None:
    with Loader(SMALL, backend) as loader, pytest.raises(TypeError, match="'list'"):
        list(loader.batches([("no bytes", [5])]))  # type: ignore[list-item]


@pytest.mark.parametrize(
    "arguments", [{"backend": "gpu"}, {"batch_size": 0}, {"max_pixels": 0}, {"workers": 0}, {"views": []}]
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict) -> None:
    with pytest.raises(UsageError):
        Loader(**{"views": SMALL, **arguments})


@pytest.mark.parametrize("backend", BACKENDS)
def test_images_over_the_limit_are_refused(backend: Literal["cpu", "dali"]) -> None:
    size = photograph().width * photograph().height
    data = [encode(photograph(), "JPEG"), encode(photograph(), "PNG")]
    for limit, expected in ((size, None), (size - 1, "too_large")):
        with Loader(SMALL, backend, max_pixels=limit) as loader:
            batches: list[Batch[int]] = list(loader.batches(enumerate(data)))
        assert [info.error for info in batches[0].images] == [expected] * 2


@pytest.mark.gpu
@pytest.mark.parametrize("backend", BACKENDS)
def test_pixels_reach_a_gpu_in_their_order(backend: Literal["cpu", "dali"]) -> None:
    here: list[list[torch.Tensor]] = []
    there: list[list[torch.Tensor]] = []
    for device, rows in (("cpu", here), ("cuda", there)):
        with Loader(SMALL, backend, device, 7, workers=2) as loader:
            for batch in loader.batches(enumerate(mixture())):
                assert {tensor.device.type for tensor in batch.pixels} == {device}
                rows.append([tensor.cpu().float() for tensor in batch.pixels])
    for one, other in zip(here, there, strict=True):
        for expected, found in zip(one, other, strict=True):
            assert (expected - found).abs().mean() <= 1.0
