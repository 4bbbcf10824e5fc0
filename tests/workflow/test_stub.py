"""A run without any work (-stub-run): every process makes its files, and they find their way to the end."""

import os
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


def test_sets_and_lists_that_swap_places_or_change_inside_are_not_answered_from_the_cache(tmp_path: Path) -> None:
    for name in ("one", "two"):
        for kind in ("samples", "img_emb"):
            (tmp_path / name / kind).mkdir(parents=True)
        (tmp_path / name / "samples" / "samples_00000.parquet").touch()
        (tmp_path / name / "img_emb" / "img_emb_00000.npy").touch()
        (tmp_path / f"{name}.txt").write_text(name)
    one, two = (tmp_path / name for name in ("one", "two"))
    flow = Flow(tmp_path, ("-profile", "test", "-stub-run", "--dedup", "true", "--model_dir", "models"))

    def call(first: Path, second: Path, lists: str) -> tuple[str, ...]:
        named = f"near={first},far={second}"
        sets = ("--reference", f"{first},{second}", "--similar", named, "--leakage", named)
        return (*sets, "--blocklist", lists.format(one=f"{one}.txt", two=f"{two}.txt"))

    searches = {"COMPARE_TARGETS", "DEDUP_PAIRS", "DEDUP_LEAKAGE"}
    flow.succeed(*call(one, two, "md5:{one},sha1:{two}"))
    flow.succeed(*call(one, two, "sha1:{one},md5:{two}"), "-resume")
    assert searches <= tasks(flow, "CACHED") and "DECIDE" in tasks(flow, "COMPLETED")
    flow.succeed(*call(two, one, "sha1:{one},md5:{two}"), "-resume")
    assert searches <= tasks(flow, "COMPLETED") and "SCORE" in tasks(flow, "CACHED")
    os.utime(one / "img_emb" / "img_emb_00000.npy", (0, 0))
    flow.succeed(*call(two, one, "sha1:{one},md5:{two}"), "-resume")
    assert searches <= tasks(flow, "COMPLETED")
    flow.succeed(*call(two, one, "sha1:{one},md5:{two}"), "-resume")
    assert {*searches, "DECIDE"} <= tasks(flow, "CACHED")
