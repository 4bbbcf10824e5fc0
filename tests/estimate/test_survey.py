"""A survey of some shards bounds what all of them hold."""

from pathlib import Path

from tars import made_shards

from pycurate.estimate.survey import survey
from pycurate.shards.listing import find_shards


def test_a_sample_of_shards_bounds_the_true_count(tmp_path: Path) -> None:
    shards = made_shards(tmp_path, 90, seed=1)
    truth = survey(shards, None)
    part = survey(shards, 10)
    assert truth.samples.low == truth.samples.high and len(part.counts) == 10
    assert part.samples.low < truth.samples.value < part.samples.high
    assert [one.shard for one in part.counts] == [one.shard for one in survey(shards, 10).counts]
    assert survey(shards, 90).samples == truth.samples


def test_shards_that_are_no_tars_do_not_spoil_the_estimate(tmp_path: Path) -> None:
    """They hold one row each whatever their size, are told by their first header, and so are counted apart."""
    shards = made_shards(tmp_path, 60, seed=2)
    for shard in shards[::7]:
        (tmp_path / shard.name).write_bytes(b"<html>" * 2000)
    (tmp_path / shards[3].name).write_bytes(b"")
    shards = find_shards(str(tmp_path))
    truth, part = survey(shards, None), survey(shards, 20)
    assert part.not_tars == truth.not_tars == 9
    assert part.samples.low <= truth.samples.value <= part.samples.high
    assert sum(one.errors["not_a_tar"] for one in part.counts) == 10
