"""The loader: both backends against open_clip's own transform, on good and bad images in any company."""

import io
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import BACKENDS, SMALL, load
from pictures import broken, encode, exif, lacking, photograph, photographs, transparent
from PIL import Image, ImageOps

from pycurate.errors import UsageError
from pycurate.images import dali, loader
from pycurate.images.dali import DaliBackend
from pycurate.images.jpeg import read_header
from pycurate.images.loader import READY, STARTED, Batch, Loader
from pycurate.images.render import normalise, place, render
from pycurate.images.views import View
from pycurate.models.builtin.efficientnet import EfficientNetLite0

SIZES = ((224, 224), (256, 256), (336, 336), (224, 160), (128, 384))
RESIZES: tuple[Literal["shortest", "squash", "longest"], ...] = ("shortest", "squash", "longest")
INTERPOLATIONS: tuple[Literal["bicubic", "bilinear"], ...] = ("bicubic", "bilinear")
VIEWS = [
    View(*size, resize, interpolation, fill=77)
    for size, resize, interpolation in itertools.product(SIZES, RESIZES, INTERPOLATIONS)
]


def open_clips(view: View, data: bytes) -> np.ndarray:
    """uint8 (h, w, 3): an upright image by open_clip's transform, short of its conversion to a normalised tensor."""
    transform = open_clip.image_transform(
        (view.height, view.width),
        is_train=False,
        resize_mode=view.resize,
        interpolation=view.interpolation,
        fill_color=view.fill,
    )
    transform.transforms = transform.transforms[:-2]
    return np.asarray(transform(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")))


def difference(pixels: torch.Tensor, expected: np.ndarray) -> float:
    """Mean absolute difference, of 255, between (3, h, w) and (h, w, 3)."""
    return float(np.abs(pixels.numpy().transpose(1, 2, 0).astype(float) - expected).mean())


def mixture() -> list[bytes]:
    """Photographs, images that DALI does not get, and every kind of broken file, in turn."""
    odd = [
        *(encode(photograph(), "JPEG", exif=exif(turn, ">")) for turn in range(1, 9)),
        *(encode(photograph(), kind) for kind in ("PNG", "WEBP", "GIF", "AVIF", "BMP")),
        encode(photograph().convert("CMYK"), "JPEG"),
        encode(photograph().convert("L"), "JPEG"),
        encode(transparent(), "PNG"),
        encode(Image.new("RGB", (1, 1), "green"), "JPEG"),
        encode(photograph().resize((5000, 1)), "JPEG"),
    ]
    rows = itertools.zip_longest(photographs().values(), odd, [data for data, _ in broken().values()])
    return [data for row in rows for data in row if data is not None]


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

    @settings(max_examples=4, deadline=None)
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


def test_dali_decodes_large_batches_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    files = mixture()
    expected = load(files, "dali", batch_size=len(files))
    monkeypatch.setattr(dali, "RUN_PIXELS", 500 * 375 * 2)
    images, pixels = load(files, "dali", batch_size=len(files))
    assert images == expected[0]
    assert all(all(map(torch.equal, pixels[at], expected[1][at])) for at in expected[1])


def test_files_that_are_seen_to_be_broken_never_reach_dali() -> None:
    files = [*(data for data, _ in broken().values()), *map(lacking, photographs().values()), *photographs().values()]
    backend = DaliBackend(SMALL, "cpu", len(files), 10**8, 2)
    images, pixels = backend.start(files)()
    backend.close()
    assert backend.rebuilt == 0
    assert len(pixels[0]) == sum(info.error is None for info in images) == len(photographs())


def test_a_dozen_images_on_which_dali_fails_cost_one_rebuild_for_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dali, "jpeg_header", read_header)  # none is known that `jpeg_header` lets through
    good = list(photographs().values()) * 7
    files = [lacking(data) if at % 7 == 3 else data for at, data in enumerate(good)][:84]
    backend = DaliBackend(SMALL, "cpu", len(files), 10**8, 2)
    first, second = backend.start(files), backend.start(good[:20])
    images, pixels = first()
    _, clean = second()
    backend.close()
    assert [info.error for info in images] == ["corrupt" if at % 7 == 3 else None for at in range(len(files))]
    assert backend.rebuilt == 1
    kept = [at for at in range(len(files)) if at % 7 != 3]
    same = [(row, at) for row, at in enumerate(kept) if at < 20]
    assert all(torch.equal(pixels[0][row], clean[0][at]) for row, at in same)


def test_halving_finds_what_dali_alone_fails_on() -> None:
    files = list(photographs().values())[:6]
    files[2], files[5] = lacking(files[2]), lacking(files[5])
    backend = DaliBackend(SMALL, "cpu", 6, 10**8, 2)
    header = read_header(files[0])
    jpegs = [dali.Jpeg(at, data, header) for at, data in enumerate(files)]
    assert [row is None for row in backend._bisect(jpegs)] == [False, False, True, False, False, True]
    backend.close()


@pytest.mark.parametrize("error", [MemoryError("std::bad_alloc"), RuntimeError()])
@pytest.mark.parametrize("fed", range(6))
def test_a_run_that_dali_took_half_of_mixes_with_no_other(
    error: Exception, fed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory may be short while it is fed, at any input, and leave what it has taken of a run in its queues."""
    files = list(photographs().values())
    batches = [files[start:] + files[:start] for start in range(4)]
    expected = [DaliBackend(SMALL, "cpu", len(files), 10**8, 2).start(batch)()[1] for batch in batches]
    backend = DaliBackend(SMALL, "cpu", len(files), 10**8, 2)
    results = [backend.start(batches[0])]
    feed, calls = backend.pipeline.feed_input, itertools.count()

    def short_of_memory(*arguments: Any) -> None:
        if next(calls) == fed:
            raise error
        feed(*arguments)

    monkeypatch.setattr(backend.pipeline, "feed_input", short_of_memory)
    results += [backend.start(batch) for batch in batches[1:]]
    for number, (result, due) in enumerate(zip(results, expected, strict=True)):
        images, pixels = result()
        assert not any(info.error for info in images)
        assert all(map(torch.equal, pixels, due))
        assert backend.rebuilt == (number >= 1)
    backend.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_strips_need_little_memory_and_look_as_open_clip_makes_them(backend: Literal["cpu", "dali"]) -> None:
    """Resized as a whole, the last ones would take 10 GB each."""
    stretched = photograph().resize((5000, 2))
    files = [encode(image, "PNG") for image in (stretched, stretched.transpose(Image.Transpose.ROTATE_90))]
    files += [encode(Image.new("RGB", size, "teal"), "JPEG") for size in ((60000, 1), (1, 60000))]
    views = [View(64, 64), View(64, 64, "squash"), View(64, 64, "longest", "bilinear", fill=9)]
    images, pixels = load(files, backend, views)
    assert [info.error for info in images] == [None] * 4
    for at in (0, 1):
        for view, tensor in zip(views[:2], pixels[at], strict=False):
            assert difference(tensor, open_clips(view, files[at])) <= 0.5
    for at in (2, 3):
        assert pixels[at][0].float().std(dim=(1, 2)).max() == 0
    assert place(views[2], 60000, 1) == (64, 1, 0, -31)


def test_an_odd_view_of_open_clip_is_kept() -> None:
    """For a size that is not square open_clip's `shortest` ignores the interpolation; its models were measured so."""
    image = np.array(photograph())
    assert torch.equal(render(image, View(64, 96, "shortest", "bilinear")), render(image, View(64, 96)))
    assert not torch.equal(render(image, View(64, 64, "shortest", "bilinear")), render(image, View(64, 64)))


def test_equal_views_are_computed_once() -> None:
    with Loader([SMALL[0], SMALL[1], SMALL[0]]) as loader:
        (batch,) = loader.batches(photographs().items())
    assert batch.pixels[0] is batch.pixels[2] and batch.pixels[1].shape[2:] == (48, 80)


def test_pixels_normalise_as_open_clip_does() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    transform = open_clip.image_transform(64, is_train=False, mean=mean, std=std)
    data = next(iter(photographs().values()))
    pixels = torch.from_numpy(open_clips(SMALL[0], data).copy()).permute(2, 0, 1)[None]
    expected = transform(Image.open(io.BytesIO(data)))[None]
    tensors = torch.tensor(mean), torch.tensor(std)
    torch.testing.assert_close(normalise(pixels, *tensors), expected, rtol=0, atol=1e-6)
    assert normalise(pixels, *tensors, torch.bfloat16).dtype == torch.bfloat16


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
