"""conf/code.json: the key of each script covers all that the script can reach of the package, and not much more."""

import ast
import functools
import json
import re
from pathlib import Path

import grimp
import pytest

from pycurate.fingerprint import KINDS, files_of
from pycurate.parameters import RECIPES, SCHEMA, all_parameters, switches
from scripts import NAMES as SCRIPTS
from scripts import commands

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pycurate"
REACH = json.loads((ROOT / "conf" / "code.json").read_text())
TOLD = {SCHEMA, RECIPES}  # what they say reaches a task by its command, so that a description can be edited: see below
CLASS = re.compile(r"(pycurate(?:\.\w+)+):\w+")  # as presets name a class


@functools.cache
def imports() -> grimp.ImportGraph:
    """Who imports whom in the package, in functions too."""
    return grimp.build_graph("pycurate", cache_dir=None)


def files_with(module: str) -> set[Path]:
    """The file of a module; of a package, also what lies beside it or in folders that are no packages: its data."""
    place = PACKAGE.parent.joinpath(*module.split("."))
    if not place.is_dir():
        return {place.with_suffix(".py")}
    inner = [folder for folder in place.iterdir() if folder.is_dir() and not (folder / "__init__.py").exists()]
    beside = [*place.iterdir(), *(path for folder in inner for path in folder.rglob("*"))]
    return {place / "__init__.py"} | {path for path in beside if path.suffix in KINDS - {".py"}}


def imported(script: Path) -> set[str]:
    """The modules of the package that a script names in its imports, in functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if name in imports().modules else name.rpartition(".")[0] for name in names if "pycurate" in name}


def loaded(path: Path) -> set[str]:
    """The modules of which a file names a class, as presets do: in Python by a string that is nothing else."""
    if path.suffix == ".json":
        return set(CLASS.findall(path.read_text()))
    if path.suffix != ".py":
        return set()
    values = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    return {match[1] for value in values if isinstance(value, str) and (match := CLASS.fullmatch(value))}


@functools.cache
def reached(script: str) -> frozenset[Path]:
    """Every file of the package that a script may read: modules however deep, the packages above them, their data."""
    files: set[Path] = set()
    seen: set[str] = set()
    ahead = imported(ROOT / "bin" / f"{script}.py")
    while ahead:
        module = ahead.pop()
        seen.add(module)
        fresh = files_with(module)
        files |= fresh
        ahead |= imports().find_modules_directly_imported_by(module).union(*map(loaded, fresh))
        ahead |= {module.rpartition(".")[0]} - {""}
        ahead -= seen
    return frozenset(files)


def key(script: str) -> set[Path]:
    """The files that a script's key covers."""
    return set(files_of(PACKAGE, REACH["shared"] + REACH["scripts"][script]))


def test_every_script_has_a_key() -> None:
    assert sorted(REACH["scripts"]) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_key_covers_what_its_script_can_reach(script: str) -> None:
    missing = sorted(path.relative_to(PACKAGE).as_posix() for path in reached(script) - TOLD - key(script))
    assert not missing, f"bin/{script}.py reaches these, and an edit of them would not be noticed: see conf/code.json"


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_task_falls_back_on_a_default_of_the_schema(script: str) -> None:
    module = (ROOT / "modules" / f"{script}.nf").read_text()
    for option in {option.name: option for command in commands(script) for option in command.params}.values():
        one = all_parameters().get(option.name or "")
        if one and one.default is not None and option.default == one.default:
            told = script.upper() in one.tasks or f"{one.option} " in module
            # Weights of all a preset's scorers are fetched, whatever a run uses of them.
            assert told or (script == "models" and one.name in switches().values()), (
                f"no task is told {one.option}: add {script.upper()} to its `tasks` in nextflow_schema.json"
            )


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_key_has_no_part_that_its_script_cannot_reach(script: str) -> None:
    files = reached(script)
    idle = [part for part in REACH["scripts"][script] if files.isdisjoint(files_of(PACKAGE, [part]))]
    assert not idle, f"an edit of these repeats tasks of bin/{script}.py for nothing: see conf/code.json"


def test_every_file_of_the_package_is_of_a_kind_that_counts() -> None:
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files if path.suffix not in KINDS} == set()


# One file of each package, and the scripts whose tasks an edit of it repeats. PARTITION always runs, and looks at all.
@pytest.mark.parametrize(
    ("file", "scripts"),
    [
        ("errors.py", set(SCRIPTS)),
        ("images/exif.py", {"models", "embed", "score", "compare", "dedup", "report"}),
        ("shards/samples.py", {"testset", "embed", "write", "report"}),
        ("results/tables.py", set(SCRIPTS)),
        ("results/reasons.py", {"dedup", "decide", "report"}),
        ("models/builtin/quality.py", {"models", "embed", "score", "compare", "dedup"}),
        ("models/presets.json", {"models", "embed", "score", "compare", "dedup"}),
        ("models/photographs/chelsea.jpg", {"models", "embed", "score", "compare", "dedup"}),
        ("filters/thresholds.py", {"decide", "report"}),
        ("dedup/walk.py", {"dedup", "decide"}),
        ("report/page.py", {"report"}),
        ("report/template/report.css", {"report"}),
        *(
            (f"stages/{script}.py", {script})
            for script in ("embed", "score", "compare", "dedup", "decide", "write", "report")
        ),
        ("nextflow_schema.json", set()),
        ("nextflow/progress.py", set()),
        ("nextflow/measured.json", set()),
        ("estimate/plan.py", set()),
        ("review/refilter.py", set()),
        ("cli/inspect.py", set()),
    ],
)
def test_an_edit_changes_the_keys_of_those_that_it_can_change(file: str, scripts: set[str]) -> None:
    assert {script for script in SCRIPTS if PACKAGE / file in key(script)} == scripts | {"partition"}
