"""How scores are spread, in bins: what the summary's quantiles and the report's charts are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycurate.results.layout import path_of
from pycurate.results.tables import stream
from pycurate.text import shortest

BINS = 100  # of a histogram
FINE = 10_000  # bins for quantiles: they are right to a ten-thousandth of the score's range
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass
class Histogram:
    """Counts of a score. Scores in 0-1 share their edges, so that charts compare; others have their own range.

    `edges`: float32 (bins + 1,), ascending; bin i holds edges[i] <= score < edges[i + 1], and the last its upper edge.
    `scored`, `kept`: int64 (bins,), of all samples that have the score, and of the kept ones.
    """

    edges: np.ndarray
    scored: np.ndarray
    kept: np.ndarray
    mean: float
    quantiles: dict[str, float]


def histograms(results: Path, columns: Sequence[str], thresholds: dict[str, float]) -> dict[str, Histogram]:
    """The histogram of each score that any sample has. A threshold becomes an edge, so no bin lies on both sides."""
    path = path_of(results, "decisions")
    ranges = {name: (np.inf, -np.inf, 0.0, 0) for name in columns}
    for batch in stream(path, list(columns)):
        for name in columns:
            values = batch[name].to_numpy(zero_copy_only=False)
            values = values[np.isfinite(values)]
            if len(values):
                low, high, total, count = ranges[name]
                ranges[name] = (
                    min(low, float(values.min())),
                    max(high, float(values.max())),
                    total + float(values.sum(dtype=np.float64)),
                    count + len(values),
                )
    ranges = {name: entry for name, entry in ranges.items() if entry[3]}
    edges = {name: _edges(low, high, thresholds.get(name)) for name, (low, high, *_) in ranges.items()}
    scored = {name: np.zeros(len(edges[name]) - 1, np.int64) for name in ranges}
    kept = {name: np.zeros(len(edges[name]) - 1, np.int64) for name in ranges}
    fine = {name: np.zeros(FINE, np.int64) for name in ranges}
    for batch in stream(path, [*ranges, "kept"]):
        keeps = batch["kept"].to_numpy(zero_copy_only=False)
        for name, (low, high, *_) in ranges.items():
            values = batch[name].to_numpy(zero_copy_only=False)
            known = np.isfinite(values)
            bins = bin_of(values[known], edges[name])
            scored[name] += np.bincount(bins, minlength=len(scored[name]))
            kept[name] += np.bincount(bins[keeps[known]], minlength=len(kept[name]))
            if low < high:  # in float64, since float32 may not have so many numbers between the two
                fine[name] += np.histogram(values[known].astype(np.float64), FINE, (low, high))[0]
            else:
                fine[name][0] += len(bins)
    return {
        name: Histogram(edges[name], scored[name], kept[name], total / count, _quantiles(fine[name], low, high))
        for name, (low, high, total, count) in ranges.items()
    }


def bin_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """int64: the bin of each value; those outside the edges go to the first and the last bin."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def _edges(low: float, high: float, threshold: float | None) -> np.ndarray:
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low == high:
        low, high = min(low, 0.0), max(high, 0.0)
    edges = np.linspace(low, high, BINS + 1).astype(np.float32)
    if threshold is not None:
        edges = np.union1d(edges, np.float32(threshold))
    return edges


def _quantiles(fine: np.ndarray, low: float, high: float) -> dict[str, float]:
    """From the cumulative counts of FINE equal bins."""
    reached = np.concatenate([[0], np.cumsum(fine)]) / fine.sum()
    values = np.interp(QUANTILES, reached, np.linspace(low, high, FINE + 1))
    values[0], values[-1] = low, high
    told = map(shortest, values.astype(np.float32))
    return {f"{quantile:g}": value for quantile, value in zip(QUANTILES, told, strict=True)}
