"""Fast mode loses few pairs, and says how many."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from curated import decide
from dedup_sets import Samples, run

from pycurate.dedup.brute_force import check_decisions
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.errors import LedgerError
from pycurate.filters.filtering import Filtering
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table


def test_fast_mode_loses_few_and_says_how_many(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    spread = np.arange(1, 33) ** -0.5
    vectors = random.normal(size=(6000, 32)) * spread + 0.5
    vectors[3000:] = vectors[:3000] + random.normal(size=(3000, 32)) * spread * random.uniform(0, 0.5, (3000, 1))
    samples = Samples.of((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16))
    fast = run(tmp_path / "fast", samples, Settings(0.97, "best", False, 256))
    other = run(tmp_path / "other", samples, Settings(0.97, "best", False, 256, 3), parts=5)
    assert fast == other  # however the work is split
    told = json.loads((tmp_path / "fast" / "dedup.json").read_text())

    run(tmp_path / "exact", samples, Settings(0.97, "best", True, 16))
    found, all_pairs = (_pairs(tmp_path / name) for name in ("fast", "exact"))
    assert found < all_pairs
    true = len(found) / len(all_pairs)
    assert told["low"] <= true <= told["high"] and told["high"] - told["low"] < 0.2 and told["probes"] > 20

    with pytest.raises(LedgerError, match="both kept"):
        sources = sources_of(tmp_path / "fast")
        check_decisions(sources, decide(tmp_path / "fast", sources, Filtering(), None, dedup=True), 0.97)


def test_without_duplicates_the_recall_of_fast_mode_is_not_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 32))
    samples = Samples.of((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16))
    with caplog.at_level(logging.WARNING):
        run(tmp_path, samples, Settings(0.97, "best", False, 4))
    told = json.loads((tmp_path / "dedup.json").read_text())
    assert (told["low"], told["high"], told["probes"]) == (0, 1, 0)
    assert "is not known" in caplog.text and "100.00 %" not in caplog.text


def _pairs(results: Path) -> set[tuple[int, int]]:
    """All near pairs found, by uid-independent numbers; the limit of each list is not met here."""
    table = read_table(path_of(results, "pairs", "00000"))
    table = table.filter(np.array(table["probe"].to_numpy() < 2))
    return set(zip(table["later"].to_pylist(), table["earlier"].to_pylist(), strict=True))
