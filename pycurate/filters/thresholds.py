"""Filters that compare a score with a number."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from pycurate.errors import UsageError
from pycurate.parameters import optional_scores
from pycurate.results.criteria import Rule, Side
from pycurate.results.tables import LABELS, SAMPLES


@dataclass(frozen=True)
class MinClipScore:
    """Pass a sample whose CLIP score is at least `minimum`, and one that has none; HasCaption drops the latter."""

    minimum: float
    reason: ClassVar[str] = "clip_score"

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,). Raises UsageError if there is no column clip_score."""
        if self.reason not in table.column_names:
            raise UsageError(
                "--clip-score-threshold requires a CLIP score; run the workflow again with --clip_score_threshold and "
                "-resume, or score.py with --clip-score first."
            )
        # Scores are stored as float32: the threshold is rounded alike, so that a score printed as 0.3 passes 0.3.
        return ~(table[self.reason].to_numpy().astype(np.float64) < np.float32(self.minimum))


@dataclass(frozen=True)
class Threshold:
    """Pass a sample whose score is on this side of the threshold: `Side.AT_LEAST` or `Side.BELOW`.

    The score names the filter in the decisions. A NaN or null score passes no threshold: a sample that could not be
    scored costs itself and not the run, and is dropped for this filter's reason.
    """

    column: str
    keeps: Side
    threshold: float

    def __post_init__(self) -> None:
        """Raises UsageError for a threshold that is no number."""
        if np.isnan(self.threshold):
            raise UsageError(f"The threshold on {self.column} is not a number; give one in the range of the score.")

    @property
    def reason(self) -> str:
        """The score's name."""
        return self.column

    def passes(self, scores: pa.Table) -> np.ndarray:
        """bool (n,) over the rows of `scores`. Raises UsageError if the column is not among them."""
        values = score_of(scores, self.column)
        # Scores are stored as float32: the threshold is rounded alike, so that a score printed as 0.7 passes 0.7.
        threshold = np.float32(self.threshold)
        # A NaN is on neither side.
        return values >= threshold if self.keeps == Side.AT_LEAST else values < threshold


def score_of(scores: pa.Table, column: str) -> np.ndarray:
    """float64 (n,): a score of each row, NaN where it has none. Raises UsageError if it is no column of numbers."""
    if column not in scores.column_names or pa.types.is_string(scores.schema.field(column).type):
        there = ", ".join(name for name in scores.column_names if name not in (*SAMPLES.names, *LABELS)) or "none"
        more = "add a scorer that computes it"
        if column in optional_scores():
            option = f"--{column.replace('_', '-')}"
            more = f"run the workflow again with --{column} true and -resume (embed.py and score.py: {option})"
        raise UsageError(f"There is no score {column}, only {there}; leave out its threshold, or {more}.")
    return scores[column].to_numpy().astype(np.float64)


def minimum_of(text: str) -> Rule:
    """The filter that `COLUMN=NUMBER` names: keep what scores at least that. Raises UsageError if it names none."""
    column, equals, number = text.partition("=")
    try:
        minimum = float(number if column and equals else "")
    except ValueError:
        minimum = math.nan
    if not abs(minimum) <= float(np.finfo(np.float32).max):  # nor is NaN; JSON, in which results state it, has neither
        raise UsageError(f"{text!r} is not a minimum score; write COLUMN=NUMBER, such as probe=0.5.")
    return Rule("min_score", column, column, Side.AT_LEAST, minimum)
