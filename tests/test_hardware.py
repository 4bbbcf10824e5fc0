"""A device is there, or is refused in one sentence."""

from pathlib import Path

import pytest
import torch

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
