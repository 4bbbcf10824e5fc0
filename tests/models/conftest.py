"""A model hub and published weights, for the tests of models."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import DATA, Hub, running_hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub that serves what a test gives it."""
    with running_hub() as hub:
        yield hub


@pytest.fixture
def source(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file behind PAIR's weights on a hub, which has no safetensors; this user's cache of it is empty."""
    path = tmp_path / "source"
    path.write_bytes(DATA)
    hub.store("someone/model", "open_clip_pytorch_model.bin", path)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return path


@pytest.fixture(scope="module")
def heads(shared: Path) -> Path:
    """The folder of the published files."""
    return shared / "heads"
