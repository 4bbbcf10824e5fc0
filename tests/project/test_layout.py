"""The tree shows the pipeline: a stage has one name in four places, and tests mirror the package.

The mirror: a folder of tests is a package of pycurate, and a file of tests is a module of that package, or crosses
several of them and is listed as such. A module that its stage's tests reach may do without a file of its own.
"""

from pathlib import Path

import pytest

from pycurate.results.layout import STAGES

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, TESTS = ROOT / "pycurate", ROOT / "tests"

APART = {"workflow", "project"}  # whole runs, and the project's own files
ACROSS = {  # tests of what several modules do together
    "images/test_cases.py",
    "images/test_mutations.py",
    "images/test_odd_images.py",
    "models/test_compiled.py",
    "models/test_gpu_path.py",
    "shards/test_odd_tars.py",
    "shards/test_tar_cases.py",
    "shards/test_tar_fuzz.py",
}
MIRRORED = {
    path.relative_to(TESTS).as_posix()
    for path in TESTS.rglob("test_*.py")
    if path.relative_to(TESTS).parts[0] not in APART
}


def module_of(test: str) -> Path:
    """The module that a file of tests is named after."""
    path = PACKAGE / test
    return path.with_name(path.name.removeprefix("test_"))


@pytest.mark.parametrize("stage", [stage.lower() for stage in STAGES])
def test_a_stage_has_one_name_in_four_places(stage: str) -> None:
    for place in ("modules/{}.nf", "bin/{}.py", "pycurate/stages/{}.py", "tests/stages/test_{}.py"):
        assert (ROOT / place.format(stage)).is_file()


def test_nothing_but_stages_lies_among_the_stages() -> None:
    assert {path.stem for path in (PACKAGE / "stages").glob("[a-z]*.py")} == {stage.lower() for stage in STAGES}


def test_few_modules_lie_at_the_root_of_the_package() -> None:
    assert len(list(PACKAGE.glob("[a-z]*.py"))) <= 10


def test_tests_mirror_the_package() -> None:
    stray = sorted(test for test in MIRRORED - ACROSS if not module_of(test).is_file())
    assert not stray, (
        f"pycurate/ has no module for {stray}: name each after the module that it tests, in the folder of its package, "
        "or list it in ACROSS if it tests several together"
    )


def test_what_is_listed_as_crossing_modules_does() -> None:
    assert ACROSS <= MIRRORED, "ACROSS lists files that are not there"
    assert not [test for test in ACROSS if module_of(test).is_file()], "these are tests of one module"


def test_helpers_of_tests_lie_apart() -> None:
    strangers = {path.name for path in TESTS.rglob("*.py") if "support" not in path.parts} - {"conftest.py"}
    assert all(name.startswith("test_") for name in strangers)
