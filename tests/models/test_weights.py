"""A fetched file is the published one, whole, whatever the server does; or there is a clear error and no half file."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub import DATA, FETCH, IMPORTS, OTHER, PAIR, SHA256, Hub, as_root, gets, visible

from pycurate.errors import ModelError, WeightsError
from pycurate.models.builtin.laion import HEADS
from pycurate.models.weights import Weights, fetch, fetch_pair, opened, opened_pair

pytestmark = pytest.mark.timeout(60)


def test_published_weights_are_opened_only_if_intact(hub: Hub, tmp_path: Path) -> None:
    published = Weights("head.pth", hub.serve("/head.pth", DATA), SHA256, len(DATA), "MIT")
    with (
        pytest.raises(ModelError, match=r"head\.pth is missing; .*models\.py fetch --scorer a:B --model-dir"),
        opened(published, tmp_path, "--scorer a:B"),
    ):
        pass
    assert fetch(published, tmp_path) == fetch(published, tmp_path) == tmp_path / "head.pth"
    assert hub.files["/head.pth"].starts == [0]
    (tmp_path / "head.pth").write_bytes(DATA[:-1])
    with (
        pytest.raises(ModelError, match=f"has SHA-256 .* instead of {SHA256}; delete it"),
        opened(published, tmp_path, "--scorer a:B"),
    ):
        pass
    fetch(published, tmp_path)
    with opened(published, tmp_path, "") as path:
        assert path.read_bytes() == DATA


def test_other_options_stand_where_the_first_did_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "of fetch --encoder A/b --model-dir"
    published = Weights("head.pth", "", SHA256, len(DATA), "MIT")
    with pytest.raises(WeightsError) as caught, opened(published, folder, "--encoder A/b"):
        pass
    told = str(caught.value.asking_for("--preset p"))
    before, call, after = told.split("`")
    assert before == f"{folder}/head.pth is missing; on a machine with network access, run " and after == "."
    assert shlex.split(call) == ["bin/models.py", "fetch", "--preset", "p", "--model-dir", str(folder)]


def read_pair(folder: Path) -> bytes:
    """What `opened_pair` gives."""
    with opened_pair(PAIR, folder) as path:
        return path.read_bytes()


@pytest.mark.usefixtures("source")
def test_hub_weights_keep_the_hash_that_the_hub_stated(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "models"
    with pytest.raises(ModelError, match=r"Model\.tag\.safetensors is missing; .*fetch --encoder Model/tag"):
        read_pair(folder)
    assert fetch_pair(PAIR, folder) == folder / "Model.tag.bin"
    assert read_pair(folder) == DATA
    assert visible(folder) == ["Model.tag.bin", "Model.tag.bin.sha256"]
    check = subprocess.run(["sha256sum", "-c", "Model.tag.bin.sha256"], cwd=folder, capture_output=True, check=False)
    assert check.returncode == 0
    (folder / "Model.tag.bin").unlink()
    (folder / "Model.tag.bin").write_bytes(b"altered")
    with pytest.raises(ModelError, match="has SHA-256"):
        read_pair(folder)
    # A hub that has another file now does not change what this folder holds.
    (folder / "Model.tag.bin").write_bytes(DATA)
    source.write_bytes(b"a newer file")
    fetch_pair(PAIR, folder)
    assert read_pair(folder) == DATA


@pytest.mark.usefixtures("source")
def test_a_hash_is_believed_whatever_the_umask_of_who_fetched_it(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        fetch_pair(PAIR, tmp_path / "models")
    finally:
        os.umask(before)
    assert read_pair(tmp_path / "models") == DATA


def test_processes_that_fetch_at_once_do_no_harm(hub: Hub, source: Path, tmp_path: Path) -> None:
    hub.serve(f"/store/{SHA256}", DATA, pause=0.002)
    env = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": IMPORTS}
    command = [sys.executable, "-c", FETCH, str(tmp_path / "models")]
    processes = [subprocess.Popen(command, env=env) for _ in range(3)]
    assert [process.wait(50) for process in processes] == [0, 0, 0]
    assert read_pair(tmp_path / "models") == DATA
    assert gets(hub) == [[0]]  # the others waited, and found it
    assert os.listdir(tmp_path / "models") == visible(tmp_path / "models")


def test_what_a_folder_beside_has_is_linked_and_not_fetched_again(hub: Hub, source: Path, tmp_path: Path) -> None:
    head = Weights("head.pth", hub.serve("/head.pth", DATA), SHA256, len(DATA), "MIT")
    one, other, third = (tmp_path / "home" / name for name in ("one", "other", "third"))
    first = [fetch_pair(PAIR, one), fetch(head, one)]
    shutil.rmtree(tmp_path / "cache")
    again = [fetch_pair(PAIR, other), fetch(head, other)]
    assert all(path.samefile(twin) for path, twin in zip(first, again, strict=True))
    assert gets(hub) == [[0], [0]]
    assert visible(other) == visible(one)
    for path in first:  # which a spoilt file is not, whatever the folder says of itself
        path.unlink()
        path.write_bytes(b"x" * len(DATA))
    (one / "Model.tag.bin.sha256").write_text(f"{hashlib.sha256(b'x' * len(DATA)).hexdigest()}  Model.tag.bin\n")
    for path in again:
        path.unlink()
    assert [fetch_pair(PAIR, third).read_bytes(), fetch(head, third).read_bytes()] == [DATA, DATA]
    assert gets(hub) == [[0, 0], [0, 0]]
    assert read_pair(third) == DATA


def test_without_a_network_no_folder_beside_is_believed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_pair(PAIR, tmp_path / "home" / "one")
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="the Hugging Face Hub does not answer"):
        fetch_pair(PAIR, tmp_path / "home" / "other")
    assert not list(tmp_path.glob("home/other/*"))


@as_root
def test_a_hash_that_another_user_wrote_is_asked_of_the_hub(source: Path, tmp_path: Path) -> None:
    """The other could have put weights of his own there with their hash."""
    folder = tmp_path / "home" / "models"
    path = fetch_pair(PAIR, folder)
    beside = path.with_name("Model.tag.bin.sha256")
    for plant in (lambda: os.chown(beside, OTHER, OTHER), lambda: beside.chmod(0o664)):
        path.unlink()
        path.write_bytes(b"planted")
        beside.write_text(f"{hashlib.sha256(b'planted').hexdigest()}  Model.tag.bin\n")
        plant()
        with pytest.raises(
            ModelError, match="may have been written by another user; on a machine with network access, run"
        ):
            read_pair(folder)
        fetch_pair(PAIR, folder)
        assert read_pair(folder) == DATA
        assert beside.stat().st_uid == os.geteuid() and beside.stat().st_mode & 0o777 == 0o644
    # Who names a folder trusts its owner.
    os.chown(beside, OTHER, OTHER)
    os.chown(folder.parent, OTHER, OTHER)
    assert read_pair(folder) == DATA


@pytest.mark.usefixtures("source")
def test_a_hash_of_another_file_says_nothing(tmp_path: Path) -> None:
    path = fetch_pair(PAIR, tmp_path / "models")
    path.with_name("Model.tag.bin.sha256").write_text(f"{SHA256}  Other.tag.bin\n")
    with pytest.raises(ModelError, match=r"sha256 does not state the hash of Model\.tag\.bin"):
        read_pair(tmp_path / "models")


def test_what_lies_beside_is_passed_by_if_it_is_no_file_that_can_be_read(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "a" / "file").mkdir(parents=True)
    for name, target in (("b", "nothing"), ("c", "blob"), ("d", "/dev/zero")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").symlink_to(target)
    (tmp_path / "e").mkdir()
    os.mkfifo(tmp_path / "e" / "file")  # to open it would wait for ever
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "file").write_bytes(b"x" * len(DATA))
    weights = Weights("file", hub.serve("/file", DATA), SHA256, len(DATA), "MIT")
    assert fetch(weights, tmp_path / "own").read_bytes() == DATA
    assert gets(hub) == [[0]]
    (tmp_path / "own" / "file").unlink()
    (tmp_path / "c" / "blob").write_bytes(DATA)
    assert fetch(weights, tmp_path / "own").samefile(tmp_path / "c" / "blob")
    assert not (tmp_path / "own" / "file").is_symlink()
    assert gets(hub) == [[0]]


def test_a_folder_named_by_a_dot_has_folders_beside_it(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("own", "own/within", "beside"):
        (tmp_path / name).mkdir()
    (tmp_path / "beside" / "file").write_bytes(DATA)
    (tmp_path / "own" / "within" / "other").write_bytes(DATA)
    monkeypatch.chdir(tmp_path / "own")
    for name in ("file", "other"):
        fetch(Weights(name, hub.serve("/other", DATA), SHA256, len(DATA), "MIT"), Path())
    assert gets(hub) == [[0]]
    assert Path("file").samefile(tmp_path / "beside" / "file")


def test_published_hashes_and_sizes_are_those_of_the_files(shared: Path) -> None:
    for head in HEADS:
        for published in head.weights:
            with opened(published, shared / "heads", "") as path:
                assert path.stat().st_size == published.size
            assert published.url.startswith("https://")
            assert published.url.split("/")[-1].replace("%2B", "+") == published.file
