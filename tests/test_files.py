"""Files are whole or not there, and what was checked is what is used, whatever others do in the same folder."""

import hashlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pycurate.errors import StorageError
from pycurate.files import atomic, exclusive, link_from_sibling, open_regular, unchanging, write_json
from pycurate.models.builtin.opennsfw import OpenNSFW
from pycurate.results.tables import write_array
from scripts import started

DATA = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
OTHER = 12345  # another user
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@as_root
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_file_that_another_user_could_change_later_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    theirs = tmp_path / "a" / "file"
    theirs.parent.mkdir()
    theirs.write_bytes(DATA)
    for name, plant in (("owned", lambda: os.chown(theirs, OTHER, OTHER)), ("open", lambda: theirs.chmod(0o666))):
        plant()
        assert link_from_sibling(theirs, tmp_path / name, SHA256, len(DATA))
        assert not (tmp_path / name).samefile(theirs) and (tmp_path / name).read_bytes() == DATA
        with unchanging(theirs) as (path, sha256):
            theirs.write_bytes(b"x" * len(DATA))
            assert sha256 == SHA256 and path.read_bytes() == DATA
        theirs.write_bytes(DATA)
        os.chown(theirs, os.geteuid(), os.getegid())


def test_what_was_checked_is_what_is_used_though_the_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(DATA)
    with unchanging(path) as (name, sha256):
        (tmp_path / "new").write_bytes(b"replaced")
        (tmp_path / "new").replace(path)
        assert sha256 == SHA256 and name.suffix == ".bin"
        assert name.read_bytes() == DATA


@pytest.mark.parametrize("folder", ["gone", "file/beneath"])
def test_where_no_temporary_file_can_be_created_weights_are_not_blamed(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    assert OpenNSFW(tmp_path, "cpu").name == "nsfw"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))
    with pytest.raises(StorageError, match=r"^Temporary files cannot be created .* set TMPDIR to another folder\.$"):
        OpenNSFW(tmp_path, "cpu")


def test_a_temporary_file_is_written_to_though_its_name_is_taken_away(tmp_path: Path) -> None:
    """Another user of the folder puts a link in its place, the moment it is made."""
    (tmp_path / "victim").write_text("precious")
    with pytest.raises(StorageError), atomic(tmp_path / "file") as temporary:
        (made,) = tmp_path.glob(".*.tmp")
        made.unlink()
        made.symlink_to("victim")
        temporary.write_text("new")
        made.unlink()
    assert (tmp_path / "victim").read_text() == "precious"
    assert os.listdir(tmp_path) == ["victim"]


def test_writers_of_one_file_do_not_meet_and_one_that_was_killed_is_no_obstacle(tmp_path: Path) -> None:
    with atomic(tmp_path / "file") as one, atomic(tmp_path / "file") as other:
        one.write_text("one")
        other.write_text("the other")
        assert one.read_text() == "one"
    assert (tmp_path / "file").read_text() == "one"  # which was done last
    code = "import os; from pathlib import Path; from pycurate.files import exclusive, atomic\n"
    code += "with exclusive(Path('.lock')), atomic(Path('file')) as it: it.write_text('half'); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == -9
    assert (tmp_path / "file").read_text() == "one"
    with exclusive(tmp_path / ".lock") as locked, atomic(tmp_path / "file") as temporary:
        assert locked
        temporary.write_text("new")
    assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["file"]  # as a glob over finished files finds it


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
    assert "is read-only" in done.stderr and "choose a writable folder" in done.stderr


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for place, cause in (
        (tmp_path / "file" / "x.json", "a file is in place of a folder"),
        (tmp_path / "file" / "deep" / "x.json", "a file is in place of a folder"),
        (tmp_path / "folder", "a folder is in place of a file"),
        (tmp_path / ("n" * 300), "its name is too long"),
    ):
        with pytest.raises(StorageError, match=cause) as caught:
            write_json(place, {})
        assert str(place) in str(caught.value)
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "x"):  # of what is read, not of what is written
        (tmp_path / "source").read_bytes()


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(StorageError, match="device or a pipe"), atomic(tmp_path / name):
            pass
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_named_and_closed(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "weights")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match=r"not a regular file: '.*/weights'$"):
        open_regular(tmp_path / "weights")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_missing_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(StorageError, match=r"you lack the permission .*choose another folder") as caught:
            write_json(tmp_path / "x.json", {})
    finally:
        os.seteuid(0)
    assert str(tmp_path / "x.json") in str(caught.value)
