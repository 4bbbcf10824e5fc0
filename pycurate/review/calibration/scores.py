"""The images that are asked about to choose the threshold on a score."""

import hashlib
from pathlib import Path
from shlex import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import UsageError
from pycurate.filters.filtering import FILTERS
from pycurate.results.criteria import Side, read_criteria
from pycurate.results.layout import path_of
from pycurate.results.reasons import BLOCKED
from pycurate.results.tables import score_columns, stream
from pycurate.review.calibration.sheet import SEED, Band, Item, Sheet, shuffled, systematic
from pycurate.text import exactly

SHARES = (0.25, 0.25, 0.5)
"""Of the images in each band, the strictest first: a third of the questions are about the quarter that scores best."""


def score_sheet(results: Path, score: str, count: int) -> Sheet:
    """Draw `count` of the images that have the score. Raises UsageError if there is no such score, or no image."""
    uids, values, run = _scored(results, score)
    rule = read_criteria(results).deciding().get(score)
    keeps = rule.keeps if rule and rule.keeps else side_of(score)
    random = np.random.default_rng(SEED)
    bands, drawn = score_bands(values, keeps, count, random)
    items = [
        Item((uid,), value, band)
        for band, places in enumerate(drawn)
        for uid, value in zip(uids.take(pa.array(places)).to_pylist(), values[places].tolist(), strict=True)
    ]
    threshold = rule.threshold if rule else None
    return Sheet(run, score, keeps, threshold, bands, shuffled(items, random))


def score_identity(results: Path, score: str) -> str:
    """What identifies these scores of these images, 64 hex digits. Raises UsageError as `score_sheet` does."""
    return _scored(results, score)[2]


def score_bands(
    values: np.ndarray, keeps: Side, count: int, random: np.random.Generator
) -> tuple[tuple[Band, ...], list[np.ndarray]]:
    """Bands of float (n,), the best on this side of a threshold first, and the positions drawn from each."""
    order = np.argsort(-values if keeps.above else values, kind="stable")
    ends = (len(values) * np.cumsum(SHARES)).round().astype(int)
    bands, drawn = [], []
    for left, places in zip(range(len(SHARES), 0, -1), np.split(order, ends[:-1]), strict=True):
        taken = places[systematic(values[places], round(count / left), random)]
        count -= len(taken)
        bands.append(Band(len(places), len(places), len(places)))
        drawn.append(taken)
    return tuple(bands), drawn


def side_of(score: str) -> Side:
    """The side of a threshold on the score that its filter keeps."""
    return next((kind.keeps for kind in FILTERS.values() if kind.column == score), Side.AT_LEAST)


def option_of(score: str, keeps: Side, threshold: float) -> str:
    """The parameter of the workflow that keeps this side of the threshold on the score, as a shell takes it."""
    name = next((name for name, kind in FILTERS.items() if (kind.column, kind.keeps) == (score, keeps)), None)
    return f"--{name} {exactly(threshold)}" if name else f"--min_score {quote(f'{score}={exactly(threshold)}')}"


def _scored(results: Path, score: str) -> tuple[pa.ChunkedArray, np.ndarray, str]:
    """The uids, strings, of the images that have the score, float32 (n,), and what identifies both."""
    names = score_columns(results)
    if score not in names:
        raise UsageError(
            f"{results} has no score {score}; choose one of {', '.join(names) or 'none, as there is none'}."
        )
    uids, parts = [pa.array([], pa.string())], [np.zeros(0, np.float32)]
    digest = hashlib.sha256(score.encode())
    for batch in stream(path_of(results, "decisions"), ["uid", score, "reason"]):
        shown = pc.and_(pc.is_finite(batch[score]), pc.not_equal(batch["reason"], BLOCKED))  # of the blocked nothing is
        batch = batch.filter(shown)
        uids.append(batch["uid"])
        parts.append(batch[score].to_numpy().astype(np.float32))
        digest.update("".join(batch["uid"].to_pylist()).encode())
    values = np.concatenate(parts)
    if not len(values):
        raise UsageError(f"No image of {results} has the score {score}; choose another one.")
    digest.update(values.tobytes())
    return pa.chunked_array(uids), values, digest.hexdigest()
