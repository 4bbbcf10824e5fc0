"""Filters as data: each is a named question to the scores, and answers with a mask."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pycurate.errors import ModelError, PycurateError, UsageError
from pycurate.filters.blocklist import Blocking
from pycurate.filters.combined import columns_of, combination_of
from pycurate.filters.language import LANGUAGE_SCORE, Language
from pycurate.filters.metadata import CaptionCharacters, CaptionWords, HasCaption, MaxAspect, MinSide
from pycurate.filters.protocol import Filter
from pycurate.filters.ranking import Top
from pycurate.filters.repeats import CAPTION_COUNT, MaxCaptionCount
from pycurate.filters.thresholds import MinClipScore, Threshold, minimum_of
from pycurate.parameters import optional_scores
from pycurate.plugins import called, cause, check_arguments, load_class
from pycurate.results.comparisons import CONCEPT, is_comparison
from pycurate.results.criteria import Balance, Combination, Criteria, Rule, Side
from pycurate.results.reasons import BLOCKED, RESERVED


@dataclass(frozen=True)
class FilterKind:
    """What a parameter of the workflow with a number filters by.

    Attributes:
        column: the score that it is a threshold on; None where it looks at something else.
        keeps: the side of the number that stays.
        make: the filter with that number.
        keeps_missing: whether a sample without the score stays.
    """

    column: str | None
    keeps: Side
    make: Callable[[float], Filter]
    keeps_missing: bool = False


def _on_score(column: str, keeps: Side) -> FilterKind:
    return FilterKind(column, keeps, partial(Threshold, column, keeps))


FILTERS = {
    "aesthetic_threshold": _on_score("aesthetic", Side.AT_LEAST),
    "nsfw_threshold": _on_score("nsfw", Side.BELOW),
    "text_area_threshold": _on_score("text_area", Side.BELOW),
    "clip_score_threshold": FilterKind("clip_score", Side.AT_LEAST, MinClipScore, keeps_missing=True),
    "min_side": FilterKind(None, Side.AT_LEAST, MinSide),
    "max_aspect": FilterKind(None, Side.AT_MOST, MaxAspect),
    "caption_words": FilterKind(None, Side.MORE_THAN, CaptionWords),
    "caption_characters": FilterKind(None, Side.MORE_THAN, CaptionCharacters),
    "max_caption_count": FilterKind(None, Side.AT_MOST, MaxCaptionCount, keeps_missing=True),
}
"""The one place that says which side of a threshold stays. `--min_score` keeps what is at least that, of any score."""

LISTS = ("blocklist", "min_score", "language", "filter", "score", "keep_top", "concept_threshold")
"""The fields of Filtering that the workflow gives as one text, separated by commas."""

BALANCE = ("balance", "target", "balance_by", "cap", "balance_words", "balance_seed")
"""The fields of Filtering that say how what is left is balanced."""


@dataclass(frozen=True)
class Filtering:
    """Which filters are on, by the names and in the units of the workflow's parameters. None: that filter is off."""

    aesthetic_threshold: float | None = None
    nsfw_threshold: float | None = None
    text_area_threshold: float | None = None
    clip_score_threshold: float | None = None
    min_score: Sequence[str] = ()  # each as `minimum_of` reads it
    missing_caption: str = "keep"  # or drop
    language: Sequence[str] = ()  # codes, as `Language` knows them
    min_side: int | None = None
    max_aspect: float | None = None
    caption_words: int | None = None
    caption_characters: int | None = None
    max_caption_count: int | None = None
    filter: Sequence[str] = ()  # each as `filtering.load_filter` reads it
    score: Sequence[str] = ()  # each as `combination_of` reads it
    keep_top: Sequence[str] = ()  # each as `Top.of` reads it
    blocklist: Sequence[str] = ()  # each as `read_blocklist` reads it
    balance: str | None = None  # none, cells or captions
    target: int | None = None
    balance_by: str | None = None
    cap: int | None = None
    balance_words: str | None = None
    balance_seed: int | None = None
    concept_threshold: Sequence[str] = ()  # each NAME=NUMBER; it filters nothing, but says who belongs to a concept

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Filtering":
        """Those of a run with these parameters of the workflow, all of them given, as `summary.json` names them."""
        known = {name: parameters.get(name) for name in cls.__dataclass_fields__}
        for score in optional_scores():
            if not parameters.get(score):  # it was not scored
                known[f"{score}_threshold"] = None
        for name in LISTS:
            known[name] = tuple(part for part in (known[name] or "").split(",") if part)
        return cls(**known | {"missing_caption": known["missing_caption"] or "keep"})

    @classmethod
    def of_criteria(cls, criteria: Criteria) -> "Filtering":
        """Those of a run that these decided."""
        rules = criteria.filters
        balance = criteria.balance or Balance("")
        return cls(
            **{rule.parameter: rule.threshold for rule in rules if rule.parameter in FILTERS},  # type: ignore[arg-type]
            blocklist=tuple(text for rule in rules for text in rule.lists),
            min_score=tuple(f"{rule.column}={rule.threshold}" for rule in rules if rule.parameter == "min_score"),
            missing_caption="drop" if any(rule.parameter == "missing_caption" for rule in rules) else "keep",
            language=tuple(code for rule in rules if rule.allowed for code in rule.allowed.split(",")),
            filter=tuple(rule.filter for rule in rules if rule.filter is not None),
            score=tuple(f"{one.name}={one.formula}" for one in criteria.scores),
            keep_top=tuple(f"{rule.column}={rule.top}" for rule in rules if rule.top is not None),
            balance=balance.by or None,
            target=balance.target,
            balance_by=balance.column,
            cap=balance.cap,
            balance_words=balance.words,
            balance_seed=balance.seed,
            concept_threshold=tuple(
                f"{column.removeprefix(CONCEPT)}={number}" for column, number in criteria.concepts.items()
            ),
        )

    def parameters(self) -> dict[str, Any]:
        """The same as parameters of the workflow, those aside that are None: what `of` understands."""
        known = {name: getattr(self, name) for name in self.__dataclass_fields__}
        known |= {name: ",".join(known[name]) or None for name in LISTS}
        return {name: value for name, value in known.items() if value is not None}

    def rules(self) -> list[Rule]:
        """What they are, in the order in which they are asked: that of the fields, but blocklists first.

        The reason of a filter of the user's own is known when it is made; here it goes by its class. What `keep_top`
        comes to is known when all samples are. Raises UsageError for a `min_score` or a `keep_top` that is none.
        """
        found = [Rule("blocklist", BLOCKED, lists=tuple(self.blocklist))] if self.blocklist else []
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name == "min_score":
                found += [minimum_of(text) for text in value]
            elif name == "filter":
                found += [Rule(name, spec, filter=spec) for spec in value]
            elif name == "keep_top":
                found += [top.rule() for top in self.tops()]
            elif name in ("score", "concept_threshold", "blocklist", *BALANCE):
                continue
            elif name == "language":
                found += [Rule(name, Language.reason, allowed=",".join(value))] if value else []
            elif name == "missing_caption":
                found += [Rule(name, HasCaption.reason)] if value == "drop" else []
            elif value is not None:
                kind = FILTERS[name]
                found.append(Rule(name, name.removesuffix("_threshold"), kind.column, kind.keeps, value))
        return found

    def filters(self) -> list[Filter]:
        """The filters themselves, which look at one sample each, in the same order; `blocking` is asked before them,
        `tops` after.

        Raises UsageError if one of them cannot be made, or has no `reason` of its own.
        """
        made = [_made(rule) for rule in self.rules() if rule.top is None and not rule.lists]
        for one in made:
            reason = getattr(one, "reason", None)
            if not isinstance(reason, str) or not reason or not reason.isprintable() or reason in RESERVED:
                raise UsageError(
                    f"{_name(one)} has the reason {reason!r}; its `reason` must be a text "
                    f"other than {', '.join(RESERVED)}, without control characters."
                )
        return made

    def blocking(self) -> Blocking | None:
        """What the blocklists block, None without any. Raises UsageError as `read_blocklist`."""
        return Blocking.of(self.blocklist) if self.blocklist else None

    def tops(self) -> list[Top]:
        """Of which scores the best are kept, in the order in which they are asked. Raises UsageError."""
        return [Top.of(text) for text in self.keep_top]

    def combinations(self) -> list[Combination]:
        """The scores that are made of others, in order. Raises UsageError for what is no formula."""
        return [combination_of(text) for text in self.score]

    def concepts(self, known: Mapping[str, float]) -> dict[str, float]:
        """{column of a concept: the score from which a sample belongs to it}: those `known`, or as they are given.

        Raises UsageError for what is no NAME=NUMBER, or names no concept.
        """
        found = dict(known)
        for text in self.concept_threshold:
            name = text.partition("=")[0]
            if CONCEPT + name not in found:
                names = ", ".join(column.removeprefix(CONCEPT) for column in known) or "none"
                raise UsageError(
                    f"{text!r} names no concept; there is {names}: write NAME=NUMBER for one of --concept."
                )
            found[CONCEPT + name] = minimum_of(text).threshold or 0.0
        return found

    def columns(self) -> set[str]:
        """The scores that it looks at, by itself or for one that is made of them."""
        made = (column for one in self.combinations() for column in columns_of(one))
        chosen = {self.balance_by} if self.balance_by else set()
        return {rule.column for rule in self.rules() if rule.column} | {*made} | chosen

    def balancing(self) -> Balance | None:
        """How what is left is balanced, if it is. Raises UsageError if it is not said how, or only how."""
        given = [name for name in BALANCE[1:] if getattr(self, name) is not None]
        if self.balance is None and given:
            raise UsageError(f"--{given[0]} has no effect without --balance; add it, or leave --{given[0]} out.")
        if self.balance in (None, "none"):
            return None
        required = ("target",) if self.balance == "cells" else ("cap", "balance_words")
        if missing := [name for name in required if name not in given]:
            options = " and ".join(f"--{name}" for name in missing)
            raise UsageError(f"--balance {self.balance} requires {options}; see docs/selection.md.")
        # What belongs to the other way may be that of the run that refilter starts from.
        if self.balance == "cells":
            return Balance("cells", target=self.target, column=self.balance_by, seed=self.balance_seed)
        words = str(Path(self.balance_words or "").resolve())
        return Balance("captions", cap=self.cap, words=words, seed=self.balance_seed)

    @property
    def counts_captions(self) -> bool:
        """Whether it looks at how many samples share a caption."""
        return self.max_caption_count is not None or CAPTION_COUNT in self.columns()

    @property
    def reads_languages(self) -> bool:
        """Whether it looks at the languages of captions."""
        return bool(self.language) or LANGUAGE_SCORE in self.columns()

    def alone(self) -> "Filtering":
        """Those of the filters that look at one sample, and at what is known of it before DECIDE."""
        made = {one.name for one in self.combinations()} | {CAPTION_COUNT, LANGUAGE_SCORE}
        columns = {text: minimum_of(text).column or "" for text in self.min_score}
        stays = tuple(text for text, name in columns.items() if name not in made and not is_comparison(name))
        own = {name: getattr(self, name) for name in (*FILTERS, "missing_caption", "filter")}
        return Filtering(**own | {"min_score": stays, "max_caption_count": None})


