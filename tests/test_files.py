"""Files are whole or not there, and what was checked is what is used, whatever others do in the same folder."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pycurate.errors import StorageError
from pycurate.files import atomic, exclusive, link_from_sibling, unchanging

DATA = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
OTHER = 12345  # another user
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@as_root
def test_a_file_that_another_user_could_change_later_is_copied(tmp_path: Path) -> None:
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
