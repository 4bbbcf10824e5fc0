"""A file in a store: the bytes of a local one, each fetched once."""

import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from web import Web

from pycurate.stores import file as module
from pycurate.stores.file import RemoteFile
from pycurate.stores.store import Object

from .conftest import DATA


def test_from_front_to_back_every_byte_comes_once(known: Object, web: Web) -> None:
    with RemoteFile(known) as file:
        assert b"".join(iter(lambda: file.read(100_000), b"")) == DATA
        assert file.read(1) == b"" and file.tell() == len(DATA)
    assert web.sent["/x.tar"] == len(DATA)
    assert web.asked["GET"] == -(-len(DATA) // module.PIECE)


def test_as_a_tar_is_read_each_byte_comes_once(known: Object, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header behind a member first, then the member, which may be larger than what memory holds."""
    monkeypatch.setattr(module, "PIECE", 50_000)
    with RemoteFile(known) as file:
        at = 0
        for size in (1000, 60_000, 3_000_000, 512, 2_000_000, 700_000):
            for place, length in ((at + size, 512), (at, size)):
                file.seek(place)
                assert file.read(length) == DATA[place : place + length]
            at += size
    assert web.sent["/x.tar"] <= at + (2 + module.AHEAD) * 50_000


def test_only_what_is_wanted_is_fetched(known: Object, web: Web) -> None:
    wanted = [(at, at + 2000) for at in range(0, 9_000_000, 1_500_000)]
    with RemoteFile(known, wanted) as file:
        for start, stop in wanted:
            file.seek(start)
            assert file.read(stop - start) == DATA[start:stop]
    assert web.sent["/x.tar"] == 2000 * len(wanted)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, len(DATA)), st.integers(0, 200_000)), max_size=12),
    st.lists(st.tuples(st.integers(0, len(DATA) + 10), st.integers(0, 100_000)), max_size=5) | st.none(),
)
@example([(len(DATA) - 10, 5), (len(DATA) - 10, 50), (len(DATA) + 1, 1)], None)
def test_it_reads_as_a_file_in_memory_does(
    known: Object, reads: list[tuple[int, int]], wanted: list[tuple[int, int]] | None
) -> None:
    spans = None if wanted is None else [(start, start + size) for start, size in wanted]
    file, oracle = RemoteFile(known, spans), io.BytesIO(DATA)
    for start, size in reads:
        assert file.seek(start) == oracle.seek(start)
        assert file.read(size) == oracle.read(size)
        assert file.tell() == oracle.tell() == file.seek(0, io.SEEK_CUR)
        room, same = bytearray(min(size, 4096)), bytearray(min(size, 4096))
        assert file.readinto(room) == oracle.readinto(same) and room == same
