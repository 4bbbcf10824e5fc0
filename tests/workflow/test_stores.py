"""The same shards in a folder, on a web server and in S3 give the same tables and tars, whatever a server does."""

import json
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pytest
from by_hand import CLASSES, MODELS
from curated import finished, plan_output
from flows import Flow, inspected, pycurate, tasks
from s3 import S3, SECRET
from tars import jpeg, write_tar
from web import web_server

from pycurate.results.manifest import read_manifest
from pycurate.results.tables import read_table
from pycurate.stages.write import write_curated
from pycurate.stores import file, store
from scripts import said

KINDS = ("*_emb/*.npy", "samples/*.parquet", "decisions.parquet", "curated/*.tar", "curated/*.parquet")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small requests, and short waits between tries."""
    from datetime import timedelta

    soon = {"init_backoff": timedelta(milliseconds=5), "base": 2, "max_backoff": timedelta(milliseconds=20)}
    monkeypatch.setattr(store, "RETRY", store.RETRY | {"backoff": soon})
    monkeypatch.setattr(file, "PIECE", 100_000)


def by_hand(folder: Path, source: object, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Curate with the scripts, in a folder; what they leave, by name."""
    folder.mkdir()
    (folder / "own.py").write_text(CLASSES)
    monkeypatch.chdir(folder)
    said("partition", "--input", source, "--partition-bytes", "1")
    said("embed", *MODELS)
    said("score", *MODELS)
    said("decide", "--no-dedup", "--images-per-tar", "8", "--min-score", "bright=110")
    said("write")
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for kind in KINDS for path in folder.glob(kind)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_server_that_fails_as_servers_do_changes_no_byte(
    shards: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_hand(tmp_path / "folder", shards, monkeypatch)
    kept = read_table(tmp_path / "folder" / "decisions.parquet").filter(pc.field("kept"))
    assert kept.num_rows and len(expected) > 8
    total = sum(path.stat().st_size for path in shards.glob("*.tar"))
    faults: list[dict[str, object]] = [{}, {"cut": 3}, {"busy": [503, 429, 503] * 3}, {"pause": 0.001}]
    for number, fault in enumerate(faults):
        with web_server(shards) as web:
            vars(web).update(fault)
            assert by_hand(tmp_path / str(number), f"{web.url}/{{00000..00001}}.tar", monkeypatch) == expected, fault
            if not fault:
                read = sum(web.sent.values())
                wanted = sum(path.stat().st_size for path in (tmp_path / "0").glob("curated/*.tar"))
                assert read <= 1.01 * total + 1.5 * wanted


def test_a_shard_that_changes_while_it_is_read_is_an_error(
    shards: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(CLASSES)
    monkeypatch.chdir(tmp_path)
    with web_server(shards) as web:
        said("partition", "--input", f"{web.url}/00000.tar")
        web.changes = 3
        assert "was replaced after it had been listed" in said("embed", *MODELS, code=1)
    assert not list(tmp_path.glob("samples/*"))


@pytest.mark.parametrize("size", [3_000, 100_000])
def test_a_tenth_of_a_set_takes_little_more_than_a_tenth_of_its_bytes(tmp_path: Path, size: int) -> None:
    shards = tmp_path / "shards"
    data = jpeg(0) + bytes(size)
    write_tar(shards / "0.tar", [(f"{key:04}.jpg", data) for key in range(300)])
    keep = {("0.tar", f"{key:04}") for key in range(300) if key * 7919 % 300 < 30}
    tars = []
    with web_server(shards) as web:
        for source, results in ((str(shards), tmp_path / "a"), (f"{web.url}/0.tar", tmp_path / "b")):
            decisions = finished(source, results, keep)
            web.sent.clear()
            plan_output(results, decisions, 15, 1)
            write_curated(results)
            tars.append([path.read_bytes() for path in sorted(results.glob("curated/*.tar"))])
        assert tars[0] == tars[1] and len(tars[0]) == 2
        total = (shards / "0.tar").stat().st_size
        assert 0 < web.sent["/0.tar"] <= 0.15 * total


def test_a_run_from_s3_to_s3_is_one_on_folders_and_tells_no_secret(
    undisturbed: Flow, shards: Path, s3: S3, tmp_path: Path
) -> None:
    s3.fill("curate", shards, "some/shards/")
    options = list(undisturbed.options)
    options[options.index("--input") + 1] = "s3://curate/some/shards/*.tar"
    s3.fill("kept")
    s3.client.put_object(Bucket="kept", Key="a set/curated/99999.tar", Body=b"of an earlier run")
    flow = Flow(tmp_path, tuple(options), outdir="s3://kept/a set")
    flow.succeed("--dali_index", "true")
    assert contents(flow.out) == contents(undisturbed.out)
    uploaded = s3.contents("kept", "a set/")
    assert {name: uploaded[name] for name in contents(flow.out)} == contents(undisturbed.out)
    listed = [*read_manifest(flow.out), "manifest.tsv"]
    assert uploaded == {name: (flow.out / name).read_bytes() for name in listed}
    assert "Curated shards: s3://kept/a set/curated " in flow.text

    # Whoever looks at the results reads the shards where they are.
    row = read_table(flow.out / "decisions.parquet").filter(pc.field("kept")).slice(0, 1).to_pylist()[0]
    inspected(flow.out, row["uid"], "--extract", tmp_path / "one")
    refiltered = pycurate("refilter", flow.out, "--images-per-tar", 1000, "--write", tmp_path / "again")
    assert refiltered.returncode == 0, refiltered.stderr

    estimated = pycurate("estimate", "--input-path", "s3://curate/some", "--images-per-second", 100, "--json")
    assert json.loads(estimated.stdout)["samples"]["value"] == read_table(flow.out / "decisions.parquet").num_rows

    secret = SECRET.encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".tar"]
    assert not [path for path in files if secret in path.read_bytes()]

    # Another object in the place of one shard: that one is embedded again, and no other.
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(shards / "00000.tar", other / "00001.tar")
    s3.fill("curate", other, "some/shards/")
    s3.client.put_object(Bucket="kept", Key="a set/report.html", Body=b"another's")
    s3.client.delete_object(Bucket="kept", Key="a set/img_emb/img_emb_00000.npy")
    flow.succeed("--dali_index", "true", "-resume")
    assert tasks(flow, "CACHED") >= {"EMBED", "UPLOAD_TASK"} and tasks(flow, "COMPLETED") >= {"EMBED"}
    listed = [*read_manifest(flow.out), "manifest.tsv"]
    assert s3.contents("kept", "a set/") == {name: (flow.out / name).read_bytes() for name in listed}
    assert not [key for key, data in s3.contents("kept").items() if secret in data]
