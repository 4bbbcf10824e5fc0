"""The interval covers the truth of known curves, and the choice is the loosest threshold that is good enough."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from pycurate.results.criteria import Side
from pycurate.review.calibration.pairs import pair_bands
from pycurate.review.calibration.precision import Point, curve, loosest, thresholds_of
from pycurate.review.calibration.scores import score_bands
from pycurate.review.calibration.sheet import Band, Item, Sheet
from pycurate.text import exactly

SEEDS = 100
COVERED = 93  # of them, at least
RUN = 0.52  # the duplicate threshold of the simulated runs

Curve = Callable[[np.ndarray], np.ndarray]


def logistic(middle: float, width: float) -> Curve:
    """The chance of yes by similarity or score."""
    return lambda values: 1 / (1 + np.exp((middle - values) / width))


def nearly_all(values: np.ndarray) -> np.ndarray:
    return np.full(len(values), 0.998)


def sheet_of(
    parts: list[np.ndarray], bands: tuple[Band, ...], drawn: list[np.ndarray], keeps: Side, threshold: float | None
) -> tuple[Sheet, np.ndarray, np.ndarray]:
    """The sheet of these positions in the parts, and the band and position of each item."""
    band = np.repeat(np.arange(len(drawn)), [len(places) for places in drawn])
    place = np.concatenate(drawn)
    items = tuple(Item(("",), float(parts[b][p]), int(b)) for b, p in zip(band, place, strict=True))
    return Sheet("", None, keeps, threshold, bands, items), band, place


@pytest.mark.parametrize(
    ("chance", "above", "compared", "count", "answered"),
    [
        (logistic(0.55, 0.03), 20_000, 20_000, 100, 1.0),  # a steep curve
        (nearly_all, 20_000, 20_000, 100, 1.0),
        (logistic(0.60, 0.08), 5_000, 4_000, 100, 0.5),  # half of the questions are left unanswered
        (logistic(0.60, 0.08), 2_000, 2_000, 30, 0.7),  # few answers
        (logistic(0.50, 0.05), 600, 1_500, 100, 1.0),  # a small part of the images was compared
    ],
)
def test_the_interval_of_pairs_covers(chance: Curve, above: int, compared: int, count: int, answered: float) -> None:
    random = np.random.default_rng(99)
    others = 200_000
    upper = (RUN + (1 - RUN) * random.random(above)).astype(np.float32)
    lower = (RUN - np.abs(random.normal(0, 0.12, others))).astype(np.float32)
    same = [random.random(len(part)) < chance(part) for part in (upper, lower)]
    thresholds = (0.51, RUN, 0.56, 0.7, 0.9)
    truth = []
    for threshold in thresholds:
        inside = [part >= np.float32(threshold) for part in (upper, lower)]
        truth.append(np.concatenate([yes[there] for yes, there in zip(same, inside, strict=True)]).mean())
    asked, covered = np.zeros(len(thresholds), int), np.zeros(len(thresholds), int)
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        looked = random.choice(others, compared, replace=False)
        bands, drawn = pair_bands(upper, lower[looked], compared, others, count, random)
        sheet, band, place = sheet_of([upper, lower[looked]], bands, drawn, Side.AT_LEAST, RUN)
        yes = [same[0], same[1][looked]]
        answers = np.array([float(yes[b][p]) for b, p in zip(band, place, strict=True)])
        answers[random.random(len(answers)) > answered] = np.nan
        reach = thresholds_of(sheet)[0]
        for at, point in enumerate(curve(sheet, answers, thresholds)):
            asked[at] += point.threshold >= reach
            covered[at] += point.threshold >= reach and point.low <= truth[at] <= point.high
    assert (asked[1:] == SEEDS).all()
    assert (covered[1:] >= COVERED).all(), covered
    assert asked[0] == 0 or covered[0] >= COVERED / SEEDS * asked[0], (covered, asked)


@pytest.mark.parametrize(
    ("keeps", "chance", "count", "answered"),
    [
        (Side.AT_LEAST, logistic(0.4, 0.1), 100, 1.0),
        (Side.AT_LEAST, nearly_all, 60, 0.5),
        (Side.BELOW, lambda values: 1 - logistic(0.6, 0.08)(values), 100, 0.8),
    ],
)
def test_the_interval_of_scores_covers(keeps: Side, chance: Curve, count: int, answered: float) -> None:
    random = np.random.default_rng(99)
    values = random.beta(2, 3, 50_000).astype(np.float32)
    good = random.random(len(values)) < chance(values)
    thresholds = (0.1, 0.3, 0.5, 0.7) if keeps.above else (0.2, 0.4, 0.6, 0.9)
    covered = np.zeros(len(thresholds), int)
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        bands, drawn = score_bands(values, keeps, count, random)
        sheet, _, place = sheet_of([values] * len(bands), bands, drawn, keeps, None)
        answers = good[place].astype(float)
        answers[random.random(len(answers)) > answered] = np.nan
        for at, point in enumerate(curve(sheet, answers, thresholds)):
            at_side = values >= np.float32(point.threshold) if keeps.above else values < np.float32(point.threshold)
            covered[at] += point.low <= good[at_side].mean() <= point.high
            assert point.images == pytest.approx(at_side.sum(), abs=len(values) / count * 2)
    assert (covered >= COVERED).all(), covered


@pytest.mark.parametrize(("yes", "no"), [(0, 5), (5, 0), (1, 0), (30, 2), (7, 60)])
def test_the_interval_of_one_band_is_clopper_and_pearsons(yes: int, no: int) -> None:
    items = tuple(Item((str(i),), 0.9, 0) for i in range(yes + no + 3))
    sheet = Sheet("", None, Side.AT_LEAST, 0.5, (Band(1000, 1000, 1000),), items)
    (point,) = curve(sheet, np.array([1.0] * yes + [0.0] * no + [np.nan] * 3), [0.5])
    true = scipy.stats.binomtest(yes, yes + no).proportion_ci(0.95, "exact")
    assert (point.images, point.answered, point.agreed) == (1000, yes + no, yes)
    assert point.precision == yes / (yes + no)
    assert (point.low, point.high) == (pytest.approx(true.low, abs=0.01), pytest.approx(true.high, abs=0.01))


def test_without_answers_nothing_is_known() -> None:
    sheet = Sheet("", None, Side.AT_LEAST, 0.5, (Band(9, 9, 9),), (Item(("a",), 0.9, 0),))
    (point,) = curve(sheet, np.array([np.nan]), [0.5])
    assert np.isnan(point.precision) and (point.answered, point.low, point.high) == (0, 0.0, 1.0)
    assert loosest([point], 0.5) is None


def test_the_loosest_threshold_that_reaches_the_precision() -> None:
    points = [
        Point(threshold, images, 50, 50, share, low, 1.0)
        for threshold, images, share, low in (
            (0.5, 400, 0.80, 0.70),
            (0.6, 300, 0.96, 0.90),
            (0.7, 200, 0.94, 0.88),
            (0.8, 100, 0.99, 0.96),
        )
    ]
    assert [getattr(loosest(points, 0.95, certain), "threshold", None) for certain in (False, True)] == [0.6, 0.8]
    assert loosest(points, 0.995) is None
    # Of a score whose low side stays the loosest threshold is the largest: it too is the one with the most images.
    assert loosest(points[::-1], 0.9) == points[1]


@pytest.mark.parametrize("keeps", [Side.AT_LEAST, Side.BELOW])
@pytest.mark.parametrize("spread", [0.0004, 0.04, 0.6])
def test_thresholds_reach_no_further_than_the_items(keeps: Side, spread: float) -> None:
    values = 0.3 + spread * np.random.default_rng(1).random(100)
    items = tuple(Item(("a",), float(np.float32(value)), 0) for value in values)
    run = round(0.3 + spread / 4, 5)
    sheet = Sheet("", None, keeps, run, (Band(100, 100, 100),), items)
    found = thresholds_of(sheet)
    assert 5 < len(found) <= 21 and found == sorted(found) and run in found
    assert all(sheet.inside(threshold).any() for threshold in found)
    assert all(sheet.values.min() <= threshold <= sheet.values.max() for threshold in set(found) - {run})


@pytest.mark.parametrize("keeps", [Side.AT_LEAST, Side.BELOW])
@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_thresholds_are_closest_where_most_items_are_however_small_these(keeps: Side, scale: float) -> None:
    """Scores such as probabilities, most of which are far below the highest."""
    values = scale * np.exp(-12 * np.random.default_rng(2).random(200))
    sheet = Sheet("", "s", keeps, None, (Band(200, 200, 200),), tuple(Item(("a",), one, 0) for one in values.tolist()))
    found = thresholds_of(sheet)
    assert len(exactly(found[0])) < 8 and found == sorted(found)
    shares = [0.0, *sorted(sheet.inside(threshold).mean() for threshold in found), 1.0]
    assert max(np.diff(shares)) < 0.2


def test_each_of_a_few_scores_is_a_threshold() -> None:
    """As a person would write it, though float32 has a number just above it."""
    items = tuple(Item(("a",), float(np.float32(level / 10)), 0) for level in range(1, 6))
    assert thresholds_of(Sheet("", "s", Side.AT_LEAST, None, (Band(5, 5, 5),), items)) == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_precision_that_is_just_reached_is_reached() -> None:
    """Whatever the weights of the bands, of each of which the same share of answers is yes."""
    items = tuple(Item((str(i),), 0.9, i % 2) for i in range(40))
    answers = np.ones(40)
    answers[:2] = 0
    for images in range(100, 140):
        bands = Band(images, images, images), Band(2 * images + 1, images, images // 3)
        points = curve(Sheet("", None, Side.AT_LEAST, 0.5, bands, items), answers, [0.5])
        assert points[0].precision == pytest.approx(0.95) and loosest(points, 0.95) == points[0]
