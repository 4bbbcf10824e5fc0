"""What cannot be written is told of in one sentence with path and remedy, on real disks; and how scripts end."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flows import environment
from report_run import make_run, standard_rows

from pycurate.errors import StorageError
from pycurate.files import atomic, write_json
from pycurate.results.tables import write_array
from pycurate.review.lookup import extract, look_up, matching
from scripts import started, words_of


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_and_a_read_only_disk(disk: Path) -> None:
    with pytest.raises(StorageError, match=r"a\.npy cannot be written, .*space"):
        write_array(disk / "a.npy", np.zeros(100_000))
    done = started("testset", "--out", disk / "shards")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "no space is left" in done.stderr and f"{disk}/shards" in done.stderr
    assert not list(disk.rglob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    done = started("testset", "--out", disk / "other")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "can only be read" in done.stderr and "choose a folder that can be written" in done.stderr


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for place, cause in (
        (tmp_path / "file" / "x.json", "a file is where a folder should be"),
        (tmp_path / "file" / "deep" / "x.json", "a file is where a folder should be"),
        (tmp_path / "folder", "a folder is where a file should be"),
        (tmp_path / ("n" * 300), "its name is too long"),
    ):
        with pytest.raises(StorageError, match=cause) as caught:
            write_json(place, {})
        assert str(place) in str(caught.value)
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "x"):  # of what is read, not of what is written
        (tmp_path / "source").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_missing_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(StorageError, match=r"you have no permission .*choose another folder") as caught:
            write_json(tmp_path / "x.json", {})
    finally:
        os.seteuid(0)
    assert str(tmp_path / "x.json") in str(caught.value)


def test_output_that_nobody_takes(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = started("models", "list", stdout=full)
    assert done.returncode == 1 and "no space is left" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("sent", "codes"), [(signal.SIGINT, (130,)), (signal.SIGTERM, (143, -15))])
def test_a_script_that_is_stopped(sent: signal.Signals, codes: tuple[int, ...], tmp_path: Path) -> None:
    command = words_of("report", "render", "--parameters", tmp_path / "pipe.json")
    os.mkfifo(tmp_path / "pipe.json")  # nobody writes to it, so that the script waits
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path)
    while True:
        try:
            pipe = os.open(tmp_path / "pipe.json", os.O_WRONLY | os.O_NONBLOCK)  # once it reads
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.05)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    os.close(pipe)
    assert process.returncode in codes and "Traceback" not in said


@pytest.mark.parametrize("ext", ["j" * 300 + ".jpg", "../../x.jpg", "a/b.jpg", "..", "\0.jpg", "\x1b[2J.jpg"])
def test_an_extension_of_a_stranger_leaves_no_folder(ext: str, tmp_path: Path) -> None:
    results = make_run(tmp_path, standard_rows()[:30])
    found = look_up(results, matching(results, "kept01")[0]["uid"])
    found.sample["ext"] = ext
    (tmp_path / "out").mkdir()
    place = extract(found, tmp_path / "out")
    assert place == tmp_path / "out" / f"{found.sample['uid']}.jpeg" and place.exists()
