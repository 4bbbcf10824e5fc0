"""Memory for decoded pixels: never more at a time than the budget, however many threads, and each gets its turn."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest
from flows import wait_until
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import BACKENDS, SMALL, load
from mutations import sound
from pictures import encode
from PIL import Image

from pycurate.images.budget import Budget, Share
from pycurate.images.decode import decode
from pycurate.images.formats import FORMATS


@settings(max_examples=50)
@given(st.lists(st.integers(0, 150), max_size=40), st.integers(1, 8))
def test_shares_never_exceed_the_budget_and_all_are_served(sizes: list[int], workers: int) -> None:
    shared, lock, held, most = Budget(100), threading.Lock(), 0, 0

    def work(size: int) -> int:
        nonlocal held, most
        with Share(shared) as share:
            share.take(size)
            with lock:
                held += min(size, 100)
                most = max(most, held)
            with lock:
                held -= min(size, 100)
        return size

    with ThreadPoolExecutor(workers) as pool:
        assert list(pool.map(work, sizes)) == sizes
    assert most <= 100
    assert shared.take(100) == 100  # all of it was given back


def test_a_large_share_is_not_passed_by() -> None:
    shared = Budget(10)
    order: list[int] = []
    held = shared.take(1)
    large = threading.Thread(target=lambda: order.append(shared.take(10)))
    large.start()
    wait_until(lambda: len(shared._queue) == 1, "the large share to queue", 30)
    small = threading.Thread(target=lambda: order.append(shared.take(1)))
    small.start()
    wait_until(lambda: len(shared._queue) == 2, "the small share to queue", 30)
    assert order == []  # nine are free, but the first in the queue wants ten
    shared.give(held)
    large.join()
    shared.give(10)
    small.join()
    assert order == [10, 1]


def test_a_share_is_given_back_when_decoding_fails() -> None:
    shared = Budget(10)
    with pytest.raises(ValueError, match="spoilt"), Share(shared) as share:
        share.take(10)
        raise ValueError("spoilt")
    assert shared.take(10) == 10


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_budget_smaller_than_any_image_changes_no_result(
    backend: Literal["cpu", "dali"], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [*sound().values(), b"", *sound().values()]
    expected = load(files, backend, SMALL)
    taken: list[int] = []

    class Tight(Budget):
        def __init__(self, _: int = 0) -> None:
            super().__init__(1)

        def take(self, size: int) -> int:
            taken.append(size)
            return super().take(size)

    monkeypatch.setattr("pycurate.images.cpu.Budget", Tight)
    images, pixels = load(files, backend, SMALL)
    assert images == expected[0] and taken
    assert all((one == other).all() for at in pixels for one, other in zip(pixels[at], expected[1][at], strict=True))


MEASURE = """
import sys
from pathlib import Path
from pycurate.images.decode import decode
def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
data, asked = Path(sys.argv[1]).read_bytes(), []
before = peak()
assert decode(data, reserve=asked.append)[0].error is None
print(peak() - before, *asked)
"""


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("CMYK", "JPEG", {"progressive": True, "subsampling": 0}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        ("RGBA", "AVIF", {"speed": 10, "subsampling": "4:4:4"}),
        ("RGBA", "WEBP", {"method": 0, "lossless": True}),
        ("RGBA", "TIFF", {}),
    ],
)
def test_an_image_takes_no_more_than_it_asks_for(
    tmp_path: Path, mode: str, kind: str, options: dict[str, object]
) -> None:
    (tmp_path / "image").write_bytes(encode(Image.new(mode, (6000, 5000)), kind, **options))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "image")]
    took, asked = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert took < asked + (60 << 20)  # with the bands in which pixels become RGB


def test_an_image_asks_for_as_much_as_its_pixels_need() -> None:
    asked: list[int] = []
    for kind in ("PNG", "JPEG", "TIFF"):
        decode(encode(Image.new("RGB", (30, 20)), kind), reserve=asked.append)
    assert asked == [600 * FORMATS[kind].need for kind in ("png", "jpeg", "tiff")]
    asked.clear()
    decode(encode(Image.new("RGB", (30, 20)), "PNG"), max_pixels=599, reserve=asked.append)
    assert asked == []  # what is refused takes nothing
