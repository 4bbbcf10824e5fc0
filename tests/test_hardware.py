"""A device is there, or is refused in one sentence; what takes turns does."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from pycurate.hardware import in_turn
from scripts import called


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


def test_callers_take_turns_and_an_exception_ends_one() -> None:
    within = most = 0

    @in_turn
    def halved(number: int) -> int:
        nonlocal within, most
        within += 1
        most = max(most, within)
        time.sleep(0.001)  # in which another thread would come in
        within -= 1
        if number % 2:
            raise ValueError(number)
        return number // 2

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(halved, number) for number in range(40)]
    assert most == 1
    assert [call.result() for call in calls[::2]] == list(range(20))
    assert all(isinstance(call.exception(), ValueError) for call in calls[1::2])
