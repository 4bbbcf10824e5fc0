"""A fetched file is the published one, whole, whatever the server does; or there is a clear error and no half file."""

import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Hub, running_hub

from pycurate.errors import ModelError, StorageError
from pycurate.models.builtin.laion import HEADS
from pycurate.models.download import download
from pycurate.models.fetch import FETCHED, fetch_models
from pycurate.models.selection import select_models
from pycurate.models.weights import HubWeights, Weights, fetch, fetch_pair, opened, opened_pair
from pycurate.plugins import load_class
from scripts import called

IMPORTS = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1] / "support")))

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
        {"cut": 100_000, "cuts": 2},
        {"failures": 3},
        {"claim": 1_000_000},  # says more than it has
        {"pause": 0.001},
    ],
    ids=["well", "breaks off twice", "503 at first", "claims too much", "slow"],
)
def test_the_file_arrives(hub: Hub, tmp_path: Path, how: dict) -> None:
    bring(hub.serve("/file", DATA, **how), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("data", "how", "message"),
    [
        (b"x" * len(DATA), {}, "has SHA-256"),
        (DATA[:-1] + b"x", {}, "has SHA-256"),
        (DATA[:1000], {}, "broke off"),
        (DATA, {"claim": 1000}, "broke off"),  # says less than it has, and closes there
        (DATA, {"pause": 2}, "broke off"),  # a trickle
        (DATA, {"pause": 0.3}, "broke off, since"),  # one that is never silent
        (DATA, {"failures": 99}, "broke off .* 503"),
        (b"", {}, "broke off"),
    ],
    ids=["other bytes", "one byte wrong", "cut", "claims too little", "trickle", "drops", "always 503", "empty"],
)
def test_a_bad_server_ends_in_an_error_and_no_half_file(
    hub: Hub, tmp_path: Path, data: bytes, how: dict, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        bring(hub.serve("/file", data, **how), tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_more_bytes_than_published_are_not_read(hub: Hub, tmp_path: Path) -> None:
    bring(hub.serve("/file", DATA + b"more"), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA


def test_an_address_that_does_not_exist_is_asked_once(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="404"):
        bring(f"{hub.url}/nothing", tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_nobody_there(tmp_path: Path) -> None:
    with running_hub() as gone:
        url = gone.url
    with pytest.raises(ModelError, match="broke off"):
        bring(f"{url}/file", tmp_path / "file")


def test_a_disk_that_takes_no_more_is_not_taken_for_a_bad_connection(hub: Hub, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match="File too large"):
            bring(hub.serve("/file", DATA), tmp_path / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert hub.files["/file"].starts == [0]
    assert os.listdir(tmp_path) == []


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
        pytest.raises(ModelError, match=f"has SHA-256 .* where {SHA256} is due; delete it"),
        opened(published, tmp_path, "--scorer a:B"),
    ):
        pass
    fetch(published, tmp_path)
    with opened(published, tmp_path, "") as path:
        assert path.read_bytes() == DATA


def read_pair(folder: Path) -> bytes:
    """What `opened_pair` gives."""
    with opened_pair(PAIR, folder) as path:
        return path.read_bytes()


@pytest.fixture
def source(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file behind PAIR's weights on a hub, which has no safetensors; this user's cache of it is empty."""
    path = tmp_path / "source"
    path.write_bytes(DATA)
    hub.store("someone/model", "open_clip_pytorch_model.bin", path)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return path


def gets(hub: Hub) -> list[list[int]]:
    """From what byte on each of the served files was sent."""
    return [served.starts for served in hub.files.values()]


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


def test_a_connection_that_breaks_is_made_anew_and_goes_on(hub: Hub, source: Path, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(25 << 20)  # the hub's library goes on in steps of ten megabytes
    source.write_bytes(data)
    hub.serve(f"/store/{hashlib.sha256(data).hexdigest()}", data, cut=15 << 20, cuts=1)
    assert fetch_pair(PAIR, tmp_path / "models").read_bytes() == data
    assert gets(hub) == [[0, 10 << 20]]


def test_a_hub_that_is_out_of_order_for_a_moment(
    hub: Hub, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycurate.models.hub.PAUSES", (0.01, 0.01, 0.01))
    served = f"/store/{SHA256}"
    hub.serve(served, DATA, failures=2)
    assert fetch_pair(PAIR, tmp_path / "models").read_bytes() == DATA
    hub.files[served].failures = 99
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ModelError, match=r"cannot be fetched from the model hub \(.*503.*\); run the same command"):
        fetch_pair(PAIR, tmp_path / "others" / "models")


@pytest.mark.parametrize("data", [b"x" * len(DATA), DATA[:-1] + b"x"], ids=["other bytes", "one byte wrong"])
def test_a_hub_that_sends_other_bytes_than_it_states_is_refused(
    hub: Hub, source: Path, tmp_path: Path, data: bytes
) -> None:
    hub.serve(f"/store/{SHA256}", data)
    with pytest.raises(ModelError, match=f"has not the SHA-256 {SHA256} that the model hub states") as refused:
        fetch_pair(PAIR, tmp_path / "models")
    assert gets(hub) == [[0, 0]]  # once more, since the cache may have been spoilt
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("models/*"))


def test_who_has_the_weights_in_the_hubs_cache_fetches_nothing(
    hub: Hub, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache as huggingface_hub itself fills it, with a token; then as it is found where nobody answers."""
    from huggingface_hub import hf_hub_download

    hub.token = "hf_secret"
    with pytest.raises(ModelError, match="hf auth login") as gated:
        fetch_pair(PAIR, tmp_path / "models")
    assert "\n" not in str(gated.value)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hf_hub_download("someone/model", PAIR.names[1], endpoint=hub.url)
    assert fetch_pair(PAIR, tmp_path / "models").read_bytes() == DATA
    (blob,) = (tmp_path / "cache").rglob("blobs/*")
    assert blob.samefile(tmp_path / "models" / "Model.tag.bin")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    assert fetch_pair(PAIR, tmp_path / "without" / "models").read_bytes() == DATA
    assert gets(hub) == [[0]]
    blob.unlink()
    blob.write_bytes(b"spoilt")
    with pytest.raises(ModelError, match="has not the SHA-256"):
        fetch_pair(PAIR, tmp_path / "spoilt" / "models")
    assert not list(tmp_path.glob("spoilt/models/*"))


def test_the_hubs_own_switch_is_heeded(hub: Hub, source: Path, tmp_path: Path) -> None:
    code = "from test_weights import *; fetch_pair(PAIR, Path(sys.argv[1]))"
    env = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": IMPORTS,
    }
    command = [sys.executable, "-c", code, str(tmp_path / "models")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "ModelError: the model hub does not answer for someone/model" in done.stderr
    assert gets(hub) == []


FETCH = "import sys; from test_weights import *; fetch_pair(PAIR, Path(sys.argv[1]))"


def test_processes_that_fetch_at_once_do_no_harm(hub: Hub, source: Path, tmp_path: Path) -> None:
    hub.serve(f"/store/{SHA256}", DATA, pause=0.002)
    env = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": IMPORTS}
    command = [sys.executable, "-c", FETCH, str(tmp_path / "models")]
    processes = [subprocess.Popen(command, env=env) for _ in range(3)]
    assert [process.wait(50) for process in processes] == [0, 0, 0]
    assert read_pair(tmp_path / "models") == DATA
    assert gets(hub) == [[0]]  # the others waited, and found it
    assert os.listdir(tmp_path / "models") == visible(tmp_path / "models")


# --- what others may have put there


OTHER = 12345  # another user
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


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
    with pytest.raises(ModelError, match="the model hub does not answer"):
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
        with pytest.raises(ModelError, match="may have been written by another user; where there is a network, run"):
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
    with pytest.raises(ModelError, match=r"sha256 does not say what Model\.tag\.bin should be"):
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


@pytest.mark.parametrize("target", ["file", "nothing"])
def test_a_planted_link_is_not_written_through(tmp_path: Path, target: str) -> None:
    """As a lock or as the file itself, to what is there or what is not."""
    folder, victim = tmp_path / "models", tmp_path / target
    (tmp_path / "file").write_text("precious")
    folder.mkdir()
    (folder / FETCHED).symlink_to(victim)
    fetch_models(select_models("light", folder, device="cpu"), offline=False)
    assert not (folder / FETCHED).is_symlink()
    (folder / ".lock").unlink()
    (folder / ".lock").symlink_to(victim)
    with pytest.raises(ModelError, match=r"cannot be written .*symbolic links.*name a folder of your own"):
        fetch_models(select_models("light", folder, device="cpu"), offline=False)
    (folder / ".lock").unlink()
    (folder / ".lock").write_text("not truncated")
    fetch_models(select_models("light", folder, device="cpu"), offline=False)
    assert (folder / ".lock").read_text() == "not truncated"
    assert (tmp_path / "file").read_text() == "precious"
    assert not (tmp_path / "nothing").exists()


def test_the_list_of_a_folder_tells_nothing_of_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1234")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "planted").symlink_to(tmp_path / "secret")
    fetch_models(select_models("light", folder, device="cpu"), offline=False)
    assert (folder / FETCHED).read_text() == ""


@as_root
def test_a_folder_that_is_another_users_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "models"
    link.symlink_to("elsewhere")
    fetch_models(select_models("light", link, device="cpu"), offline=False)  # one's own
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(ModelError, match="is a link that another user made"):
        fetch_models(select_models("light", link, device="cpu"), offline=False)


def test_a_hub_without_the_files(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    with pytest.raises(ModelError, match=r"has none of open_clip_model\.safetensors, open_clip_pytorch_model\.bin"):
        fetch_pair(PAIR, tmp_path)


def test_published_hashes_and_sizes_are_those_of_the_files(shared: Path) -> None:
    for head in HEADS:
        for published in head.weights:
            with opened(published, shared / "heads", "") as path:
                assert path.stat().st_size == published.size
            assert published.url.startswith("https://")
            assert published.url.split("/")[-1].replace("%2B", "+") == published.file


ENCODER = ("ViT-L-14.openai.safetensors", "--encoder ViT-L-14/openai")
HEAD = ("clip_autokeras_binary_nsfw.zip", "--encoder ViT-L-14/openai --scorer pycurate.models.builtin.laion:NsfwL14")


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
    tmp_path: Path, script: str, words: list[str], missing: tuple[str, str]
) -> None:
    found = called(script, *words, "--model-dir", tmp_path / "models")
    file, options = missing
    assert found.exit_code == 1
    assert f"{tmp_path}/models/{file} is missing" in found.output
    assert f"run `bin/models.py fetch {options} --model-dir {tmp_path}/models`" in found.output
    assert visible(tmp_path / "models") == []


@pytest.mark.usefixtures("no_network")
def test_what_is_there_needs_no_network(shared: Path, tmp_path: Path) -> None:
    for name in ("sac+logos+ava1-l14-linearMSE.pth", "clip_autokeras_binary_nsfw.zip"):
        shutil.copy(shared / "heads" / name, tmp_path)
    models = select_models("clip-l14", tmp_path, device="cpu")
    for spec in models.scorers:
        for published in load_class(spec).weights:
            fetch(published, tmp_path)
    assert [scorer.name for scorer in models.load_embedding_scorers()] == ["aesthetic", "nsfw"]


def test_a_fetch_leaves_a_list_that_sha256sum_reads_and_changes_nothing_the_second_time(tmp_path: Path) -> None:
    models = select_models("light", tmp_path, device="cpu")
    (tmp_path / "probe.npz").write_bytes(DATA)
    fetch_models(models, offline=False)
    check = subprocess.run(["sha256sum", "-c", FETCHED], cwd=tmp_path, capture_output=True, text=True)
    assert check.returncode == 0 and check.stdout.count(": OK") == len(visible(tmp_path)) - 1 == 1
    before = tmp_path.stat().st_mtime_ns
    fetch_models(models, offline=False)
    assert tmp_path.stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = called("models", "fetch", "--model-dir", tmp_path / "file" / "models")
    assert found.exit_code == 1 and found.output.count("\n") == 1
    assert f"{tmp_path}/file/models cannot be written" in found.output
