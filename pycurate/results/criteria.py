"""What decided: the filters, the search for duplicates, the layout. DECIDE leaves it once, in decisions.json.

Whoever has to know by what a sample was kept or dropped reads it there, and is told nothing of it a second time.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pycurate.errors import TableError
from pycurate.files import write_json
from pycurate.results.layout import path_of
from pycurate.results.plan import Layout
from pycurate.results.reasons import BALANCED, DUPLICATES


class Side(StrEnum):
    """The side of a filter's threshold that stays, in words."""

    AT_LEAST = "at least"
    MORE_THAN = "more than"
    AT_MOST = "at most"
    BELOW = "below"

    @property
    def above(self) -> bool:
        """Whether it is the upper side."""
        return self in (Side.AT_LEAST, Side.MORE_THAN)


@dataclass(frozen=True)
class Rule:
    """One filter that was asked.

    Attributes:
        parameter: the one of the workflow that switches it on.
        reason: for which the decisions drop what fails it.
        column: the score that it looks at; None where it looks at something else, or at several.
        keeps: the side of the threshold that stays; None where there is no threshold.
        threshold: None likewise.
        filter: of a filter of the user's own, its class as it was named: module:Class or module:Class=NUMBER.
        top: where the best are kept, how many: a share such as 0.3, or a count. `threshold` is then the lowest score of
            those that were chosen, None if there was none.
        among: then, of how many samples: those that passed what was asked before and have the score.
        chosen: then, how many there are.
        lists: of blocklists, each as KIND:FILE with an absolute path.
        hashes: of how many different hashes these consist.
        allowed: where a text must be one of several, these, separated by commas.
    """

    parameter: str
    reason: str
    column: str | None = None
    keeps: Side | None = None
    threshold: float | None = None
    filter: str | None = None
    top: str | None = None
    among: int | None = None
    chosen: int | None = None
    lists: tuple[str, ...] = ()
    hashes: int | None = None
    allowed: str | None = None

    @property
    def condition(self) -> str:
        """What stays, in words; empty where there is neither a threshold nor a choice."""
        if self.allowed is not None:
            return f"one of {self.allowed}"
        best = [f"among the top {self.top}"] if self.top else []
        limit = [f"{self.keeps} {self.threshold}"] if self.keeps and self.threshold is not None else []
        return ", ".join(best + limit)

    def stricter(self, other: "Rule") -> bool:
        """Whether it keeps less than another that keeps the same side of its threshold; both have one."""
        if self.keeps is None or self.keeps != other.keeps or self.threshold is None or other.threshold is None:
            return False
        return self.threshold > other.threshold if self.keeps.above else self.threshold < other.threshold


@dataclass(frozen=True)
class Combination:
    """A score made of others.

    Attributes:
        name: its column.
        formula: as it was given.
        moments: {score: (mean, deviation)} of the scores that it takes standardised, over all that have them.
    """

    name: str
    formula: str
    moments: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Balance:
    """How the kept samples were balanced.

    Attributes:
        by: cells or captions.
        target: how many samples to keep, by cells.
        column: the score by which the best of a cell are kept; None where they are drawn.
        cap: how many samples an entry of the list of words may give, by captions.
        words: the file of that list, as an absolute path.
        seed: of what is drawn.
        among: how many samples there were to choose from; None before that is known.
        chosen: how many were.
        levels: by cells, how many of them each level has, the lowest first.
    """

    by: str
    target: int | None = None
    column: str | None = None
    cap: int | None = None
    words: str | None = None
    seed: int | None = None
    among: int | None = None
    chosen: int | None = None
    levels: tuple[int, ...] = ()


@dataclass(frozen=True)
class Criteria:
    """What decided about the samples of a run.

    Attributes:
        filters: in the order in which they were asked; the first that fails gives the reason.
        search: how duplicates were sought: `threshold` (a cosine), `keep` (which of several stays), `reach` and
            `recall` (exact or fast), and what else the pairs say; None where they were not sought.
        references: folders of the reference sets, as absolute paths.
        layout: of the output; None where no new shards were to be made.
        scores: those made of others, in the order in which they were made.
        balance: how the kept samples were balanced; None where they were not.
        concepts: {column: the score from which a sample belongs to that concept}.
    """

    filters: tuple[Rule, ...] = ()
    search: dict[str, Any] | None = None
    references: tuple[str, ...] = ()
    layout: Layout | None = None
    scores: tuple[Combination, ...] = ()
    balance: Balance | None = None
    concepts: dict[str, float] = field(default_factory=dict)

    def thresholds(self, chosen: bool = True) -> dict[str, float]:
        """{score: its threshold}, and `dedup`, the cosine, where duplicates were sought.

        With `chosen`, a score of which the best were kept has the threshold that this came to, if it has no other.
        """
        deciding = self.deciding(chosen).items()
        found = {column: rule.threshold for column, rule in deciding if rule.threshold is not None}
        return found | ({"dedup": self.search["threshold"]} if self.search else {})

    def deciding(self, chosen: bool = True) -> dict[str, Rule]:
        """{score: the filter whose threshold on it decides}; `chosen` as above.

        Of several, such as `--aesthetic_threshold` and a `--min_score`, that is the strictest: what it keeps passes the
        others. One that keeps the other side than the first is left aside.
        """
        found: dict[str, Rule] = {}
        for top in (False, True) if chosen else (False,):
            mine: dict[str, Rule] = {}
            for rule in self.filters:
                if rule.column and rule.threshold is not None and bool(rule.top) == top:
                    other = mine.setdefault(rule.column, rule)
                    mine[rule.column] = rule if rule.stricter(other) else other
            found = mine | found
        return found

    def later(self) -> list[str]:
        """The reasons of what looks at all samples together, and acts after every filter that looks at one."""
        return [*(rule.reason for rule in self.filters if rule.top), *DUPLICATES, BALANCED]

    def rules_for(self, reason: str) -> Sequence[Rule]:
        """The filters that drop for this reason."""
        return [rule for rule in self.filters if rule.reason == reason]

    def rules_on(self, column: str) -> Sequence[Rule]:
        """The filters that look at this score."""
        return [rule for rule in self.filters if rule.column == column]


def _rule(keeps: str | None, lists: Sequence[str] = (), **others: Any) -> Rule:
    return Rule(keeps=Side(keeps) if keeps else None, lists=tuple(lists), **others)


def write_criteria(results: Path, criteria: Criteria) -> None:
    """Leave decisions.json in `results`."""
    write_json(path_of(results, "criteria"), asdict(criteria))


def read_criteria(results: Path) -> Criteria:
    """What decisions.json says. Raises TableError if it is missing, cut or of another version."""
    path = path_of(results, "criteria")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return Criteria(
            tuple(_rule(**rule) for rule in facts["filters"]),
            facts["search"],
            tuple(facts["references"]),
            Layout(**facts["layout"]) if facts["layout"] else None,
            tuple(
                Combination(one["name"], one["formula"], {name: (*pair,) for name, pair in one["moments"].items()})
                for one in facts["scores"]
            ),
            Balance(**found | {"levels": (*found["levels"],)}) if (found := facts["balance"]) else None,
            facts["concepts"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f"{path} does not contain the criteria of a run ({error}); run DECIDE again, or the workflow with -resume."
        ) from error
