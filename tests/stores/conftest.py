"""What the tests of stores share."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from web import Web, web_server

from pycurate.stores import store
from pycurate.stores.store import Object, head

DATA = random.Random(0).randbytes(9_000_123)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few tries, one soon after the other."""
    from datetime import timedelta

    soon = {"init_backoff": timedelta(milliseconds=5), "base": 2, "max_backoff": timedelta(milliseconds=20)}
    monkeypatch.setattr(store, "RETRY", store.RETRY | {"backoff": soon, "max_retries": 2})


@pytest.fixture
def web(tmp_path: Path, quick: None) -> Iterator[Web]:
    """A web server with DATA as x.tar."""
    (tmp_path / "x.tar").write_bytes(DATA)
    with web_server(tmp_path) as running:
        yield running


@pytest.fixture
def known(web: Web) -> Object:
    """DATA as the server has it; its counts begin behind that."""
    found = head(f"{web.url}/x.tar")
    web.asked.clear()
    return found
