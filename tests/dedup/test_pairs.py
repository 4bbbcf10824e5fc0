"""Few pairs are enough, however large a group is."""

from pathlib import Path

import numpy as np
from dedup_sets import Samples, giant, run

from pycurate.dedup.pairs import LIMIT
from pycurate.dedup.settings import Settings
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table


def test_giant_group_has_few_pairs(tmp_path: Path) -> None:
    samples = giant(50_000)
    got = run(tmp_path, samples, Settings(0.99, cells=4, exact=True))
    assert sum(reason == "kept" for reason, _, _ in got.values()) == 1
    visits = sum(len(np.load(path_of(tmp_path, "assigned", f"{i:05d}"), mmap_mode="r")) for i in range(3))
    assert read_table(path_of(tmp_path, "pairs", "00000")).num_rows <= LIMIT * visits


def test_byte_equal_images_are_compared_once(tmp_path: Path) -> None:
    samples = Samples.of(np.ones((2000, 8), np.float16))
    got = run(tmp_path, samples, Settings(0.99, exact=True))
    assert sorted({reason for reason, _, _ in got.values()}) == ["duplicate_exact", "kept"]
    assert read_table(path_of(tmp_path, "pairs", "00000")).num_rows == len(samples) - 1
