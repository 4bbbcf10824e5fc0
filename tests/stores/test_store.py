"""Bytes from stores: those that are there, whatever a server does, or one sentence."""

from pathlib import Path

import pytest
from trustme import CA
from web import Web, web_server

from pycurate.errors import ShardError, StoreError, UsageError
from pycurate.stores.store import CHUNK, Object, head, listed, read_range, store_of

from .conftest import DATA

START, STOP = 1000, 8_001_000


def read(known: Object) -> bytes:
    return read_range(known, START, STOP)


def test_an_object_and_its_bytes(known: Object, web: Web) -> None:
    assert known == Object(f"{web.url}/x.tar", len(DATA), web.etag(web.folder / "x.tar").strip('"'))
    assert read(known) == DATA[START:STOP]
    assert web.sent["/x.tar"] == STOP - START and web.asked == {"GET": 1}


def test_names_with_all_kinds_of_characters(web: Web) -> None:
    (web.folder / "a b").mkdir()
    (web.folder / "a b" / "ü#1+%41.tar").write_bytes(b"hello")
    known = head(f"{web.url}/a%20b/%C3%BC%231+%2541.tar")
    assert read_range(known, 1, 3) == b"el"


@pytest.mark.parametrize("cut", [2, 3])
def test_a_broken_connection_goes_on_at_the_byte_where_it_was(known: Object, web: Web, cut: int) -> None:
    web.cut = cut
    assert b"".join(read_range(known, at, at + 1_000_000) for at in range(0, 8_000_000, 1_000_000)) == DATA[:8_000_000]
    assert web.sent["/x.tar"] <= 8_000_000 + 32 * CHUNK


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_busy_server_is_asked_again(known: Object, web: Web, status: int) -> None:
    web.busy = [status, status]
    assert read(known) == DATA[START:STOP]


def test_a_slow_server(known: Object, web: Web) -> None:
    web.pause = 0.002
    assert read(known) == DATA[START:STOP]


@pytest.mark.parametrize(
    ("ranges", "cause"),
    [
        ("ignored", "ignores"),
        ("wrong", "other bytes"),
        ("short", "connection broke"),
        ("none", "other bytes"),
        ("more", "other bytes"),
    ],
)
def test_a_server_that_lies_about_ranges(known: Object, web: Web, ranges: str, cause: str) -> None:
    web.ranges = ranges
    with pytest.raises(StoreError, match=cause):
        read_range(known, START, START + 2000)
    assert web.asked["GET"] < 40


def test_a_changed_object_is_an_error(known: Object, web: Web) -> None:
    web.changes = 0
    with pytest.raises(ShardError, match="was replaced"):
        read(known)
    (web.folder / "x.tar").write_bytes(DATA[:-1])
    with pytest.raises(ShardError, match=f"had {len(DATA)} bytes and now has {len(DATA) - 1}"):
        read(known)


def test_an_object_that_changes_behind_a_broken_connection_is_an_error(known: Object, web: Web) -> None:
    web.cut = web.changes = 1
    with pytest.raises(ShardError):
        read(known)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (404, "404 Not Found; check the name"),
        (403, "403 Forbidden; check the credentials"),
        (401, "401 Unauthorized; check the credentials"),
        (503, "503 Service Unavailable; try again later"),
        (429, "429 Too Many Requests; try again later"),
        (400, "400 Bad Request; check the name"),
    ],
)
def test_an_answer_is_one_sentence(web: Web, status: int, cause: str) -> None:
    web.status = status
    with pytest.raises(StoreError, match=f"^{web.url}/x.tar cannot be read: {cause}[^\n]*$"):
        head(f"{web.url}/x.tar")


def test_who_cannot_be_reached(tmp_path: Path, quick: None) -> None:
    with web_server(tmp_path) as web:
        gone = web.url
    with pytest.raises(StoreError, match=r"the connection was refused; check the address, .*\.$"):
        head(f"{gone}/x.tar")
    with pytest.raises(StoreError, match=r"its host is not known; check the address, .*\.$"):
        head("http://nobody.invalid/x.tar")


def test_a_certificate_of_an_authority_of_ones_own(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.tar").write_bytes(DATA)
    authority = CA()
    with web_server(tmp_path, authority.issue_cert("localhost")) as web:
        with pytest.raises(
            StoreError, match=r"its certificate is not accepted \(UnknownIssuer\); name the certificate "
        ):
            head(f"{web.url}/x.tar")
        with authority.cert_pem.tempfile() as file:
            monkeypatch.setenv("SSL_CERT_FILE", file)
            store_of.cache_clear()
            assert read(head(f"{web.url}/x.tar")) == DATA[START:STOP]


def test_a_web_server_is_not_listed(web: Web) -> None:
    with pytest.raises(UsageError, match="cannot be listed"):
        list(listed(f"{web.url}/a/", deep=True))
