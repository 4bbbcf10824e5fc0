"""DALI: no broken file reaches it, and where it fails it costs only the image at fault."""

import itertools
from typing import Any

import pytest
import torch
from loading import SMALL, load, mixture
from pictures import broken, lacking, photographs

from pycurate.images import dali
from pycurate.images.dali import DaliBackend
from pycurate.images.jpeg import read_header


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
