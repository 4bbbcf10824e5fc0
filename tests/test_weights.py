"""A fetched file is the published one, whole, whatever the server does; or there is a clear error and no half file."""

import hashlib
import random
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hub import Hub, running_hub

from pycurate.choice import choose_models
from pycurate.download import download
from pycurate.errors import ModelError
from pycurate.files import adopt
from pycurate.heads import HEADS
from pycurate.model_setup import FETCHED, fetch_models
from pycurate.presets import load_class
from pycurate.weights import HubWeights, Weights, fetch, fetch_pair, locate, locate_pair

DATA = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
PAIR = HubWeights("Model/tag", "someone/model", ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"))

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


def bring(url: str, path: Path) -> None:
    """Fetch DATA, with little patience."""
    download(url, path, SHA256, len(DATA), timeout=1, pause=0.01)


def visible(folder: Path) -> list[str]:
    """The files that a glob over finished files finds."""
    return sorted(path.name for path in folder.glob("[!.]*"))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"ranges": False},
        {"cut": 100_000},
        {"failures": 3},
        {"claim": 1_000_000},  # says more than it has
        {"pause": 0.001},
    ],
    ids=["well", "no ranges", "breaks off twice", "503 at first", "claims too much", "slow"],
)
def test_the_file_arrives(hub: Hub, tmp_path: Path, how: dict) -> None:
    bring(hub.serve("/file", DATA, **how), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert visible(tmp_path) == ["file"]
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    ("data", "how", "message"),
    [
        (b"x" * len(DATA), {}, "has SHA-256"),
        (DATA[:-1] + b"x", {}, "has SHA-256"),
        (DATA[:1000], {}, "broke off"),
        (DATA, {"claim": 1000}, "broke off"),  # says less than it has, and closes there
        (DATA, {"pause": 2}, "broke off"),  # a trickle
        (DATA, {"failures": 99}, "broke off .* 503"),
        (b"", {}, "broke off"),
    ],
    ids=["other bytes", "one byte wrong", "cut for good", "claims too little", "trickle", "always 503", "empty"],
)
def test_a_bad_server_ends_in_an_error_and_no_half_file(
    hub: Hub, tmp_path: Path, data: bytes, how: dict, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        bring(hub.serve("/file", data, **how), tmp_path / "file")
    assert visible(tmp_path) == []


def test_more_bytes_than_published_are_not_read(hub: Hub, tmp_path: Path) -> None:
    bring(hub.serve("/file", DATA + b"more"), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA


def test_an_address_that_does_not_exist_is_asked_once(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="404"):
        bring(f"{hub.url}/nothing", tmp_path / "file")
    assert visible(tmp_path) == []


def test_nobody_there(tmp_path: Path) -> None:
    with running_hub() as gone:
        url = gone.url
    with pytest.raises(ModelError, match="broke off"):
        bring(f"{url}/file", tmp_path / "file")


def test_a_later_process_goes_on_where_an_earlier_one_broke_off(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="go on from there"):
        bring(hub.serve("/file", DATA[:200_000]), tmp_path / "file")
    url = hub.serve("/file", DATA)
    bring(url, tmp_path / "file")
    assert hub.files["/file"].starts == [200_000]
    assert (tmp_path / "file").read_bytes() == DATA


def test_what_had_arrived_is_thrown_away_if_it_was_wrong(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / ".file.part").write_bytes(b"x" * 200_000)
    bring(hub.serve("/file", DATA), tmp_path / "file")
    assert hub.files["/file"].starts == [200_000, 0]
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_file_that_is_there_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    url = hub.serve("/file", DATA)
    bring(url, tmp_path / "file")
    bring(url, tmp_path / "file")
    assert hub.files["/file"].starts == [0]


def test_a_spoilt_file_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"spoilt")
    bring(hub.serve("/file", DATA), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA


def test_processes_that_fetch_at_once_do_no_harm(hub: Hub, tmp_path: Path) -> None:
    url = hub.serve("/file", DATA, pause=0.002)
    code = "import sys, pathlib; from pycurate.download import download as d; a = sys.argv; "
    code += "d(a[1], pathlib.Path(a[2]), a[3], int(a[4]))"
    command = [sys.executable, "-c", code, url, str(tmp_path / "file"), SHA256, str(len(DATA))]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(50) for process in processes] == [0, 0, 0]
    assert (tmp_path / "file").read_bytes() == DATA
    assert hub.files["/file"].starts == [0]  # the others waited, and found it


def test_published_weights_are_located_only_if_intact(hub: Hub, tmp_path: Path) -> None:
    published = Weights("head.pth", hub.serve("/head.pth", DATA), SHA256, len(DATA), "MIT")
    with pytest.raises(ModelError, match=r"head\.pth is missing; .*models\.py fetch --scorer a:B --model-dir"):
        locate(published, tmp_path, "--scorer a:B")
    assert fetch(published, tmp_path) == locate(published, tmp_path, "--scorer a:B") == tmp_path / "head.pth"
    (tmp_path / "head.pth").write_bytes(DATA[:-1])
    with pytest.raises(ModelError, match=f"has SHA-256 .* where {SHA256} is due; delete it"):
        locate(published, tmp_path, "--scorer a:B")
    fetch(published, tmp_path)
    assert locate(published, tmp_path, "").read_bytes() == DATA


def test_hub_weights_keep_the_hash_that_the_hub_stated(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    hub.store("someone/model", "open_clip_pytorch_model.bin", source)  # no safetensors there
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    folder = tmp_path / "models"
    with pytest.raises(ModelError, match=r"Model\.tag\.safetensors is missing; .*fetch --encoder Model/tag"):
        locate_pair(PAIR, folder)
    assert fetch_pair(PAIR, folder) == locate_pair(PAIR, folder) == folder / "Model.tag.bin"
    assert visible(folder) == ["Model.tag.bin", "Model.tag.bin.sha256"]
    check = subprocess.run(["sha256sum", "-c", "Model.tag.bin.sha256"], cwd=folder, capture_output=True, check=False)
    assert check.returncode == 0
    (folder / "Model.tag.bin").write_bytes(b"altered")
    with pytest.raises(ModelError, match="has SHA-256"):
        locate_pair(PAIR, folder)
    # A hub that has another file now does not change what this folder holds.
    (folder / "Model.tag.bin").write_bytes(DATA)
    source.write_bytes(b"a newer file")
    assert fetch_pair(PAIR, folder).read_bytes() == DATA


def test_what_a_folder_beside_has_is_linked_and_not_fetched_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    hub.store("someone/model", "open_clip_pytorch_model.bin", source)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    head = Weights("head.pth", hub.serve("/head.pth", DATA), SHA256, len(DATA), "MIT")
    one, other, third = (tmp_path / "home" / name for name in ("one", "other", "third"))
    first = [fetch_pair(PAIR, one), fetch(head, one)]
    again = [fetch_pair(PAIR, other), fetch(head, other)]
    assert all(path.samefile(twin) for path, twin in zip(first, again, strict=True))
    assert [served.starts for served in hub.files.values()] == [[0], [0]]
    assert visible(other) == visible(one)
    for path in first:  # which a spoilt file is not
        path.unlink()
        path.write_bytes(b"spoilt")
    for path in again:
        path.unlink()
    assert [fetch_pair(PAIR, third).read_bytes(), fetch(head, third).read_bytes()] == [DATA, DATA]
    assert [served.starts for served in hub.files.values()] == [[0, 0], [0, 0]]
    assert [path.read_bytes() for path in first] == [b"spoilt", b"spoilt"]


def test_what_lies_beside_is_passed_by_if_it_is_no_file_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a" / "file").mkdir(parents=True)
    for name, target in (("b", "nothing"), ("c", "blob")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").symlink_to(target)
    assert not adopt(tmp_path / "own" / "file", SHA256) and not (tmp_path / "own").exists()
    (tmp_path / "c" / "blob").write_bytes(DATA)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "file").write_bytes(b"spoilt")
    assert adopt(tmp_path / "own" / "file", SHA256)
    assert (tmp_path / "own" / "file").samefile(tmp_path / "c" / "blob")
    assert not (tmp_path / "own" / "file").is_symlink()


def test_a_folder_named_by_a_dot_has_folders_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("own", "own/within", "beside"):
        (tmp_path / name).mkdir()
    (tmp_path / "beside" / "file").write_bytes(DATA)
    (tmp_path / "own" / "within" / "other").write_bytes(DATA)
    monkeypatch.chdir(tmp_path / "own")
    assert adopt(Path("file"), SHA256) and not adopt(Path("other"), SHA256)


def test_a_hub_without_the_files(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    with pytest.raises(ModelError, match=r"has none of open_clip_model\.safetensors, open_clip_pytorch_model\.bin"):
        fetch_pair(PAIR, tmp_path)


def test_published_hashes_and_sizes_are_those_of_the_files(shared: Path) -> None:
    for head in HEADS:
        for published in head.weights:
            path = locate(published, shared / "heads", "")
            assert path.stat().st_size == published.size
            assert published.url.startswith("https://")
            assert published.url.split("/")[-1].replace("%2B", "+") == published.file


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a connection or for an address fails the test."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


ENCODER = ("ViT-L-14.openai.safetensors", "--encoder ViT-L-14/openai")
HEAD = ("clip_autokeras_binary_nsfw.zip", "--encoder ViT-L-14/openai --scorer pycurate.heads:NsfwL14")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("script", "words", "missing"),
    [
        ("models", ["fetch", "--offline", "--preset", "clip-l14"], ENCODER),
        ("embed", ["--preset", "clip-l14"], ENCODER),
        ("score", ["--preset", "clip-l14", "--no-aesthetic"], HEAD),
        ("score", ["--preset", "clip-l14", "--no-aesthetic", "--no-nsfw", "--clip-score"], ENCODER),
    ],
)
def test_without_a_network_the_missing_file_is_named_and_the_command_that_brings_it(
    root: Path, tmp_path: Path, script: str, words: list[str], missing: tuple[str, str]
) -> None:
    command = runpy.run_path(str(root / "bin" / f"{script}.py"))["main"]
    found = CliRunner().invoke(command, [*words, "--model-dir", str(tmp_path / "models")])
    file, options = missing
    assert found.exit_code == 1
    assert f"{tmp_path}/models/{file} is missing" in found.output
    assert f"run `bin/models.py fetch {options} --model-dir {tmp_path}/models`" in found.output
    assert visible(tmp_path / "models") == []


@pytest.mark.usefixtures("no_network")
def test_what_is_there_needs_no_network(shared: Path, tmp_path: Path) -> None:
    for name in ("sac+logos+ava1-l14-linearMSE.pth", "clip_autokeras_binary_nsfw.zip"):
        shutil.copy(shared / "heads" / name, tmp_path)
    models = choose_models("clip-l14", tmp_path, device="cpu")
    for spec in models.scorers:
        for published in load_class(spec).weights:
            fetch(published, tmp_path)
    assert [scorer.name for scorer in models.load_embedding_scorers()] == ["aesthetic", "nsfw"]


def test_a_fetch_leaves_a_list_that_sha256sum_reads_and_changes_nothing_the_second_time(tmp_path: Path) -> None:
    models = choose_models("light", tmp_path, device="cpu")
    fetch_models(models, offline=False)
    check = subprocess.run(["sha256sum", "-c", FETCHED], cwd=tmp_path, capture_output=True, text=True)
    assert check.returncode == 0 and check.stdout.count(": OK") == len(visible(tmp_path)) - 1 == 1
    before = tmp_path.stat().st_mtime_ns
    fetch_models(models, offline=False)
    assert tmp_path.stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_written_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = runpy.run_path(str(root / "bin" / "models.py"))["main"]
    found = CliRunner().invoke(command, ["fetch", "--model-dir", str(tmp_path / "file" / "models")])
    assert found.exit_code == 1 and found.output.count("\n") == 1
    assert f"{tmp_path}/file/models cannot be written" in found.output
