"""A device is there, or is refused in one sentence; work in threads keeps its order."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch

from pycurate.hardware import cores, start_in_turn, start_on_all_cores
from scripts import called

Start = Callable[[Callable[[int], object], Iterable[int]], Iterator[object]]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "'gpu' is not a device; give cpu, cuda"),
        ("cuda:64", "There is no device cuda:64 here"),
        pytest.param(
            "cuda",
            "There is no device cuda here: torch finds 0 GPUs",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU"),
        ),
    ],
)
def test_a_device_that_is_not_there_leaves_with_2(tmp_path: Path, device: str, message: str) -> None:
    found = called("models", "verify", "--preset", "light", "--device", device, "--model-dir", str(tmp_path))
    assert (found.exit_code, found.output.count("\n")) == (2, 1), found.output
    assert message in found.output


@pytest.mark.parametrize("start", [start_on_all_cores, start_in_turn])
def test_work_in_threads_keeps_the_order_and_raises_what_it_raises(start: Start) -> None:
    def root(number: int) -> float:
        if number < 0:
            raise ValueError(f"no root of {number}")
        return number**0.5

    assert list(start(root, range(1000))) == [number**0.5 for number in range(1000)]
    begun = start(root, [4, -1, 9])  # which does not raise yet
    assert next(begun) == 2
    with pytest.raises(ValueError, match="no root of -1"):
        next(begun)


def test_what_is_many_short_calls_has_a_thread_of_its_own_for_every_four_cores() -> None:
    names = set(start_in_turn(lambda _: threading.current_thread().name, range(1000)))
    assert 1 <= len(names) <= max(1, cores() // 4)
    assert not names & set(start_on_all_cores(lambda _: threading.current_thread().name, range(1000)))