def keeps_missing(rule: Rule) -> bool:
    """Whether a sample without the score stays: a `--min_score` drops it, whatever the score's own filter does."""
    return rule.parameter in FILTERS and FILTERS[rule.parameter].keeps_missing


def _made(rule: Rule) -> Filter:
    if rule.filter is not None:
        return load_filter(rule.filter)
    if rule.allowed is not None:
        return Language(tuple(rule.allowed.split(",")))
    if rule.threshold is None:
        return HasCaption()
    if rule.column and rule.parameter not in FILTERS:
        return Threshold(rule.column, Side.AT_LEAST, rule.threshold)
    return FILTERS[rule.parameter].make(rule.threshold)


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
    except (PycurateError, KeyboardInterrupt):
        raise
    except BaseException as error:
        where = _culprit(one, table)
        raise ModelError(f"{_name(one)} {cause(error)} (partition {partition}, {where}).") from error
    plain = isinstance(mask, np.ndarray) and not isinstance(mask, np.ma.MaskedArray)  # what is masked is no answer
    if not plain or mask.dtype != np.bool_ or mask.shape != (table.num_rows,):
        gave = f"{mask.dtype} {mask.shape}" if plain else type(mask).__name__
        raise ModelError(
            f"{_name(one)} gave {gave} instead of a numpy array of bool ({table.num_rows},) (partition {partition})."
        )
    return mask


