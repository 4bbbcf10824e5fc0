"""What the sliders count: exactly what numpy counts one by one, within bounds, for any number of scores."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.filters.filtering import Filtering
from pycurate.report import sliders as module
from pycurate.report.sliders import Axis, Sliders, axes_of, sliders
from pycurate.report.summary import histograms
from pycurate.results.criteria import Criteria, Side
from pycurate.results.tables import write_table

NAMES = ("aesthetic", "nsfw", "clip_score", "s3", "s4", "s5", "s6", "s7", *(f"s{i}" for i in range(8, 14)))
LATER = ["top_s9", "duplicate_exact", "duplicate_near", "duplicate_reference", "balanced"]


def test_what_looks_at_all_samples_acts_after_every_filter() -> None:
    filtering = Filtering(aesthetic_threshold=0.5, min_side=9, blocklist=["md5:x"], keep_top=["s9=0.5"])
    assert sorted(Criteria(tuple(filtering.rules())).later()) == sorted(LATER)


def decide(folder: Path, scores: dict[str, np.ndarray], thresholds: dict[str, float], seed: int) -> pa.Table:
    """Decisions as filters make them, with some that LATER drops, unreadable samples and another filter's drops."""
    random = np.random.default_rng(seed)
    size = len(next(iter(scores.values())))
    reason = np.full(size, "kept", "U20")
    reason[random.random(size) < 0.05] = "mine"
    for name, threshold in reversed(thresholds.items()):
        reason[~passes(name, scores[name], threshold)] = name
    kept = np.flatnonzero(reason == "kept")
    some = random.choice(kept, len(kept) // 4, replace=False)
    reason[some] = random.choice(LATER, len(some))
    reason[random.random(size) < 0.05] = "unreadable"
    columns = {name: pa.array(values, pa.float32()) for name, values in scores.items()}
    table = pa.table({**columns, "kept": pa.array(reason == "kept"), "reason": pa.array(reason.tolist())})
    write_table(folder / "decisions.parquet", table)
    return table


def sides_of(thresholds: dict[str, float]) -> dict[str, Side]:
    """Of the scores that have a slider."""
    names = dict.fromkeys(["aesthetic", "nsfw", *thresholds])
    return {name: Side.BELOW if name == "nsfw" else Side.AT_LEAST for name in names}


def passes(name: str, scores: np.ndarray, threshold: float) -> np.ndarray:
    if name == "nsfw":
        return scores < np.float32(threshold)
    return (scores >= np.float32(threshold)) | (np.isnan(scores) if name == "clip_score" else False)


def truth(table: pa.Table, axes: list[Axis], stands: list[int]) -> tuple[int, int]:
    """Samples that pass all filters at these stands, and those of them that the run kept: one comparison a sample."""
    reason = table["reason"].to_numpy(zero_copy_only=False)
    own = ["kept", *LATER, *(axis.name for axis in axes)]
    there = np.isin(reason, own)
    for axis, stand in zip(axes, stands, strict=True):
        if not (axis.off and stand == axis.start):
            there &= passes(axis.name, table[axis.name].to_numpy(), axis.edges[stand])
    return int(there.sum()), int((there & (reason == "kept")).sum())


def counted(found: Sliders, stands: list[int]) -> tuple[int, int]:
    """The same from the page's data."""
    data = json.loads(json.dumps(found.data(), default=lambda value: value.tolist()))
    moved = {i for i, axis in enumerate(found.axes) if stands[i] != axis.start}
    one = next(one for one in data["counts"] if moved <= set(one["axes"]))
    here = np.ones(len(one["passing"]), bool)
    for axis, bins in zip(one["axes"], one["bins"], strict=True):
        here &= found.axes[axis].kept(stands[axis])[np.array(bins, int)]
    return int(np.array(one["passing"])[here].sum()), int(np.array(one["kept"])[here].sum())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 8),
    size=st.integers(0, 400),
    seed=st.integers(0, 2**32 - 1),
    numbers=st.sampled_from([1, 600, 3000, 10**6]),
    grid=st.sampled_from([4, 100, 10**6]),
)
def test_every_stand_counts_what_numpy_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, size: int, seed: int, numbers: int, grid: int
) -> None:
    monkeypatch.setattr(module, "NUMBERS", numbers)
    random = np.random.default_rng(seed)
    names = NAMES[:count]
    scores = {name: (random.integers(0, grid + 1, size) / grid).astype(np.float32) for name in names}
    for name in names[2:]:
        scores[name] = scores[name] * 3 - 1
    for values in scores.values():
        values[random.random(size) < 0.03] = np.nan
    thresholds = {
        name: round(float(random.random()), 3) for name in names if name not in names[:2] or random.random() < 0.7
    }
    table = decide(tmp_path, scores, thresholds, seed)
    axes = axes_of(histograms(tmp_path, names, thresholds), thresholds, sides_of(thresholds), {"clip_score"})
    found = sliders(tmp_path, axes, LATER)
    assert found.together == len(axes) or (len(axes) > 3 and found.together in (1, 2))
    for _ in range(12 if axes else 0):
        stands = [axis.start for axis in axes]
        for moved in random.choice(len(axes), found.together, replace=False):
            stands[moved] = int(random.integers(len(axes[moved].edges)))
        assert counted(found, stands) == truth(table, axes, stands)


