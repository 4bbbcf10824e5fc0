"""Intervals cover the truth as often as they say."""

import random
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from tars import made_shards

from pycurate.estimate.sampling import student, total
from pycurate.estimate.survey import stratum
from pycurate.shards.count import count


@pytest.mark.parametrize("read", [10, 20, 45])
def test_intervals_cover_the_truth_as_often_as_they_say(tmp_path: Path, read: int) -> None:
    counts = [count(shard) for shard in made_shards(tmp_path, 90, seed=1)]
    shards = [one.shard for one in counts]
    truth = sum(one.samples for one in counts)
    source = random.Random(0)
    intervals = [total([stratum(shards, source.sample(counts, read), "samples")]) for _ in range(2000)]
    covered = sum(interval.low <= truth <= interval.high for interval in intervals) / len(intervals)
    assert 0.93 <= covered <= 0.98
    # And they are of use: their mean half width is below what a mean per shard would give.
    half = np.mean([(interval.high - interval.low) / 2 for interval in intervals])
    blind = 1.96 * len(shards) * np.std([one.samples for one in counts]) * np.sqrt((1 - read / 90) / read)
    assert half < 0.7 * blind


@pytest.mark.parametrize("degrees", [7, 9, 19, 49, 199])
def test_quantiles_are_those_of_students_distribution(degrees: int) -> None:
    assert student(degrees) == pytest.approx(scipy.stats.t.ppf(0.975, degrees), abs=1e-4)
