"""Addresses of stores: their parts, and what is refused before a store is asked."""

import pytest

from pycurate.errors import UsageError
from pycurate.stores.address import Place, check_address, is_address, normalised, place_of, without_secrets


def test_the_parts_of_an_address() -> None:
    assert place_of("s3://b/a b/%20.tar") == Place("s3", "s3://b/", "a b/%20.tar")
    assert place_of("gs://b/x.tar") == Place("gs", "gs://b/", "x.tar")
    assert place_of("https://h:8/a%20b/x.tar") == Place("https", "https://h:8/", "a b/x.tar")
    assert place_of("https://[::1]:8/x.tar") == Place("https", "https://[::1]:8/", "x.tar")
    assert normalised("https://h/a%20b.tar") == "https://h/a%20b.tar"
    assert place_of("hf://datasets/o/n/d/x.tar") == Place("hf", "hf://datasets/o/n@main/", "d/x.tar")
    assert place_of("hf://datasets/o/n@v2/x.tar") == Place("hf", "hf://datasets/o/n@v2/", "x.tar")
    assert normalised("hf://datasets/o/n/d/") == "hf://datasets/o/n@main/d/"
    assert not is_address("/a/s3:/b") and not is_address("a b://c") and is_address("ftp://a")


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("ftp://h/x.tar", "ftp:// are not read"),
        ("S3://b/x.tar", "S3:// are not read"),
        ("s3:///x.tar", "names no bucket"),
        ("s3://b[12]/x.tar", "names no bucket; write s3://BUCKET/PATH"),
        ("https:///x.tar", "names no host"),
        ("https://:80/x.tar", "names no host"),
        ("https://[::1/x.tar", "names no host; write https://HOST/PATH"),
        ("https://a\u2100b/x.tar", "names no host"),
        ("https://me:s3cret@h/x.tar", "password or a query"),
        ("https://h/x.tar?X-Amz-Signature=s3cret", "password or a query"),
        ("s3://key:s3cret@b/x.tar", "password or a query"),
        ("hf://models/o/n/x.tar", "names no file of a dataset"),
    ],
)
def test_what_is_refused_and_shows_no_secret(address: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause) as refused:
        place_of(address)
    assert "s3cret" not in str(refused.value)


def test_a_question_mark_is_a_wildcard_where_a_store_can_be_listed() -> None:
    check_address("s3://b/0000?.tar")


def test_secrets_in_a_text() -> None:
    text = "GET https://me:s3cret@h/x.tar?sig=s3cret failed, http://h/y.tar too"
    assert without_secrets(text) == "GET https://h/x.tar failed, http://h/y.tar too"
