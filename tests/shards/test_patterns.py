"""A pattern finds what Python's glob finds."""

import glob
import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycurate.errors import UsageError
from pycurate.shards.patterns import named

PARTS = st.sampled_from(["a", "b", ".c", "*", "**", "?", "x.tar", "*.tar"])


@given(st.lists(PARTS, min_size=1, max_size=4))
def test_a_glob_finds_what_pythons_finds_where_no_links_are(tree: Path, parts: list[str]) -> None:
    pattern = f"{tree}/{'/'.join(parts)}"
    expected = {path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)}
    try:
        found = {str(path) for path in named(pattern)[0]}
    except UsageError:
        found = set()
    if not os.path.lexists(pattern):
        assert found == expected


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of folders three deep, with a shard in each."""
    top = tmp_path_factory.mktemp("tree")
    for parts in itertools.product(("a", "b", ".c"), repeat=3):
        folder = top.joinpath(*parts)
        folder.mkdir(parents=True)
        for place in (folder, *folder.parents[:2]):
            (place / "x.tar").write_text("")
    return top
