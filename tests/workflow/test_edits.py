"""What runs again after an edit of the package, on the real engine: all that it can change, and nothing else."""

import shutil

import pytest
from flows import ROOT, Flow, environment, tasks

from pycurate.shards.testset import make_testset

PROJECT = ("main.nf", "nextflow.config", "nextflow_schema.json", "bin", "conf", "lib", "modules", "pycurate")
ALWAYS = {"PARTITION"}
REPORT = {"REPORT_EXAMPLES", "REPORT"}


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A finished run of a checkout that may be edited, by the package in it."""
    folder = tmp_path_factory.mktemp("edited")
    project = folder / "project"
    project.mkdir()
    for name in PROJECT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, project / name)
    make_testset(folder / "shards")
    options = ("--input", f"{folder}/shards", "--model_dir", f"{folder}/models", "--dedup", "true")
    flow = Flow(folder, options, environment() | {"PYTHONPATH": str(project)}, project=project)
    flow.succeed()
    return flow


# One run after the other, each with the edits of those before.
@pytest.mark.parametrize(
    ("files", "again"),
    [
        (["cli/inspect.py", "nextflow/progress.py", "review/refilter.py", "estimate/plan.py"], set()),
        (["report/template/report.css", "report/page.py", "stages/report.py"], REPORT),
        (["filters/thresholds.py", "stages/decide.py", "stages/write.py"], {"DECIDE", "WRITE"} | REPORT),
        (["dedup/match.py", "stages/dedup.py"], {"DEDUP_PAIRS", "DECIDE", "WRITE"} | REPORT),
        (
            ["images/exif.py", "shards/samples.py", "models/batching.py", "results/tables.py"],
            {"MODELS_VERIFY", "EMBED", "SCORE", "DEDUP_PAIRS", "DECIDE", "WRITE"} | REPORT,
        ),
    ],
    ids=["commands", "report", "decide", "dedup", "embed"],
)
def test_an_edit_repeats_what_it_can_change(edited: Flow, files: list[str], again: set[str]) -> None:
    for name in files:
        with open(edited.project / "pycurate" / name, "a") as file:
            file.write("/* edited */\n" if name.endswith(".css") else "# edited\n")
    edited.succeed("-resume")
    assert tasks(edited, "COMPLETED") == again | ALWAYS
