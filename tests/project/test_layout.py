"""The tree shows the pipeline: a stage has one name in four places, and tests mirror the package."""

from pathlib import Path

import pytest

from pycurate.results.layout import STAGES

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, TESTS = ROOT / "pycurate", ROOT / "tests"

ACROSS = {  # tests of what several modules do together
    "dedup": {"brute_force"},
    "estimate": {"estimate"},
    "images": {"cases", "mutations", "odd_images"},
    "models": {"compiled", "gpu_path"},
    "review": {"storage"},
    "shards": {"odd_tars", "tar_cases", "tar_fuzz"},
}


@pytest.mark.parametrize("stage", [stage.lower() for stage in STAGES])
def test_a_stage_has_one_name_in_four_places(stage: str) -> None:
    for place in ("modules/{}.nf", "bin/{}.py", "pycurate/stages/{}.py", "tests/stages/test_{}.py"):
        assert (ROOT / place.format(stage)).is_file()


def test_nothing_but_stages_lies_among_the_stages() -> None:
    assert {path.stem for path in (PACKAGE / "stages").glob("[a-z]*.py")} == {stage.lower() for stage in STAGES}


def test_few_modules_lie_at_the_root_of_the_package() -> None:
    assert len(list(PACKAGE.glob("[a-z]*.py"))) <= 10


def test_tests_mirror_the_package() -> None:
    for folder in (path for path in TESTS.rglob("*") if path.is_dir() and list(path.glob("test_*.py"))):
        name = folder.relative_to(TESTS).as_posix()
        if name in ("workflow", "project"):  # whole runs, and the project's own files
            continue
        modules = {path.stem for path in (PACKAGE / name).glob("*.py")} | ACROSS.get(name, set())
        assert {path.stem.removeprefix("test_") for path in folder.glob("test_*.py")} <= modules, name


def test_helpers_of_tests_lie_apart() -> None:
    strangers = {path.name for path in TESTS.rglob("*.py") if "support" not in path.parts} - {"conftest.py"}
    assert all(name.startswith("test_") for name in strangers)
