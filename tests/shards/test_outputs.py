"""What runs wrote is not taken for input."""

from pathlib import Path

import pytest

from pycurate.errors import UsageError
from pycurate.shards.listing import find_shards, search


def names(text: object) -> list[str]:
    return [shard.name for shard in find_shards(str(text))]


def test_what_runs_made_is_left_out_unless_it_is_named_itself(tmp_path: Path) -> None:
    for name in ("own.tar", "curated/theirs.tar", "out/curated/1.tar", "out/odd.tar", "wd/ab/cd/x.tar"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for earlier, mark in (("r1", "decisions.parquet"), ("r2", "summary.json"), ("w/ab/cdef", ".command.run")):
        (tmp_path / earlier / "curated").mkdir(parents=True)
        (tmp_path / earlier / "curated" / "0.tar").write_text(earlier)
        (tmp_path / earlier / "beside.tar").write_text(f"{earlier}/beside")
        (tmp_path / earlier / mark).write_text('{"inputs": 1, "kept": 1, "dropped": {}}')
    ours = (tmp_path / "out", tmp_path / "wd")
    found = search(str(tmp_path), *ours)
    beside = ["r1/beside.tar", "r2/beside.tar", "w/ab/cdef/beside.tar"]
    assert [shard.name for shard in found.shards] == ["curated/theirs.tar", "own.tar", *beside]
    assert sorted(found.remarks) == sorted(
        f"'{tmp_path}/{name}' is left out ({count} .tar): it contains the output of a run."
        for name, count in (("out", 2), ("wd", 1), ("r1/curated", 1), ("r2/curated", 1), ("w/ab/cdef/curated", 1))
    )
    # Named by himself: an earlier set is curated again, and so it is beside an outdir above or at the input.
    assert names(tmp_path / "r1" / "curated") == names(f"{tmp_path}/r1/curated/*.tar") == ["0.tar"]
    above = search(str(tmp_path / "r1"), outdir=tmp_path)
    assert [shard.name for shard in above.shards] == ["beside.tar"]
    assert [shard.name for shard in search(str(tmp_path / "out"), outdir=tmp_path / "out").shards] == ["odd.tar"]
    with pytest.raises(UsageError, match="is in the curated shards of --outdir"):
        search(f"{tmp_path}/out/curated/*.tar", *ours)
    with pytest.raises(UsageError, match=r"contains only output of earlier runs in .*r1/curated"):
        search(f"{tmp_path}/r1/**/0.tar")
