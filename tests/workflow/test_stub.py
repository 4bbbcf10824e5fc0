"""A run without any work (-stub-run): every process makes its files, and they find their way to the end."""

import re
import runpy
from pathlib import Path

from flows import ROOT, Flow, tasks


def test_every_process_runs_as_a_stub_and_the_workflow_is_that_of_the_picture(tmp_path: Path) -> None:
    picture = runpy.run_path(str(ROOT / "docs" / "workflow.py"))
    (tmp_path / "shards").mkdir()
    flow = Flow(tmp_path, picture["OPTIONS"], outdir="s3://bucket/results")
    flow.succeed("--dedup_single", "0", "-with-dag", "graph.mmd")
    ran = tasks(flow, "COMPLETED")
    flow.succeed("--dedup_single", "1", "-resume")
    ran |= tasks(flow, "COMPLETED")
    processes = {
        name
        for file in (ROOT / "modules").glob("*.nf")
        for name in re.findall(r"^process (\w+)", file.read_text(), re.M)
    }
    assert processes <= ran
    assert not any((tmp_path / "models").iterdir())  # a stub of weights is left nowhere that a run looks for them
    text = picture["DOCUMENT"].read_text()
    assert text == picture["written"](text, (tmp_path / "graph.mmd").read_text()), "run python docs/workflow.py"