def _culprit(one: Filter, table: pa.Table) -> str:
    """The first sample at which the filter raises when it is alone; all of them if there is none."""
    uids = table["uid"].to_pylist()
    for row, uid in enumerate(uids):
        try:
            one.passes(table.slice(row, 1))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - it is what is looked for
            return f"sample {uid}"
    return f"samples {uids[0]} to {uids[-1]}" if uids else "no samples"


def _name(one: Filter) -> str:
    return f"{type(one).__module__}:{type(one).__qualname__}"


def _number(text: str) -> float:
    """Raises ValueError for what is none, NaN among it, which passes no comparison."""
    number = float(text)
    if math.isnan(number):
        raise ValueError(f"{text!r} is not a number")
    return number


def load_filter(spec: str) -> Filter:
    """Make the filter named by `spec`: `module:Class`, or `module:Class=VALUE` with a number for its one argument.

    Raises UsageError for an unknown name, a value that is no number, or a class that cannot be made or is no filter.
    """
    module, colon, rest = spec.rpartition(":")  # the path of a file may have a `=`, too
    name, given, value = rest.partition("=")
    kind = load_class(module + colon + name)
    with called(f"{spec!r} cannot be created as a filter: it", UsageError, "write module:Class or module:Class=NUMBER"):
        made: Filter = kind(_number(value)) if given else kind()
        passes, _ = getattr(made, "passes", None), getattr(made, "reason", None)  # which may be properties that raise
    if not callable(passes):
        raise UsageError(f"{spec} is not a filter: it needs `passes`; see Filter in pycurate/filters/protocol.py.")
    check_arguments(f"`passes` of {spec}", passes, "table")
    return made
