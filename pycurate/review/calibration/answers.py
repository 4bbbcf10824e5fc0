"""The file of answers that the page saves: the sheet and, in its order, what was answered."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pycurate.errors import UsageError
from pycurate.results.criteria import Side
from pycurate.review.calibration.sheet import Band, Item, Sheet

FORMAT = "pycurate-answers-1"


def to_json(sheet: Sheet) -> dict[str, Any]:
    """The sheet as plain data, without answers: what the page adds `answers` to."""
    return {"format": FORMAT, **asdict(sheet)}


def read_answers(path: Path) -> tuple[Sheet, np.ndarray]:
    """The sheet, and float (items,): 1 for yes, 0 for no, NaN where nothing was answered.

    Raises UsageError for a file that cannot be read, or that no page of `pycurate calibrate` saved.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.pop("format") != FORMAT:
            raise ValueError("it has another format")
        given = facts.pop("answers")
        bands = tuple(Band(**{name: int(value) for name, value in band.items()}) for band in facts.pop("bands"))
        items = tuple(
            Item(tuple(map(str, item["uids"])), float(item["value"]), int(item["band"])) for item in facts.pop("items")
        )
        sheet = Sheet(**facts | {"keeps": Side(facts["keeps"])}, bands=bands, items=items)
        if len(given) != len(items) or not all(answer in (True, False, None) for answer in given):
            raise ValueError("its answers do not match its questions")
        if not items or not all(0 <= item.band < len(bands) for item in items):
            raise ValueError("its questions do not match its bands")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} does not contain answers ({error}); give the file that the page of pycurate calibrate saved."
        ) from error
    return sheet, np.array([np.nan if answer is None else float(answer) for answer in given])


def check_run(sheet: Sheet, run: str, results: Path) -> None:
    """Raise UsageError if the sheet was not drawn from these results, which `run` identifies."""
    if sheet.run != run:
        what = f"the score {sheet.score}" if sheet.score else "the duplicates"
        raise UsageError(
            f"The answers are about {what} of another run than the one in {results}; "
            "give the folder that they were made for, or make a new page from this one."
        )
