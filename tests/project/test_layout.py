"""The tree shows the pipeline: a stage has one name in four places, and tests mirror the package.

The mirror: a folder of tests is a package of pycurate, and a file of tests is a module of that package, or crosses
several of them and is listed as such. Each module has such a file, or is listed with the file that tests it.
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
}
ELSEWHERE = {  # modules without a file of tests of their own: the file in which they are tested, and why there
    # Data, and protocols: what there is to test is who uses them.
    "errors.py": "cli/test_main.py",
    "filters/protocol.py": "project/test_examples.py",
    "images/views.py": "images/test_render.py",
    "models/protocols.py": "project/test_examples.py",
    "results/criteria.py": "stages/test_decide.py",
    "results/encoder.py": "models/test_identity.py",
    "results/reasons.py": "project/test_docs.py",
    # The options of the scripts and the workflow, held against all of both.
    "parameters.py": "project/test_parameters.py",
    "cli/options.py": "project/test_parameters.py",
    "cli/filter_options.py": "project/test_parameters.py",
    # Commands that print what the package below them finds; they are called there.
    "cli/inspect.py": "review/test_lookup.py",
    "cli/refilter.py": "review/test_refilter.py",
    "cli/run.py": "workflow/test_run.py",
    "cli/verify.py": "review/test_verify.py",
    # Parts of what compares samples, which as a whole must agree with numpy.
    "comparison/products.py": "comparison/test_contrast.py",
    "results/comparisons.py": "stages/test_compare.py",
    # Parts of one search, which as a whole must decide as brute force does.
    "dedup/match.py": "dedup/test_brute_force.py",
    "dedup/train.py": "dedup/test_brute_force.py",
    "dedup/walk.py": "dedup/test_brute_force.py",
    # One of two backends that must agree.
    "images/cpu.py": "images/test_loader.py",
    # Readers and writers of files that others lay out.
    "images/jpeg.py": "images/test_decode.py",
    "models/builtin/lite0_graph.py": "models/builtin/test_efficientnet.py",
    "models/builtin/onnx_session.py": "models/builtin/test_opennsfw.py",
    "models/findings.py": "models/test_selftest.py",
    "models/builtin/sscd.py": "models/builtin/test_torchscript.py",
    "shards/links.py": "shards/test_odd_tars.py",
    "shards/testset.py": "workflow/test_pipeline.py",
    # Parts of the copy of a shard, which must be byte-equal as a whole.
    "shards/copy.py": "stages/test_write.py",
    "shards/intact.py": "stages/test_write.py",
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


def test_every_module_has_tests() -> None:
    modules = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.stem != "__init__"}
    alone = {path.as_posix() for path in modules if not (TESTS / path.with_name(f"test_{path.name}")).is_file()}
    missing = sorted(alone - ELSEWHERE.keys())
    assert not missing, (
        f"{missing} have no tests: add a file of that name to tests/, or say in ELSEWHERE where they are"
    )
    stale = sorted(ELSEWHERE.keys() - alone)
    assert not stale, f"{stale} are not there or have a file of tests of their own: take them out of ELSEWHERE"
    assert not [test for test in ELSEWHERE.values() if not (TESTS / test).is_file()], "ELSEWHERE names files in vain"


def test_what_is_listed_as_crossing_modules_does() -> None:
    assert ACROSS <= MIRRORED, "ACROSS lists files that are not there"
    assert not [test for test in ACROSS if module_of(test).is_file()], "these are tests of one module"


def test_helpers_of_tests_lie_apart() -> None:
    strangers = {path.name for path in TESTS.rglob("*.py") if "support" not in path.parts} - {"conftest.py"}
    assert all(name.startswith("test_") for name in strangers)
