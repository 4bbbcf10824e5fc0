"""A trial takes whole samples at random and finds the pace of the work."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tars import jpeg, write_tar

from pycurate.estimate.trial import RUNS, Run, bytes_per_row, decoded, find_pace, keeps, make_pieces, tops
from pycurate.shards.count import count
from pycurate.shards.listing import find_shards
from pycurate.shards.samples import read_samples


def test_the_trial_takes_whole_samples_at_random(shared_images: Path, tmp_path: Path) -> None:
    counts = [count(shard) for shard in find_shards(str(shared_images))]
    pieces = make_pieces(counts, tmp_path, 30)
    assert [piece.images for piece in pieces] == [30, 30, 30, 10]
    taken = [count(shard) for piece in pieces for shard in piece.shards]
    assert [one.images for one in taken] == [30, 30, 30, 10]
    assert sum((one.errors for one in taken), Counter[str]()) == Counter()
    assert sorted(np.concatenate([one.keys for one in taken])) == sorted(np.concatenate([one.keys for one in counts]))


def test_shards_that_number_their_keys_alike_lose_no_image(tmp_path: Path) -> None:
    for shard in range(10):
        members = [(f"{key}.jpg", jpeg(10 * shard + key)) for key in range(10)]
        write_tar(tmp_path / "in" / f"{shard}.tar", members)
    counts = [count(shard) for shard in find_shards(str(tmp_path / "in"))]
    pieces = make_pieces(counts, tmp_path, 20)
    assert [piece.images for piece in pieces] == [20] * 5
    samples = [[one for shard in piece.shards for one in read_samples(shard.path, shard.name)] for piece in pieces]
    assert [len([one for one in piece if one.error is None]) for piece in samples] == [20] * 5
    assert len({one.sha256 for piece in samples for one in piece}) == 100
    assert max(len(piece.shards) for piece in pieces) == 2  # dealt out, so that there are few tars


def test_images_are_those_that_were_decoded() -> None:
    formats = pa.table({"format": ["jpeg", "", None, "png"]})
    assert (decoded(formats), decoded(formats.slice(1, 2)), decoded(formats.slice(0, 0))) == (2, 0, 0)


@given(rate=st.floats(1, 5000), start=st.floats(0, 3), cold=st.floats(0, 10), seconds=st.floats(1, 60))
def test_the_pace_is_found_whatever_the_start_costs(rate: float, start: float, cold: float, seconds: float) -> None:
    spent: list[float] = []

    def run(batches: int) -> Run:
        images = 20 * batches
        spent.append(start + images / rate + (0 if spent else cold))
        return Run(images, spent[-1])

    pace = find_pace(run, seconds)
    # Where the start takes nearly all of a run the rate is bounded, not known.
    if (pace.last.images - 20) / rate > 0.101 * pace.last.seconds:
        assert pace.rates == pytest.approx([rate] * RUNS)
        assert pace.first == pytest.approx(start + cold, abs=1e-6)
    assert all(0 < one <= rate * (1 + 1e-9) for one in pace.rates)
    assert sum(spent[2:]) <= 1.5 * seconds + 2 * RUNS * (start + 40 / rate)


def test_bytes_per_row_tell_the_size_of_a_file(tmp_path: Path) -> None:
    source = random.Random(0)
    table = pa.table({"uid": [f"{source.getrandbits(128):032x}" for _ in range(20_000)]})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    assert bytes_per_row(table) * 20_000 == pytest.approx((tmp_path / "t.parquet").stat().st_size, rel=0.01)
    assert bytes_per_row(table.slice(0, 0)) == 0


def test_what_the_usual_thresholds_keep() -> None:
    values = (np.random.default_rng(0).permutation(1000).astype(np.float32) + 0.5) / 1000
    scores = pa.table({"uid": ["x"] * 1000, "aesthetic": values, "nsfw": values, "other": values})
    assert keeps(scores) == {
        "aesthetic": {"0.3": 0.7, "0.5": 0.5, "0.7": 0.3, "0.9": 0.1},
        "nsfw": {"0.3": 0.3, "0.5": 0.5, "0.7": 0.7, "0.9": 0.9},
    }


def test_what_a_share_of_the_best_comes_to() -> None:
    values = np.random.default_rng(0).permutation(1000).astype(np.float32) / 1000
    scores = pa.table(
        {
            "uid": ["x"] * 1000,
            "aesthetic": values,
            "aesthetic_raw": values,
            "none": np.full(1000, np.nan),
            "a=b": values,
        }
    )
    levels = {"0.1": 0.9, "0.3": 0.7, "0.5": 0.5}
    assert tops(scores) == {"aesthetic": levels, "a=b": levels}
