"""Groups of duplicates: whatever is filtered, one of a group is kept, and all of them are listed."""

from pathlib import Path

import numpy as np
import pytest
from curated import decide
from dedup_sets import Samples, brute_force, giant, run, write_set

from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.filters.filtering import Filtering
from pycurate.results.tables import read_table
from pycurate.stages import dedup


@pytest.mark.parametrize("nsfw", [0.9, 0.01, 0.002])
def test_giant_group_whose_best_are_filtered(tmp_path: Path, nsfw: float) -> None:
    samples = giant(3000)
    samples.nsfw[samples.aesthetic > 0.9] = 1  # none of those listed as duplicates of the others passes
    got = run(tmp_path, samples, Settings(0.99, cells=2, exact=True), nsfw=nsfw)
    assert got == brute_force(samples, 0.99, nsfw=nsfw)
    assert sum(reason == "kept" for reason, _, _ in got.values()) == 1


def test_a_group_that_visits_many_cells_and_whose_best_are_filtered(tmp_path: Path) -> None:
    """In every one of them the lists end too early."""
    random = np.random.default_rng(0)
    vectors = 1 + 0.3 * random.normal(size=(2000, 8))
    samples = Samples.of(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    samples.nsfw[samples.rank("best", range(2000))[:1700]] = 2
    got = run(tmp_path, samples, Settings(0.5, cells=80, exact=True))
    assert got == brute_force(samples, 0.5)
    assert sum(reason == "kept" for reason, _, _ in got.values()) == 1


def test_lists_that_turn_out_too_short_one_after_the_other(tmp_path: Path) -> None:
    """Each eight are like the eight before them, which are the best, and are gone for one that those are not like."""
    links = 70
    axes = np.eye(2 * links)
    eights = (axes[:links] + axes[1 : links + 1]) / np.sqrt(2)
    ones = 0.7 * eights[1:] + 0.71 * axes[links + 1 :]
    vectors = np.repeat(eights, 9, axis=0)
    vectors[8:-1:9] = ones
    vectors = vectors[:-1] + 0.0005 * np.random.default_rng(0).normal(size=(9 * links - 1, 2 * links))
    samples = Samples.of(vectors)
    samples.detail, samples.nsfw = -np.arange(len(samples)), np.repeat([2.0, 0], [8, len(samples) - 8])
    got = run(tmp_path, samples, Settings(0.45, exact=True))
    assert got == brute_force(samples, 0.45)
    assert sum(reason == "kept" for reason, _, _ in got.values()) == links - 1


def test_images_of_one_uid_in_two_references_have_a_group_each(tmp_path: Path) -> None:
    """As when each crawl begins with 00000.tar: their first images have one uid, and are not the same image."""
    samples = Samples.of(np.repeat(np.eye(2, dtype=np.float16), 3, axis=0))
    turned = Samples(*(array[::-1] for array in vars(samples).values()))
    references = [write_set(tmp_path / "first", samples, [np.arange(1)])]
    references.append(write_set(tmp_path / "second", turned, [np.arange(1)]))
    results = write_set(tmp_path / "new", samples, [np.arange(1, 5)])
    sources = sources_of(results, references)
    dedup.find_pairs(results, sources, Settings(0.9))
    decide(results, sources, Filtering(), None, dedup=True)
    groups: dict[int, list[tuple[bool, str]]] = {}
    for row in read_table(results / "duplicates.parquet").to_pylist():
        groups.setdefault(row["group"], []).append((row["kept"], row["uid"]))
    of_one, of_other = ([(True, samples.uid(0)), *((False, samples.uid(i)) for i in own)] for own in ((1, 2), (3, 4)))
    assert sorted(map(sorted, groups.values())) == sorted(map(sorted, (of_one, of_other)))


def test_groups_lists_the_largest_first(tmp_path: Path) -> None:
    samples = Samples.of(np.repeat(np.eye(3, dtype=np.float16), [2, 5, 1], axis=0))
    write_set(tmp_path, samples, [np.arange(8)])
    sources = sources_of(tmp_path)
    dedup.find_pairs(tmp_path, sources, Settings(0.9))
    decide(tmp_path, sources, Filtering(), None, dedup=True)
    table = read_table(tmp_path / "duplicates.parquet")
    assert table["group"].to_pylist() == [0] * 5 + [1] * 2
    assert table["kept"].to_pylist() == [True] + [False] * 4 + [True, False]
    assert table["similarity"].to_pylist() == [None] + [1.0] * 4 + [None, 1.0]
