"""What an address names: the shards, by the names that they have in a folder."""

from pathlib import Path

import pytest
from dataset_hub import dataset_hub
from s3 import S3
from web import web_server

from pycurate.errors import UsageError
from pycurate.shards.listing import find_shards, search
from pycurate.shards.opening import open_shard
from pycurate.stores import store
from pycurate.stores.store import Object

FORMS = [
    "",
    "/",
    "/a",
    "/*/*.tar",
    "/**/*.tar",
    "/a/{00000..00001}.tar",
    "/{a,b}/00000.tar",
    "/a/00001.tar",
    "/[ab]/0001?.tar",
]


def names(text: object) -> list[str]:
    return [shard.name for shard in find_shards(str(text))]


@pytest.fixture
def bucket(s3: S3, four_shards: Path, request: pytest.FixtureRequest) -> str:
    """The address of a folder with the four shards."""
    name = f"remote-{abs(hash(request.node.name))}"
    s3.fill(name, four_shards, "in put/")
    return f"s3://{name}/in put"


def test_every_form_names_what_it_names_in_a_folder(bucket: str, four_shards: Path) -> None:
    for form in FORMS:
        found = find_shards(bucket + form)
        local = find_shards(str(four_shards) + form)
        assert [(shard.name, shard.bytes) for shard in found] == [(shard.name, shard.bytes) for shard in local], form
        assert all(isinstance(shard.path, Object) and shard.path.identity for shard in found)


def test_a_long_range_is_listed_and_a_gap_in_it_named(
    bucket: str, monkeypatch: pytest.MonkeyPatch, four_shards: Path
) -> None:
    for asked in (100, 0):
        monkeypatch.setattr("pycurate.shards.remote.ASKED", asked)
        assert names(f"{bucket}/{{a,b}}/00000.tar") == ["a/00000.tar", "b/00000.tar"]
        with pytest.raises(UsageError, match=r"b/00001\.tar"):
            names(f"{bucket}/{{a,b}}/0000{{0,1}}.tar")


def test_a_dataset_on_hugging_face_is_listed(four_shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dataset_hub(four_shards.parent, "secret") as (hub, files):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
        monkeypatch.setenv("HF_TOKEN", "secret")
        store.store_of.cache_clear()
        for form in FORMS:
            found = find_shards(f"hf://datasets/someone/set@v2/in put{form}")
            local = find_shards(str(four_shards) + form)
            assert [(one.name, one.bytes) for one in found] == [(one.name, one.bytes) for one in local], form
        (first,) = find_shards("hf://datasets/someone/set/in put/a/00000.tar")
        with open_shard(first.path) as file:
            assert file.read() == (four_shards / "a" / "00000.tar").read_bytes()
        assert not files.shown  # the token is for the hub alone
        with pytest.raises(UsageError, match="404 Not Found; check the name"):
            names("hf://datasets/someone/set/nowhere")
        monkeypatch.setenv("HF_TOKEN", "another")
        store.store_of.cache_clear()
        for form in ("", "/a/00000.tar"):
            with pytest.raises(UsageError, match="401 Unauthorized; check the credentials"):
                names(f"hf://datasets/someone/set/in put{form}")
    store.store_of.cache_clear()


def test_a_web_server_has_ranges_and_no_patterns(four_shards: Path) -> None:
    with web_server(four_shards.parent) as web:
        folder = f"{web.url}/in%20put"
        assert names(f"{folder}/{{a,b}}/00000.tar") == ["a/00000.tar", "b/00000.tar"]
        assert names(f"{folder}/a/00001.tar") == ["00001.tar"]
        for form in ("/a", "/a/*.tar"):
            with pytest.raises(UsageError, match="cannot be listed"):
                names(folder + form)
        with pytest.raises(UsageError, match="404 Not Found"):
            names(f"{folder}/a/{{00000..00002}}.tar")


def test_lists(bucket: str, four_shards: Path, tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text(f"# both\n{bucket}/a/*.tar\n{bucket}/b/00000.tar\n{bucket}/a/00000.tar\n")
    assert names(listing) == ["a/00000.tar", "a/00001.tar", "b/00000.tar"]
    behind = bucket.removeprefix("s3://")
    with web_server(four_shards) as web:
        listing.write_text(f"{bucket}/a/00000.tar\n{web.url}/a/00000.tar\nin put/b/*.tar\n")
        host = web.url.removeprefix("http://")
        assert names(listing) == sorted(
            [f"{host}/a/00000.tar", f"{behind}/a/00000.tar", "in put/b/00000.tar", "in put/b/00010.tar"]
        )


def test_what_is_not_there_or_not_allowed(bucket: str, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for form, cause in (("/nothing", "no .tar"), ("/c/*.tar", "matches no object"), ("/c/0.tar", "404 Not Found")):
        with pytest.raises(UsageError, match=cause):
            names(bucket + form)
    with pytest.raises(UsageError, match=r"^The input s3://no-such/ cannot be read: 404 Not Found \(NoSuchBucket\); "):
        names("s3://no-such")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store.store_of.cache_clear()
    with pytest.raises(UsageError, match="no credentials are set"):
        names(bucket)


def test_the_place_that_a_runs_results_go_to_is_no_input(bucket: str, four_shards: Path) -> None:
    whole = names(bucket)
    found = search(bucket, upload=f"{bucket}/a")
    assert [shard.name for shard in found.shards] == [name for name in whole if not name.startswith("a/")] != whole
    assert found.remarks == [
        f"'{bucket}/a' is left out ({len(whole) - len(found.shards)} .tar): it contains the output of a run."
    ]
    assert len(search(bucket, upload=f"{bucket}/a/00").shards) == len(whole)
    with pytest.raises(UsageError, match="choose another --outdir"):
        search(f"{bucket}/a", upload=f"{bucket}/a")
