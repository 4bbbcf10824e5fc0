"""What comes into a store is there under its name as a whole, or not at all."""

import hashlib
from pathlib import Path

import pytest
from losing import losing
from s3 import S3

from pycurate.errors import ManifestError, StoreError
from pycurate.stores import upload
from pycurate.stores.store import store_of
from pycurate.stores.upload import check_writable, delete, hash_of, put, size_of

from .conftest import DATA


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest) -> str:
    name = f"upload-{abs(hash(request.node.name))}"
    s3.fill(name)
    return name


@pytest.mark.parametrize("size", [0, 1, 5 << 20, len(DATA)])
def test_a_file_arrives_byte_for_byte_with_its_hash(
    bucket: str, s3: S3, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PART", 5 << 20)
    source, place = tmp_path / "x", f"s3://{bucket}/a b/ü#1+%41[*].tar"
    source.write_bytes(DATA[:size])
    sha256 = hashlib.sha256(DATA[:size]).hexdigest()
    assert size_of(place) is None
    put(source, place, sha256)
    assert s3.contents(bucket) == {"a b/ü#1+%41[*].tar": DATA[:size]}
    assert size_of(place) == size and hash_of(place) == sha256


def test_a_file_comes_in_no_more_parts_than_a_store_takes(
    bucket: str, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PART", 5 << 20)
    monkeypatch.setattr(upload, "PARTS", 2)
    data = DATA + DATA + b"x"
    (tmp_path / "x").write_bytes(data)
    put(tmp_path / "x", f"s3://{bucket}/x", hashlib.sha256(data).hexdigest())
    assert s3.client.head_object(Bucket=bucket, Key="x")["ETag"].endswith('-2"')  # as S3 names what came in two parts


@pytest.mark.parametrize("size", [1000, len(DATA)])
def test_a_file_that_is_not_what_it_should_be_leaves_what_was_there(
    bucket: str, s3: S3, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PART", 5 << 20)
    s3.client.put_object(Bucket=bucket, Key="x.tar", Body=b"before")
    (tmp_path / "x").write_bytes(DATA[:size])
    with pytest.raises(ManifestError, match="was changed after its task ended"):
        put(tmp_path / "x", f"s3://{bucket}/x.tar", "0" * 64)
    assert s3.contents(bucket) == {"x.tar": b"before"}
    assert not s3.client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_a_file_is_there_though_the_end_of_the_last_answer_is_lost(
    bucket: str, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PART", 5 << 20)
    (tmp_path / "x").write_bytes(DATA)
    with losing(s3.url, r"POST /.*uploadId") as (url, lost):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        store_of.cache_clear()
        put(tmp_path / "x", f"s3://{bucket}/x.tar", hashlib.sha256(DATA).hexdigest())
        assert lost.is_set() and s3.contents(bucket) == {"x.tar": DATA}
    store_of.cache_clear()


def test_what_came_in_another_way_has_no_hash(bucket: str, s3: S3) -> None:
    s3.client.put_object(Bucket=bucket, Key="x", Body=b"theirs")
    assert hash_of(f"s3://{bucket}/x") is None


def test_removal(bucket: str, s3: S3, tmp_path: Path) -> None:
    for key in "ab":
        s3.client.put_object(Bucket=bucket, Key=key, Body=b"")
    delete([f"s3://{bucket}/a", f"s3://{bucket}/never"])
    assert set(s3.contents(bucket)) == {"b"}


def test_whether_a_place_can_be_written_is_found_out_without_a_trace(bucket: str, s3: S3) -> None:
    check_writable(f"s3://{bucket}/some/where/")
    assert not s3.contents(bucket)
    with pytest.raises(
        StoreError, match=r"^s3://no-such-bucket/x/\S+ cannot be written: 404 Not Found .*; check the name"
    ):
        check_writable("s3://no-such-bucket/x/")
