"""A downloaded file is the published one, whole, whatever the server does; or there is an error and no half file."""

import os
import resource
from pathlib import Path

import pytest
from hub import DATA, SHA256, Hub, running_hub

from pycurate.errors import ModelError, StorageError
from pycurate.models.download import download

pytestmark = pytest.mark.timeout(60)


def bring(url: str, path: Path) -> None:
    """Fetch DATA, with little patience."""
    download(url, path, SHA256, len(DATA), timeout=1, pause=0.01)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"cut": 100_000, "cuts": 2},
        {"failures": 3},
        {"claim": 1_000_000},  # says more than it has
        {"pause": 0.001},
    ],
    ids=["well", "breaks off twice", "503 at first", "claims too much", "slow"],
)
def test_the_file_arrives(hub: Hub, tmp_path: Path, how: dict) -> None:
    bring(hub.serve("/file", DATA, **how), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("data", "how", "message"),
    [
        (b"x" * len(DATA), {}, "has SHA-256"),
        (DATA[:-1] + b"x", {}, "has SHA-256"),
        (DATA[:1000], {}, "broke off"),
        (DATA, {"claim": 1000}, "broke off"),  # says less than it has, and closes there
        (DATA, {"pause": 2}, "broke off"),  # a trickle
        (DATA, {"pause": 0.3}, "broke off, since"),  # one that is never silent
        (DATA, {"failures": 99}, "broke off .* 503"),
        (b"", {}, "broke off"),
    ],
    ids=["other bytes", "one byte wrong", "cut", "claims too little", "trickle", "drops", "always 503", "empty"],
)
def test_a_bad_server_ends_in_an_error_and_no_half_file(
    hub: Hub, tmp_path: Path, data: bytes, how: dict, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        bring(hub.serve("/file", data, **how), tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_more_bytes_than_published_are_not_read(hub: Hub, tmp_path: Path) -> None:
    bring(hub.serve("/file", DATA + b"more"), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA


def test_an_address_that_does_not_exist_is_asked_once(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="404"):
        bring(f"{hub.url}/nothing", tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_nobody_there(tmp_path: Path) -> None:
    with running_hub() as gone:
        url = gone.url
    with pytest.raises(ModelError, match="broke off"):
        bring(f"{url}/file", tmp_path / "file")


def test_a_disk_that_takes_no_more_is_not_taken_for_a_bad_connection(hub: Hub, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match="File too large"):
            bring(hub.serve("/file", DATA), tmp_path / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert hub.files["/file"].starts == [0]
    assert os.listdir(tmp_path) == []
