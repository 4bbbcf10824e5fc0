"""Answers come back as they were saved, and anything else is refused in a sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from pycurate.errors import UsageError
from pycurate.results.criteria import Side
from pycurate.review.calibration.answers import check_run, read_answers, to_json
from pycurate.review.calibration.sheet import Band, Item, Sheet

SHEET = Sheet(
    "run",
    None,
    Side.AT_LEAST,
    0.5,
    (Band(3, 3, 3), Band(100, 50, 7)),
    (Item(("a", "b"), 0.75, 0), Item(("c", "d"), 0.25, 1), Item(("e", "f"), 0.5, 1)),
)


def test_answers_come_back(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(to_json(SHEET) | {"answers": [True, None, False]}))
    sheet, answers = read_answers(path)
    assert sheet == SHEET and np.array_equal(answers, [1, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        {"answers": [True]},
        {"answers": [True, 2, None]},
        {"answers": None},
        {"format": "another"},
        {"items": [], "answers": []},
        {"bands": []},
        {"keeps": "sideways"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_other_files_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(to_json(SHEET) | {"answers": [True, None, False]} | change))
    with pytest.raises(UsageError, match=r"answers\.json does not contain answers"):
        read_answers(path)
    path.write_text("[]")
    with pytest.raises(UsageError, match="does not contain answers"):
        read_answers(path)


def test_the_answers_of_another_run_are_refused(tmp_path: Path) -> None:
    check_run(SHEET, "run", tmp_path)
    with pytest.raises(UsageError, match="of another run"):
        check_run(SHEET, "other", tmp_path)
