"""Filters as data: each is a named question to the scores, and answers with a mask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pycurate.clip_score import MinClipScore
from pycurate.errors import ModelError, PycurateError, UsageError
from pycurate.metadata_filters import CaptionCharacters, CaptionWords, Filter, HasCaption, MaxAspect, MinSide
from pycurate.presets import load_filter
from pycurate.tables import SAMPLES

OWN_REASONS = ("kept", "unreadable", "duplicate_exact", "duplicate_near", "duplicate_reference")
"""What decisions are called that no filter makes, and no filter may be called."""


@dataclass(frozen=True)
class Threshold:
    """Pass a sample whose score is at least `minimum` and below `maximum`.

    `reason` names the filter in the decisions. A NaN or null score passes no threshold: a sample that could not be
    scored costs itself and not the run, and is dropped for this filter's reason.
    """

    column: str
    reason: str
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for a threshold that is no number."""
        if any(bound is not None and np.isnan(bound) for bound in (self.minimum, self.maximum)):
            raise UsageError(f"The threshold on {self.column} is not a number; give one in the range of the score.")

    def passes(self, scores: pa.Table) -> np.ndarray:
        """bool (n,) over the rows of `scores`. Raises UsageError if the column is not among them."""
        if self.column not in scores.column_names:
            there = ", ".join(name for name in scores.column_names if name not in SAMPLES.names) or "none"
            raise UsageError(
                f"There is no score {self.column} to put a threshold on, only {there}; "
                "leave the threshold out or score with a model that gives it."
            )
        values = scores[self.column].to_numpy().astype(np.float64)
        mask = ~np.isnan(values)
        # Scores are stored as float32: the threshold is rounded alike, so that a score printed as 0.7 passes 0.7.
        if self.minimum is not None:
            mask &= values >= np.float32(self.minimum)
        if self.maximum is not None:
            mask &= values < np.float32(self.maximum)
        return mask


def minimum_of(text: str) -> Threshold:
    """The filter that `COLUMN=NUMBER` names: keep what scores at least that. Raises UsageError if it names none."""
    column, equals, number = text.partition("=")
    try:
        return Threshold(column, column, minimum=float(number if column and equals else ""))
    except ValueError as error:
        raise UsageError(f"{text!r} is no minimum of a score; write COLUMN=NUMBER, such as probe=0.5.") from error


@dataclass(frozen=True)
class Filtering:
    """Which filters are on, by the names and in the units of the workflow's parameters. None: that filter is off."""

    aesthetic_threshold: float | None = None
    nsfw_threshold: float | None = None
    clip_score_threshold: float | None = None
    min_score: Sequence[str] = ()  # each as `minimum_of` reads it
    missing_caption: str = "keep"  # or drop
    min_side: int | None = None
    max_aspect: float | None = None
    caption_words: int | None = None
    caption_characters: int | None = None
    filter: Sequence[str] = ()  # each as `presets.load_filter` reads it

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Filtering":
        """Those of a run with these parameters of the workflow, all of them given, as `summary.json` names them."""
        known = {name: parameters.get(name) for name in cls.__dataclass_fields__}
        for score in ("aesthetic", "nsfw"):
            if not parameters.get(score):  # it was not scored
                known[f"{score}_threshold"] = None
        for name in ("min_score", "filter"):
            known[name] = tuple(part for part in (known[name] or "").split(",") if part)
        return cls(**known | {"missing_caption": known["missing_caption"] or "keep"})

    def parameters(self) -> dict[str, Any]:
        """The same as parameters of the workflow, those aside that are None: what `of` understands."""
        known = {name: getattr(self, name) for name in self.__dataclass_fields__}
        known |= {name: ",".join(known[name]) or None for name in ("min_score", "filter")}
        return {name: value for name, value in known.items() if value is not None}

    def filters(self) -> list[Filter]:
        """The filters, in the order in which they are asked: that of the fields.

        Raises UsageError if one of them cannot be made, or has no `reason` of its own.
        """
        known: list[Filter | None] = [
            self._made(self.aesthetic_threshold, lambda least: Threshold("aesthetic", "aesthetic", minimum=least)),
            self._made(self.nsfw_threshold, lambda most: Threshold("nsfw", "nsfw", maximum=most)),
            self._made(self.clip_score_threshold, MinClipScore),
            *(minimum_of(text) for text in self.min_score),
            HasCaption() if self.missing_caption == "drop" else None,
            self._made(self.min_side, MinSide),
            self._made(self.max_aspect, MaxAspect),
            self._made(self.caption_words, CaptionWords),
            self._made(self.caption_characters, CaptionCharacters),
            *(load_filter(spec) for spec in self.filter),
        ]
        made = [one for one in known if one is not None]
        for one in made:
            reason = getattr(one, "reason", None)
            if not isinstance(reason, str) or not reason or reason in OWN_REASONS:
                raise UsageError(
                    f"{_name(one)} has the reason {reason!r}; give it a `reason` to drop a sample for, in words: "
                    f"any but {', '.join(OWN_REASONS)}."
                )
        return made

    @staticmethod
    def _made(value: float | None, make: Callable[[float], Filter]) -> Filter | None:
        return None if value is None else make(value)


def first_failed(filters: Sequence[Filter], table: pa.Table, partition: str) -> np.ndarray:
    """int16 (n,): the position in `filters` of the first one that each row fails, or len(filters) if it passes all.

    `table` is what Filter.passes takes, of one partition. Raises UsageError if a filter asks for a score that is not
    there, ModelError, naming class, partition and sample, if one raises or gives what its protocol does not allow.
    """
    failed = np.full(table.num_rows, len(filters), np.int16)
    for position, one in reversed(list(enumerate(filters))):
        failed[~_passes(one, table, partition)] = position
    return failed


def _passes(one: Filter, table: pa.Table, partition: str) -> np.ndarray:
    """What the filter answers, checked: numpy takes integers in the place of a mask for positions."""
    try:
        mask = one.passes(table)
    except PycurateError:
        raise
    except Exception as error:
        where = _culprit(one, table)
        raise ModelError(
            f"{_name(one)} raised {type(error).__name__}: {error} (partition {partition}, {where})."
        ) from error
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (table.num_rows,):
        gave = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ModelError(
            f"{_name(one)} gave {gave} where a numpy array of bool ({table.num_rows},) is due (partition {partition})."
        )
    return mask


def _culprit(one: Filter, table: pa.Table) -> str:
    """The first sample at which the filter raises when it is alone; all of them if there is none."""
    uids = table["uid"].to_pylist()
    for row, uid in enumerate(uids):
        try:
            one.passes(table.slice(row, 1))
        except Exception:  # noqa: BLE001 - it is what is looked for
            return f"sample {uid}"
    return f"samples {uids[0]} to {uids[-1]}" if uids else "no samples"


def _name(one: Filter) -> str:
    return f"{type(one).__module__}:{type(one).__qualname__}"
