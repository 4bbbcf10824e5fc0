"""A fetch brings what a run needs, leaves a list of it, and writes through no link of a stranger's."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from by_hand import CLASSES
from hub import DATA, OTHER, as_root, visible

from pycurate.errors import ModelError
from pycurate.models.fetch import FETCHED, fetch_models, run_folder
from pycurate.models.presets import PRESETS, load_encoder
from pycurate.models.selection import select_models
from pycurate.models.weights import fetch
from pycurate.plugins import load_class
from scripts import called


def test_light_is_fetched_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there
    found = called("models", "fetch", "--preset", "light", "--model-dir", str(tmp_path))
    assert found.exit_code == 0, found.output
    before = tmp_path.stat().st_mtime_ns
    assert called("models", "fetch", "--offline", "--preset", "light", "--model-dir", str(tmp_path)).exit_code == 0
    assert tmp_path.stat().st_mtime_ns == before
    assert load_encoder(PRESETS["light"].encoder, tmp_path, "cpu").dim == 1280


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
    with pytest.raises(ModelError, match=r"cannot be written .*symbolic links.*use a folder of your own"):
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


def test_neither_the_list_of_a_folder_nor_a_name_in_it_need_be_text(tmp_path: Path) -> None:
    for name in (b"\xff", b"two\nlines", "gewichte-\u00e4".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(b"1234")
    (tmp_path / FETCHED).write_bytes(b"\xff")
    fetch_models(select_models("light", tmp_path, device="cpu"), offline=False)
    found = subprocess.run(["sha256sum", "-c", FETCHED], cwd=tmp_path, capture_output=True, check=True)
    assert found.stdout.decode() == "gewichte-\u00e4: OK\n"


@as_root
def test_a_folder_that_is_another_users_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "models"
    link.symlink_to("elsewhere")
    fetch_models(select_models("light", link, device="cpu"), offline=False)  # one's own
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(ModelError, match="is a link created by another user"):
        fetch_models(select_models("light", link, device="cpu"), offline=False)


@as_root
def test_a_folder_that_can_only_be_read_is_looked_through() -> None:
    """As that of a colleague, on a node without a network."""
    with TemporaryDirectory() as name:  # unlike tmp_path, in none that other users may not enter
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "own.py").write_text(CLASSES)
        own = select_models("light", folder, encoder=f"{folder}/own.py:Mean", device="cpu")
        clip = select_models("clip-l14", folder, device="cpu")
        fetch_models(own, offline=False)
        before = sorted(folder.iterdir())
        for user in (os.geteuid(), OTHER):  # what is imported by the way may be root's alone
            os.seteuid(user)
            try:
                fetch_models(own, offline=True)
                with pytest.raises(ModelError, match=r"ViT-L-14\.openai\.safetensors is missing"):
                    fetch_models(clip, offline=True)
                if user == OTHER:
                    with pytest.raises(ModelError, match="cannot be written"):
                        fetch_models(own, offline=False)
            finally:
                os.seteuid(0)
        assert sorted(folder.iterdir()) == before


def test_a_run_finds_the_folder_that_the_workflow_fills(tmp_path: Path) -> None:
    def name(*names: str | None) -> str:
        return run_folder(tmp_path, *names).relative_to(tmp_path).as_posix()

    assert name("clip-b32", "", None, "") == "clip-b32"
    assert name("ViT-B-16/openai", None, "sscd", f"{LAION}:A,/data/own.py:B") == (
        "ViT-B-16_openai_sscd_pycurate.models.builtin.laion_A_data_own.py_B"
    )
    # As lib/Models.groovy cuts and numbers it.
    assert re.fullmatch(f"light_{'x' * 74}_[0-9a-f]{{16}}", name("light", "x" * 200))
    (tmp_path / "fetched.sha256").touch()  # a folder that `models.py fetch --model-dir` filled
    assert name("clip-b32") == "."
    (tmp_path / "clip-b32").mkdir()
    assert name("clip-b32") == "clip-b32"


LAION = "pycurate.models.builtin.laion"
ENCODER = ("ViT-L-14.openai.safetensors", "--preset clip-l14")


HEAD = ("clip_autokeras_binary_nsfw.zip", "--preset clip-l14")
OWN = ("ViT-L-14.openai.safetensors", "--encoder ViT-L-14/openai")
OWN_HEAD = ("sa_0_4_vit_l_14_linear.pth", f"--encoder ViT-L-14/openai --scorer {LAION}:AestheticV1L14")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("script", "words", "missing"),
    [
        ("models", ["fetch", "--offline", "--preset", "clip-l14"], ENCODER),
        ("embed", ["--preset", "clip-l14"], ENCODER),
        ("score", ["--preset", "clip-l14", "--no-aesthetic"], HEAD),
        ("score", ["--preset", "clip-l14", "--no-aesthetic", "--no-nsfw", "--clip-score"], ENCODER),
        # What the preset has not got is asked for by name.
        ("embed", ["--preset", "light", "--encoder", "ViT-L-14/openai"], OWN),
        (
            "score",
            ["--preset", "clip-l14", "--no-aesthetic", "--no-nsfw", "--scorer", f"{LAION}:AestheticV1L14"],
            OWN_HEAD,
        ),
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


@pytest.mark.usefixtures("no_network")
def test_different_files_of_one_name_are_refused(tmp_path: Path) -> None:
    own, folder = tmp_path / "own.py", tmp_path / "models"
    folder.mkdir()
    (folder / "head.pt").write_bytes(DATA)
    own.write_text(
        CLASSES + "from pycurate.models.weights import Weights\n"
        "def named(sha256): return (Weights('head.pt', 'http://127.0.0.1:9', sha256, 9, 'MIT'),)\n"
        f"First.weights = Bright.weights = named({hashlib.sha256(DATA).hexdigest()!r})\n"
        f"class Other(First): name, weights = 'other', named({64 * '0'!r})\n"
    )

    def fetched(*names: str) -> str:
        words = [word for name in names for word in ("--scorer", f"{own}:{name}")]
        return called("models", "fetch", "--model-dir", folder, *words).output

    assert "different files" not in fetched("First", "Bright")
    assert f"{own}:First and {own}:Other call different files head.pt in `weights`" in fetched("First", "Other")
    assert (folder / "head.pt").read_bytes() == DATA
