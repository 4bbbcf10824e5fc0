"""The rank of samples is a total order, with scores and without."""

import shutil
from pathlib import Path

import numpy as np
from curated import decide
from dedup_sets import Samples, brute_force, clustered, decided, write_set

from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.filters.filtering import Filtering
from pycurate.stages import dedup


def test_rank_without_scores(tmp_path: Path) -> None:
    samples = Samples.of(clustered(200, 16, seed=2))
    write_set(tmp_path, samples, [np.arange(200)])
    shutil.rmtree(tmp_path / "scores")
    sources = sources_of(tmp_path)
    dedup.find_pairs(tmp_path, sources, Settings(0.9))
    samples.aesthetic[:] = 0
    assert decided(decide(tmp_path, sources, Filtering(), None, dedup=True)) == brute_force(samples, 0.9)