@pytest.mark.parametrize(("count", "together"), [(1, 1), (2, 2), (3, 3), (4, 4), (8, 2), (14, 1)])
def test_the_page_stays_small_whatever_the_number_of_scores(tmp_path: Path, count: int, together: int) -> None:
    random = np.random.default_rng(count)
    scores = {name: random.random(200_000).astype(np.float32) for name in NAMES[:count]}
    thresholds = {name: 0.955 if name == "nsfw" else 0.045 for name in scores}
    table = decide(tmp_path, scores, thresholds, count)
    axes = axes_of(histograms(tmp_path, list(scores), thresholds), thresholds, sides_of(thresholds), {"clip_score"})
    found = sliders(tmp_path, axes, LATER)
    assert found.together == together
    assert [one.axes for one in found.counts] == list(combinations(range(count), together))
    cells = sum(one.cells.num_rows for one in found.counts)
    assert cells <= 103**3 if count <= 3 else cells * together <= max(module.NUMBERS, 103 * count)
    for moved in list(combinations(range(count), together))[:10]:
        stands = [int(random.integers(101)) if i in moved else axis.start for i, axis in enumerate(axes)]
        assert counted(found, stands) == truth(table, axes, stands)


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
def test_a_stand_is_told_as_the_number_that_is_counted(tmp_path: Path, scale: float) -> None:
    scores = {"mix": (scale * np.random.default_rng(0).normal(size=1000)).astype(np.float32)}
    decide(tmp_path, scores, {"mix": 0.0}, 0)
    (axis,) = axes_of(histograms(tmp_path, ["mix"], {"mix": 0.0}), {"mix": 0.0}, {"mix": Side.AT_LEAST}, set())
    (told,) = sliders(tmp_path, [axis], LATER).data()["axes"]
    assert np.array_equal(np.array(json.loads(json.dumps(told["edges"])), np.float32), axis.edges)


def test_what_a_second_filter_on_a_score_drops_is_not_counted(tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    aesthetic, nsfw = random.random((2, 1000)).astype(np.float32)
    second = nsfw >= np.float32(0.2)  # a --min_score beside the NSFW threshold, with the same reason
    kept = (aesthetic >= np.float32(0.5)) & (nsfw < np.float32(0.5)) & second
    reason = np.where(aesthetic < np.float32(0.5), "aesthetic", np.where(kept, "kept", "nsfw"))
    columns = {"aesthetic": aesthetic, "nsfw": nsfw, "kept": kept, "reason": reason.tolist()}
    write_table(tmp_path / "decisions.parquet", pa.table(columns))
    thresholds = {"aesthetic": 0.5, "nsfw": 0.5}
    axes = axes_of(histograms(tmp_path, list(thresholds), thresholds), thresholds, sides_of(thresholds), set())
    found = sliders(tmp_path, axes, LATER)
    starts = [axis.start for axis in axes]
    assert counted(found, starts) == (kept.sum(), kept.sum())
    for stand, edge in enumerate(axes[1].edges):
        passing = (aesthetic >= np.float32(0.5)) & (nsfw < edge) & second
        assert counted(found, [starts[0], stand]) == (passing.sum(), (passing & kept).sum())


def test_the_counts_do_not_depend_on_how_the_rows_lie(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    scores = {name: random.random(100_000).astype(np.float32) for name in NAMES[:2]}
    table = decide(tmp_path, scores, {"aesthetic": 0.5}, 5)
    axes = axes_of(
        histograms(tmp_path, list(scores), {"aesthetic": 0.5}), {"aesthetic": 0.5}, sides_of({}), {"clip_score"}
    )
    before = sliders(tmp_path, axes, LATER).counts[0].cells
    write_table(tmp_path / "decisions.parquet", table.take(random.permutation(table.num_rows)))
    assert sliders(tmp_path, axes, LATER).counts[0].cells.equals(before)
