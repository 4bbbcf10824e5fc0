"""UPLOAD: a store that holds what a run left, whatever was there before."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from s3 import S3

from pycurate.errors import ManifestError
from pycurate.results.manifest import Entry, entry_of, write_manifest
from pycurate.stages.upload import begin, finish, upload_task
from scripts import said

FILES = {
    "curated/00000.tar": b"tar" * 1000,
    "curated/00000.parquet": b"table",
    "decisions.parquet": b"",
    "report.html": b"page",
    "summary.json": b"{}",
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of results with a manifest."""
    folder = tmp_path / "results"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_manifest(folder, entries(folder))
    return folder


@pytest.fixture
def address(s3: S3, request: pytest.FixtureRequest) -> str:
    name = f"results-{abs(hash(request.node.name))}"
    s3.fill(name)
    return f"s3://{name}/some/set"


def entries(folder: Path, *names: str) -> list[Entry]:
    return [entry_of(folder, folder / name) for name in names or FILES]


def there(s3: S3, address: str) -> dict[str, bytes]:
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return s3.contents(bucket, f"{prefix}/")


def record(results: Path, *names: str) -> Path:
    """What a task leaves that made these files."""
    path = results / "times" / "WRITE_00000.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"files": [asdict(entry) for entry in entries(results, *names)]}))
    return path


def test_a_store_gets_what_the_manifest_lists_once(results: Path, address: str, s3: S3) -> None:
    begin(address)
    tar = record(results, "curated/00000.tar", "curated/00000.parquet")
    assert [entry.name for entry in upload_task(tar, address)] == ["curated/00000.tar", "curated/00000.parquet"]
    assert upload_task(tar, address) == []
    assert [entry.name for entry in finish(results, address)] == ["decisions.parquet", "report.html"]
    assert there(s3, address) == FILES | {"manifest.tsv": (results / "manifest.tsv").read_bytes()}
    assert finish(results, address) == []


def test_until_all_is_there_nothing_says_so(results: Path, address: str, s3: S3) -> None:
    (results / "pipeline_info").mkdir()
    (results / "pipeline_info" / "parameters.yaml").write_text("of an earlier run")
    finish(results, address)
    assert "pipeline_info/parameters.yaml" in there(s3, address)
    begin(address)
    assert set(there(s3, address)) == FILES.keys() - {"summary.json"}
    (results / "report.html").write_bytes(b"epag")  # after the manifest was written
    s3.client.delete_object(Bucket=address.split("/")[2], Key="some/set/report.html")
    with pytest.raises(ManifestError, match=r"report\.html was changed"):
        finish(results, address)
    assert not {"summary.json", "manifest.tsv", "report.html"} & there(s3, address).keys()


def test_what_others_left_under_a_runs_names_is_replaced_or_removed(results: Path, address: str, s3: S3) -> None:
    finish(results, address)
    bucket = address.split("/")[2]
    changed = {
        "curated/00000.tar": b"Tar" * 1000,
        "decisions.parquet": b"x",
        "curated/00001.tar": b"old",
        "scores/scores_00007.parquet": b"",
        ".pycurate-0d8d0a4e-3a1c-4f4b-9c53-1b8b5f2f9a11.tmp": b"",
    }
    theirs = {"notes.txt": b"mine", "curated/readme.md": b"mine", "curated/00001.tar.bak": b"mine"}
    for key, content in (changed | theirs).items():
        s3.client.put_object(Bucket=bucket, Key=f"some/set/{key}", Body=content)
    assert [entry.name for entry in finish(results, address)] == ["curated/00000.tar", "decisions.parquet"]
    assert there(s3, address) == FILES | theirs | {"manifest.tsv": (results / "manifest.tsv").read_bytes()}


def test_what_its_owner_alone_may_read_stays_here(results: Path, address: str, s3: S3) -> None:
    (results / "blocked.parquet").write_bytes(b"hashes")
    write_manifest(results, entries(results, *FILES, "blocked.parquet"))
    s3.client.put_object(Bucket=address.split("/")[2], Key="some/set/blocked.parquet", Body=b"of an earlier version")
    assert [entry.name for entry in upload_task(record(results, "blocked.parquet", "report.html"), address)] == [
        "report.html"
    ]
    finish(results, address)
    assert there(s3, address).keys() == FILES.keys() | {"manifest.tsv"}


def test_the_script(results: Path, address: str, s3: S3) -> None:
    tar = record(results, "curated/00000.tar")
    said("upload", "begin", "--to", address)
    said("upload", "task", "--to", f"{address}/", "--record", tar)
    said("upload", "end", "--to", address, "--results", results)
    assert there(s3, address).keys() == FILES.keys() | {"manifest.tsv"}
    missing = said("upload", "task", "--to", "s3://no-such-bucket", "--record", tar, code=1)
    assert "s3://no-such-bucket/curated/00000.tar cannot be" in missing


@pytest.mark.parametrize("step", ["begin", "end"])
def test_a_path_is_no_address_to_upload_to(step: str) -> None:
    assert "--to foo is not an address; give s3://" in said("upload", step, "--to", "foo", code=2)
