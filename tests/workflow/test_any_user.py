"""Any user, any path: runs as people start them who are not root, in folders that are closed, full or oddly named.

Either a run works, or it ends before any task in a sentence with the path and what to do.
"""

import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import simplejpeg
from flows import LIMIT, ROOT, Flow, environment, on_terminal
from PIL import Image
from tars import Member, jpeg, read_tar, write_tar
from terminals import KEY, SHARD, command, only_data

from pycurate.text import printable

OTHER = 65534  # the user `nobody`
# To read what root alone may read is left to that user: the Python of a root's environment may lie in root's home.
SWITCH = ["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups"]
SWITCH += [f"--{kind}-caps=-all,+dac_read_search" for kind in ("inh", "ambient")] + [
    "--bounding-set=-all,+dac_read_search"
]
TRACES = re.compile(r"Traceback|Exception|^\s*at \w+[.$]|Submitted process", re.MULTILINE)


@dataclass(frozen=True)
class User:
    """Somebody who is not root, with a folder of their own."""

    place: Path
    switch: list[str]

    def folder(self, *parts: str) -> Path:
        """A folder in which this user may write."""
        folder = self.place.joinpath(*parts)
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def call(self, words: list[str], cwd: Path | None = None, **env: str | None) -> tuple[int, str]:
        """Run a command as this user: its exit status and what it says. A variable that is None is not set."""
        changed = {"HOME": str(self.place / "home"), "NXF_HOME": str(self.place / "home" / ".nextflow")} | env
        done = subprocess.run(
            [*self.switch, *words],
            cwd=cwd or self.place / "launch",
            env={name: value for name, value in (environment() | changed).items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
        )
        return done.returncode, done.stdout

    def refused(self, words: list[str], cwd: Path | None = None, **env: str | None) -> str:
        """What a call says that ends before any task, in sentences."""
        status, said = self.call(words, cwd, **env)
        assert status in (1, 2) and not TRACES.search(said), said
        return said


def nextflow(*options: object) -> list[str]:
    return ["nextflow", "run", str(ROOT / "main.nf"), *map(str, options)]


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    """Another user than root, in a folder whose parents are open to all."""
    switch = SWITCH if os.geteuid() == 0 else []
    if subprocess.run([*switch, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to become another user")
    with tempfile.TemporaryDirectory(prefix="pycurate tests ") as name:
        user = User(Path(name), switch)
        user.place.chmod(0o755)
        for own in ("home", "launch"):
            user.folder(own)
        (user.place / "closed").mkdir(mode=0o755 if switch else 0o555)
        (user.place / "file").write_text("")
        yield user


@pytest.fixture
def disk(user: User) -> Iterator[Path]:
    """A disk without any space left; skips where none can be mounted."""
    folder = user.place / "disk"
    folder.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs"]
    if subprocess.run(["mount", *options, folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    with pytest.raises(OSError, match="No space left"), open(folder / "filler", "wb", buffering=0) as file:
        while file.write(bytes(1 << 12)):
            pass
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_an_outdir_that_is_no_folder_or_closed(user: User) -> None:
    (user.place / "lost").symlink_to(user.place / "gone")
    for outdir, cause in (
        (user.place / "file", f"{user.place}/file is a file"),
        (user.place / "lost", f"{user.place}/lost is a link that leads nowhere"),
        (user.place / "closed" / "x", f"{user.place}/closed is not writable"),
    ):
        for words in (nextflow("--input", user.place), command("run", "--input-path", user.place)):
            said = user.refused([*words, "--outdir", str(outdir)])
            assert f"--outdir {outdir}: {cause}; choose another folder" in said
    said = user.refused(nextflow("--input", user.place, "-work-dir", user.place / "closed"))
    assert f"the work folder '{user.place}/closed' is not writable; choose another with -work-dir" in said
    assert (user.place / "file").read_text() == "" and not list((user.place / "closed").iterdir())


def test_a_folder_of_weights_that_is_closed_and_not_filled(user: User) -> None:
    closed = user.place / "closed"
    remedy = "and the weights are missing; use a folder of your own, or let its owner fetch them"
    earlier = user.folder("launch", "results") / "summary.json"
    earlier.write_text("an earlier run's")
    said = user.refused(nextflow("--input", user.place, "--model_dir", closed))
    assert f"--model_dir '{closed}': '{closed}' is not writable, {remedy}" in said
    assert earlier.read_text() == "an earlier run's"
    # A ~ that no shell has expanded is the home here, and one folder for all that a run leaves.
    words = command("run", "--output-path", "~/out", "--model-dir", user.place / "file")
    said = user.refused([*words, "--input-path", "~/"])
    assert f"--model_dir '{user.place}/file': '{user.place}/file' is a file, {remedy}" in said
    said = user.refused([*words, "--input-path", "~/in/*.tar"])
    missing = f"{user.place}/home/in"
    assert f"--input '{missing}/*.tar': there is no '{missing}', or you may not see it; check the path" in said
    assert not (user.place / "home/out").exists()
    assert not list(user.place.rglob("~"))


def test_a_home_that_is_not_there_or_closed(user: User) -> None:
    for home in ("/nonexistent", str(user.place / "closed")):
        for words in (nextflow("--input", user.place), command("run", "--input-path", user.place)):
            said = user.refused(words, HOME=home, NXF_HOME=None)
            shown = home.replace(" ", "\\ ")
            assert f"{shown}/.nextflow/plugins of Nextflow's own files cannot be written (" in said
            assert "name another: export NXF_HOME=/path/to/folder" in said


def test_a_home_that_is_not_set_and_one_that_no_shell_has_put(user: User) -> None:
    options = ["--input", "~/x/*.tar", "--dedup", "true", "--reference", f"{user.place},~/r"]
    said = user.refused(nextflow(*options), HOME=None)
    assert "--model_dir is missing: HOME is not set, so there is no ~/.cache/pycurate; give a folder" in said
    for name, value in (("input", "~/x/*.tar"), ("reference", "~/r")):
        assert f"--{name} '{value}': ~ was not expanded by the shell; write the full path" in said
    said = user.refused(nextflow("--input", user.place, "--outdir", "~/out"))
    assert "--outdir ~/out: ~ was not expanded by the shell; write the full path" in said
    assert not list(user.place.rglob("~"))


def test_a_launch_folder_that_is_closed(user: User) -> None:
    closed = user.place / "closed"
    more = ["--input", user.place, "--outdir", user.place / "home" / "out"]
    for words in (nextflow(*more), command("run", *more)):
        said = user.refused(words, closed)
        folder = str(closed / ".nextflow").replace(" ", "\\ ")
        assert f"the folder {folder} of Nextflow's notes on runs cannot be written (Permission denied)" in said
        assert "start in another folder, or name one: export NXF_CACHE_DIR=" in said


def test_folders_that_nextflow_gives_to_a_shell_bare(user: User) -> None:
    odd = user.place / "launch" / "x[1]{a}*"
    for name in ("samples/samples_00000.parquet", "img_emb/img_emb_00000.npy"):
        (odd / name).parent.mkdir(parents=True)
        (odd / name).touch()
    options = ["--input", user.place, "--model_dir", odd, "--dedup", "true", "--reference", odd]
    said = user.refused(nextflow(*options))
    held = f"'{odd}': contains '[' ']' '{{' '}}' '*', which Nextflow cannot handle in shell commands; "
    assert f"--model_dir {held}choose another folder" in said
    assert f"--reference {held}rename it, or give a link to it" in said


def test_a_full_disk(user: User, disk: Path) -> None:
    models = ["--model_dir", user.place / "home" / "models"]
    said = user.refused(nextflow("--input", user.place, "--outdir", disk / "o", *models))
    assert f"--outdir '{disk}/o' cannot be written (No space left on device); free some space, or name another" in said
    assert not (disk / "o").exists()
    status, said = user.call(nextflow("--input", user.place, "-work-dir", disk / "w", *models))
    assert status == 1 and not re.search(r"Traceback|^\s*at \w+[.$]", said, re.MULTILINE)
    assert (
        f"the work folder '{disk}/w': no space is left on its disk; free some space, then run again with -resume"
        in said
    )
    for words in (nextflow("--input", user.place), command("run", "--input", user.place, "--outdir", disk / "o")):
        assert re.search(r"cannot be written.*No space left on device", user.refused(words, disk))


def test_a_read_only_disk(user: User, disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for words in (nextflow("--input", user.place), command("run", "--input", user.place)):
        said = user.refused([*words, "--outdir", str(disk / "x")])
        assert f"--outdir {disk}/x: {disk} is not writable; choose another folder" in said
    said = user.refused(nextflow("--input", user.place), disk)
    assert "(Read-only file system); start in another folder" in said


# --- whole runs on a hostile set


def spoilt(seed: int) -> bytes:
    """A progressive JPEG with two bytes that stop its decoder behind a warning, so that pixels stay unwritten."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg(seed, 320, 240))).save(buffer, "JPEG", progressive=True, quality=90)
    data = bytearray(buffer.getvalue())
    second = data.find(b"\xff\xda", data.find(b"\xff\xda") + 2)
    data[second + 60 : second + 62] = b"\xff\x02"
    simplejpeg.decode_jpeg(bytes(data), strict=False)  # who asks this decoder gets them all
    with pytest.raises(OSError):
        Image.open(io.BytesIO(data)).load()
    return bytes(data)


@pytest.fixture(scope="module")
def hostile(user: User) -> dict[str, bytes]:
    """The members of two shards in `shards`, whose names would steer a terminal; a third of its images are spoilt."""
    members: list[Member] = []
    for number in range(24):
        key = f"{KEY}{number}"
        members.append((f"{key}.jpg", spoilt(number) if number % 3 == 2 else jpeg(number, 320, 240)))
        members.append((f"{key}.txt", f"caption {KEY}".encode()))
    half = len(members) // 2
    write_tar(user.place / "shards" / SHARD, members[:half])
    write_tar(user.place / "shards" / f"two{SHARD}", members[half:])
    return dict(members)


@pytest.fixture(scope="module")
def watched(user: User, hostile: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> tuple[Flow, str]:
    """A run of `pycurate run` on a terminal, and all that the terminal was given."""
    flow = Flow(tmp_path_factory.mktemp("watched"), (), outdir="results [1]{a}*")
    words = ["run", "--input-path", user.place / "shards", "--output-path", flow.outdir, "--dedup"]
    words += [
        "--dedup-threshold",
        "0.9999",
        "--no-aesthetic",
        "--no-nsfw",
        "--model-dir",
        user.place / "models",
        "--partition-bytes",
        "1",
    ]
    status, shown = on_terminal(command(*words), flow.folder)
    assert status == 0, shown
    return flow, shown


def test_what_was_not_decoded_is_corrupt(watched: tuple[Flow, str], hostile: dict[str, bytes]) -> None:
    flow, _ = watched
    samples = [row for path in flow.out.glob("samples/*") for row in pq.read_table(path).to_pylist()]
    assert {row["key"]: row["error"] for row in samples} == {
        f"{KEY}{number}": "corrupt" if number % 3 == 2 else None for number in range(24)
    }
    summary = json.loads((flow.out / "summary.json").read_text())
    assert (summary["kept"], summary["dropped"]) == (16, {"unreadable": 8})
    left = {name: data for tar in flow.out.glob("curated/*.tar") for name, data, _ in read_tar(tar)}
    assert left == {name: data for name, data in hostile.items() if int(name.split("y\u200f")[1][:-4]) % 3 < 2}


def test_a_live_view_obeys_no_data(user: User, watched: tuple[Flow, str], tmp_path: Path) -> None:
    _, shown = watched
    assert only_data(shown) and "\x1b[" in shown and "Kept 16, 8 dropped (unreadable 8)." in shown
    # A name that no line can hold is refused by a task, and comes to the terminal by way of Nextflow.
    write_tar(tmp_path / "in" / f"{SHARD}\t.tar", [("a.jpg", jpeg(0))])
    words = command("run", "--input-path", "in", "--model-dir", user.place / "models")
    status, shown = on_terminal(words, tmp_path)
    assert status == 1 and only_data(shown), shown
    assert f"{printable(SHARD)}\\t.tar" in shown and "rename it" in shown


def test_another_user_gets_the_same_from_folders_that_are_closed(
    user: User, watched: tuple[Flow, str], elsewhere: Path
) -> None:
    """The second run: blanks in the checkout's path, weights only to be read, no HOME, a closed launch folder, results
    on another file system."""
    elsewhere.chmod(0o777)
    first, _ = watched
    checkout = user.place / "check out"
    for name in ("main.nf", "nextflow.config", "nextflow_schema.json", "bin", "conf", "lib", "modules", "pycurate"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            checkout.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    notes = user.folder("launch", "notes")
    flow = Flow(user.place / "launch", (), outdir=str(elsewhere / "o'u t[1]{a}*"))
    words = ["nextflow", "run", str(checkout / "main.nf"), "--input", str(user.place / "shards"), "--dedup", "true"]
    words += ["--outdir", str(flow.out), "--model_dir", str(user.place / "models"), "-work-dir", str(flow.work)]
    words += ["--dedup_threshold", "0.9999", "--aesthetic", "false", "--nsfw", "false", "--partition_bytes", "1"]
    status, said = user.call(words, user.place / "closed", HOME="/nonexistent", NXF_CACHE_DIR=str(notes))
    assert status == 0, said
    assert flow.results() == first.results() and len(flow.results()) >= 3
    assert (flow.out / "summary.json").stat().st_uid == (OTHER if user.switch else os.geteuid())
