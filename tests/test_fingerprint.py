"""The hash of the code tells packages apart, and a script refuses one that is not the workflow's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pycurate.fingerprint import content_hash

ROOT = Path(__file__).resolve().parents[1]


PACKAGE = ROOT / "pycurate"


def test_a_hash_tells_names_contents_and_parts_apart(tmp_path: Path) -> None:
    for name, text in (("a/one.py", "1"), ("a/deep/two.json", "2"), ("b.py", "3")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    whole, a = content_hash(tmp_path), content_hash(tmp_path, ["a"])
    assert content_hash(tmp_path, ["a/one.py", "b.py", "a", "nowhere"]) == whole != a
    (tmp_path / "b.py").write_text("4")
    (tmp_path / "a" / "one.pyc").write_text("no part of the package")
    assert content_hash(tmp_path) != whole and content_hash(tmp_path, ["a"]) == a
    (tmp_path / "a" / "one.py").rename(tmp_path / "a" / "three.py")
    assert content_hash(tmp_path, ["a"]) != a


@pytest.mark.parametrize("same", [True, False])
def test_a_script_refuses_a_package_that_is_not_the_workflows(tmp_path: Path, same: bool) -> None:
    parts = ["shards", "errors.py"]
    code = ":".join([content_hash(PACKAGE, parts if same else ["shards"]), *parts])
    command = [sys.executable, str(ROOT / "bin" / "testset.py"), "--out", str(tmp_path / "shards")]
    done = subprocess.run(command, env=os.environ | {"PYCURATE_CODE": code}, capture_output=True, text=True)
    assert done.returncode == (0 if same else 2), done.stderr
    assert same or "differs from the one next to main.nf" in done.stderr
    assert (tmp_path / "shards").exists() == same
