"""One table names every file that stages share and a run leaves; what else speaks of them agrees with it."""

import re
from pathlib import Path

import pytest

from pycurate.errors import TableError
from pycurate.results.layout import INFO, KINDS, STAGES, Kind, Per, entries, numbers, path_of, paths_of

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = {Per.RUN: [""], Per.STEP: ["EMBED_00000", "DEDUP_ASSIGN_1-00000"]}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_path_says_of_which_kind_it_is_and_which_number_it_has(kind: Kind) -> None:
    for number in NUMBERS.get(kind.per, ["00000", "123456"]):
        name = kind.path(Path(), number).as_posix()
        assert {other.name: other.number(name) for other in KINDS.values() if other.number(name) is not None} == {
            kind.name: number
        }
    for name in (f"{kind.pattern}.part", f"x{kind.pattern}", kind.path(Path(), "0a").as_posix() + "\n"):
        assert kind.number(name) is None


def test_files_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("plan_00010.parquet", "plan_100000.parquet", "plan_00009.parquet", "plan_00010.tsv", "plan_x.parquet"):
        path_of(tmp_path, "plan", "0").parent.mkdir(exist_ok=True)
        (tmp_path / "plan" / name).touch()
    assert numbers(tmp_path, "plan") == ["00009", "00010", "100000"]
    assert paths_of(tmp_path, "plan_shards") == {"00010": tmp_path / "plan" / "plan_00010.tsv"}
    with pytest.raises(TableError, match=r"no samples files; run the stage that writes them"):
        numbers(tmp_path, "samples")


def test_what_stages_leave_is_told_apart_by_the_stage() -> None:
    before, after = entries(STAGES[: STAGES.index("DECIDE")]), entries(STAGES[STAGES.index("DECIDE") :])
    assert not set(before) & set(after)  # what is decided anew is exchanged by files and folders as a whole
    assert after[-1] == "summary.json"  # which says that all the others are there
    assert {kind.stage for kind in KINDS.values()} - {""} == {*STAGES, "MODELS"} - {"UPLOAD"}  # which leaves none here


def test_the_documentation_names_each_file_and_its_stage() -> None:
    rows = re.findall(r"^\| (.*?) \| (.*?) \|", (ROOT / "docs" / "output.md").read_text(), re.M)
    for kind in KINDS.values():
        if kind.stays and kind.top not in ("plan", "cells", "assigned", INFO):  # named together
            name = kind.path(Path(), "00000").as_posix()
            assert [stage for names, stage in rows if f"`{name}`" in names] == [kind.stage], name
