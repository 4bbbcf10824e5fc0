"""`pycurate verify` finds whatever is not as a run left it, and nothing else."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from flows import pycurate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_run import make_run, standard_rows

from pycurate.errors import TableError
from pycurate.results.layout import KINDS
from pycurate.results.manifest import LISTED, listed, read_manifest, refreshed, write_manifest
from pycurate.review.verify import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a manifest. Do not write there."""
    results = make_run(tmp_path_factory.mktemp("made"), standard_rows()[:30])
    (results / "curated" / "mine.txt").write_text("a note")
    (results / "notes.md").write_text("another")
    write_manifest(results, refreshed(results, {}))
    return results


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """The same, to spoil."""
    shutil.copytree(made, tmp_path / "results")
    return tmp_path / "results"


def found(results: Path, quick: bool = False) -> dict[str, str]:
    return {deviation.name: deviation.what for deviation in verify(results, read_manifest(results), quick)}


def test_the_manifest_lists_every_file_as_it_is(made: Path) -> None:
    entries = read_manifest(made)
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    apart = {"manifest.tsv", "notes.md", "curated/mine.txt", *(name for name in files if name.startswith("times/"))}
    assert entries.keys() == files - apart and len(entries) > 10
    for name, entry in entries.items():
        data = (made / name).read_bytes()
        assert (entry.bytes, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert found(made) == {}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_happens_to_a_file_is_found(made: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(read_manifest(made))))
    path, whole = made / name, (made / name).read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(0, len(whole) - 1))
    try:
        path.write_bytes(whole[:cut])
        assert found(made)[name].startswith("truncated: ") and found(made, quick=True).keys() == {name}
        path.write_bytes(whole[:flip] + bytes([whole[flip] ^ 1]) + whole[flip + 1 :])
        assert found(made, quick=True) == {} and found(made) == {name: "changed: its SHA-256 differs"}
        path.write_bytes(whole + b"\0")
        assert found(made)[name].startswith("changed: ")
        path.unlink()
        assert found(made) == {name: "missing"}
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("kind", LISTED, ids=lambda kind: kind.name)
def test_what_another_run_left_is_found_and_a_file_of_ones_own_is_not(results: Path, kind: object) -> None:
    path = kind.path(results, "0000999")  # type: ignore[attr-defined]
    name = path.relative_to(results).as_posix()
    if name in read_manifest(results):
        return
    path.parent.mkdir(exist_ok=True)
    path.write_text("old")
    assert listed(name) and found(results) == {name: "left over from another run"}
    path.rename(path.with_name(f"my_{path.name}"))
    assert found(results) == {}


def test_every_way_to_deviate_is_told_with_the_name_and_fails(results: Path) -> None:
    os.truncate(results / "curated" / "00000.tar", 1000)
    (results / "decisions.parquet").write_bytes(bytes((results / "decisions.parquet").stat().st_size))
    (results / "curated" / "00001.parquet").unlink()
    (results / "curated" / "00077.tar").write_text("old")
    size = (read_manifest(results)["curated/00000.tar"]).bytes
    done = pycurate("verify", results)
    assert done.returncode == 1
    assert sorted(done.stdout.splitlines()) == [
        "curated/00000.tar: truncated: 1,000 of " + f"{size:,} bytes",
        "curated/00001.parquet: missing",
        "curated/00077.tar: left over from another run",
        "decisions.parquet: changed: its SHA-256 differs",
    ]
    assert "4 deviations" in done.stderr and "-resume" in done.stderr and done.stderr.count("\n") == 1
    assert len(pycurate("verify", results, "--quick").stdout.splitlines()) == 3


def test_sound_results_are_said_to_be_sound(made: Path) -> None:
    done = pycurate("verify", made)
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.startswith(f"{len(read_manifest(made))} files, ")


@pytest.mark.parametrize(
    "text", ["", "name\tbytes\n", "name\tbytes\tsha256\n../x\t1\tab\n", "name\tbytes\tsha256\nsummary.json\tx\tab\n"]
)
def test_a_manifest_that_no_run_wrote_is_refused(results: Path, text: str) -> None:
    KINDS["manifest"].path(results).write_text(text)
    with pytest.raises(TableError, match=r"manifest\.tsv cannot be read"):
        list(verify(results, read_manifest(results)))
    KINDS["manifest"].path(results).unlink()
    done = pycurate("verify", results)
    assert done.returncode == 1 and "-resume" in done.stderr
