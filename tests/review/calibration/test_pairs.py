"""The pairs that are asked about are those of brute force, each image with the better one most like it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from curated import decide
from dedup_sets import Samples, clustered, run, write_set

from pycurate.dedup.pairs import LIMIT
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.dedup.vectors import as_compared, similarity
from pycurate.errors import UsageError
from pycurate.filters.filtering import Filtering
from pycurate.review.calibration import pairs
from pycurate.review.calibration.pairs import pair_bands, pair_identity, pair_sheet

THRESHOLD = 0.9


def truth(samples: Samples, aesthetic: float, nsfw: float = 2.0) -> dict[str, tuple[set[str], float]]:
    """By uid, the nearest better images (all that are equally near) and their similarity; byte-equal ones once."""
    every = samples.rank("best", range(len(samples)))
    ranked = [i for i in every if samples.aesthetic[i] >= aesthetic and samples.nsfw[i] < nsfw]
    firsts = [i for at, i in enumerate(ranked) if samples.content[i] not in samples.content[ranked[:at]]]
    vectors = as_compared(samples.vectors)
    found = {}
    for at, i in enumerate(firsts[1:], 1):
        better = np.array(firsts[:at])
        alike = similarity(vectors[better], np.repeat(vectors[i : i + 1], at, axis=0))
        nearest = better[alike == alike.max()]
        found[samples.uid(i)] = {samples.uid(int(other)) for other in nearest}, float(alike.max())
    return found


@pytest.fixture(scope="module")
def samples() -> Samples:
    return Samples.of(clustered(300, 24, seed=5))


@pytest.fixture(scope="module")
def results(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    run(folder, samples, Settings(THRESHOLD), aesthetic=0.25)
    return folder


def check_sheet(samples: Samples, results: Path, known: dict[str, tuple[set[str], float]]) -> None:
    """That all the pairs of a run are those of `truth`."""
    vectors = as_compared(samples.vectors).astype(np.float32)
    alike = dict(
        zip(map(samples.uid, range(len(samples))), (vectors @ vectors.T >= THRESHOLD).sum(axis=1), strict=True)
    )
    sheet = pair_sheet(results, 10_000)  # more than there are: all of them
    upper, lower = sheet.bands
    assert upper.images == sum(value >= np.float32(THRESHOLD) for _, value in known.values())
    assert len({item.uids[1] for item in sheet.items}) == len(sheet.items)
    listed = 0
    for item in sheet.items:
        nearest, value = known[item.uids[1]]
        assert item.band == (value < np.float32(THRESHOLD))
        if alike[item.uids[1]] <= LIMIT:  # else the search need not list the nearest
            assert item.value == value and item.uids[0] in nearest
            listed += 1
        assert THRESHOLD <= item.value <= value or item.band
    assert listed > len(sheet.items) / 2
    asked = {item.uids[1] for item in sheet.items}
    below = sorted((value for _, value in known.values() if 0 < value < np.float32(THRESHOLD)), reverse=True)
    missed = [value for uid, (_, value) in known.items() if uid not in asked and value > 0]
    assert max(missed, default=0) <= below[lower.found - 1]  # what is left out lies below what is asked


def test_each_image_stands_with_the_better_one_most_like_it(samples: Samples, results: Path) -> None:
    check_sheet(samples, results, truth(samples, 0.25))


def test_a_copy_that_passes_the_filters_stands_for_a_better_one_that_does_not(tmp_path: Path) -> None:
    """As where they have other captions, which a filter looks at."""
    samples = Samples.of(clustered(300, 24, seed=5))
    samples.nsfw = np.random.default_rng(0).random(len(samples))
    run(tmp_path, samples, Settings(THRESHOLD), nsfw=0.5)
    check_sheet(samples, tmp_path, truth(samples, 0.0, 0.5))


def test_a_random_part_of_the_images_stands_for_all(
    samples: Samples, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = truth(samples, 0.25)
    monkeypatch.setattr(pairs, "PRODUCTS", 80 * len(known))
    sheet = pair_sheet(results, 40)
    lower = sheet.bands[1]
    assert lower.compared <= 80 < lower.of and len(sheet.items) == 40
    reach = min(item.value for item in sheet.items)
    held = sum(bool(reach <= value < np.float32(THRESHOLD)) for _, value in known.values())
    assert lower.images == pytest.approx(held, rel=0.5)


def test_half_of_the_questions_lie_below_the_threshold() -> None:
    random = np.random.default_rng(0)
    above, below = 0.5 + random.random(4000) / 2, random.random(3000) / 2
    bands, drawn = pair_bands(above, below, 3000, 30_000, 100, random)
    assert [len(places) for places in drawn] == [50, 50]
    assert bands[0].images == 4000 and bands[1].images == pytest.approx(4000, rel=0.01)
    bands, drawn = pair_bands(above, below[:10], 10, 10, 100, random)
    assert [len(places) for places in drawn] == [90, 10] and bands[1].images == 10
    bands, drawn = pair_bands(above[:0], below, 3000, 3000, 100, random)
    assert [len(places) for places in drawn] == [0, 100] and bands[0].images == 0


def test_the_same_tables_give_the_same_sheet_and_others_another(
    samples: Samples, results: Path, tmp_path: Path
) -> None:
    sheet = pair_sheet(results, 20)
    assert sheet == pair_sheet(results, 20) and sheet.run == pair_identity(results)
    run(tmp_path / "looser", samples, Settings(THRESHOLD - 0.05), aesthetic=0.25)
    run(tmp_path / "filtered", samples, Settings(THRESHOLD), aesthetic=0.5)
    copied = shutil.copytree(results, tmp_path / "copied")
    runs = [pair_identity(tmp_path / name) for name in ("looser", "filtered")]
    assert len({sheet.run, *runs}) == 3 and pair_identity(copied) == sheet.run


def test_what_balance_left_out_is_asked_about_too(results: Path, tmp_path: Path) -> None:
    """It passes the filters, and duplicates were dropped among all that does."""
    folder = shutil.copytree(results, tmp_path / "balanced")
    filtering = Filtering(0.25, 2.0, balance="cells", target=20)
    assert decide(folder, sources_of(folder), filtering, None, dedup=True)["kept"].to_numpy().sum() == 20
    assert pair_sheet(folder, 50) == pair_sheet(results, 50)


def test_a_run_without_pairs_is_refused(samples: Samples, tmp_path: Path) -> None:
    write_set(tmp_path, samples, [np.arange(len(samples))])
    with pytest.raises(UsageError, match="did not deduplicate"):
        pair_sheet(tmp_path, 10)


@pytest.mark.parametrize("passing", [0, 1])
def test_without_two_images_there_is_nothing_to_ask(tmp_path: Path, passing: int) -> None:
    few = Samples.of(clustered(30, 24, seed=5))
    few.aesthetic[:] = 0.0
    few.aesthetic[:passing] = 1.0
    run(tmp_path, few, Settings(THRESHOLD), aesthetic=0.5)
    with pytest.raises(UsageError, match="no two images to compare"):
        pair_sheet(tmp_path, 10)
