"""What decided the results of a finished run, also of a version that left no decisions.json: then by their summary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pycurate.dedup.pairs import Search
from pycurate.errors import TableError, UsageError
from pycurate.filters.filtering import Filtering
from pycurate.parameters import optional_scores
from pycurate.results.criteria import Criteria, read_criteria
from pycurate.results.layout import path_of, paths_of
from pycurate.results.plan import Layout
from pycurate.results.tables import read_summary


def criteria_of(results: Path) -> Criteria:
    """What decided. Raises TableError if neither decisions.json nor a summary says so."""
    if path_of(results, "criteria").exists():
        return read_criteria(results)
    summary = read_summary(results)
    try:
        return by_summary(summary)
    except (KeyError, TypeError) as error:
        raise TableError(
            f"{results} contains no decisions.json, and its summary lacks the criteria ({error!r}); "
            "run the workflow again with -resume, or DECIDE and REPORT."
        ) from error


def check_pairs(results: Path) -> None:
    """Raise UsageError if a run left no pairs of duplicates."""
    if not paths_of(results, "pairs"):
        raise UsageError(
            f"The run in {results} did not deduplicate, or its pairs were deleted; run the workflow again with "
            "--dedup true and -resume."
        )


def layout_by(parameters: Mapping[str, Any]) -> Layout:
    """The layout of the output of a run with these parameters, whether it wrote one or not."""
    return Layout(**{name: parameters[name] for name in Layout.__dataclass_fields__ if name in parameters})


def by_summary(summary: Mapping[str, Any]) -> Criteria:
    """What decided a run, by a summary that shows its parameters and the thresholds of `aesthetic` and `nsfw`.

    Of results that were made script by script, whose summary has no parameters, the filters are those two.
    """
    parameters, thresholds = summary["parameters"], summary["thresholds"]
    shown = {"missing_caption": "keep"} | parameters
    for score in optional_scores():
        shown |= {score: score in thresholds, f"{score}_threshold": thresholds.get(score)}
    found = {name: summary["dedup"][name] for name in Search.__dataclass_fields__} if summary["dedup"] else None
    references = tuple(part for part in (parameters.get("reference") or "").split(",") if part)
    layout = layout_by(parameters) if parameters.get("write", True) else None
    return Criteria(tuple(Filtering.of(shown).rules()), Search(**found).facts() if found else None, references, layout)
