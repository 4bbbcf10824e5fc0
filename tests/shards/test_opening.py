"""A shard is read alike wherever it is."""

from pathlib import Path

import pytest
from odd_tars import ODD
from web import web_server

from pycurate.shards.opening import open_shard
from pycurate.shards.samples import read_samples
from pycurate.stores import file
from pycurate.stores.store import head


def test_odd_tars_are_read_on_a_web_server_as_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "PIECE", 20_000)
    for number, (make, _) in enumerate(ODD.values()):
        (tmp_path / f"{number}.tar").write_bytes(make(tmp_path / str(number))[:300_000])
    with web_server(tmp_path) as web:
        for number, kind in enumerate(ODD):
            path = tmp_path / f"{number}.tar"
            known = head(f"{web.url}/{number}.tar")
            assert list(read_samples(known, "x.tar")) == list(read_samples(path, "x.tar")), kind
            with open_shard(path) as local, open_shard(known) as remote:
                assert local.read() == remote.read()
