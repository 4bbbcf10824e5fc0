"""A run without any work (-stub-run): every process makes its files, and they find their way to the end."""

import os
import re
import runpy
from pathlib import Path

from flows import ROOT, Flow, environment, tasks


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

    earlier = [flow.out / name for name in ("summary.json", "manifest.tsv", "pipeline_info/parameters.yaml")]
    for path in earlier:  # of a run, whose results a stub leaves as they are
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of a run")
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
    assert all(path.read_text() == "of a run" for path in earlier)


def test_weights_of_one_s_own_that_change_are_not_answered_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    config, checkpoint = (tmp_path / name for name in ("own/open_clip_config.json", "own.pt"))
    flow = Flow(tmp_path, ("-profile", "test", "-stub-run", "--model_dir", "models"))

    def ran(scores: str, duplicates: str) -> set[str]:
        flow.succeed(
            *("--encoder", scores, "--aesthetic", "false", "--nsfw", "false", "-resume"),
            *("--dedup_encoder", duplicates, "--dedup_threshold", "0.9"),
        )
        return tasks(flow, "COMPLETED") & {"MODELS_VERIFY", "EMBED"}

    for file in (config, checkpoint):
        file.write_text("one")
    named = (f"local-dir:{tmp_path}/own", f"ViT-B-32/{checkpoint}")
    assert ran(*named) and not ran(*named)
    for file in (config, checkpoint):
        times = file.stat()
        file.write_text("two")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert ran(*named) == {"MODELS_VERIFY", "EMBED"}


def test_cores_that_nextflow_lost_count_of_are_found_again(tmp_path: Path) -> None:
    monitors = "nextflow.Global.session.executorFactory.@executors.values()*.monitor"
    loss = f"{{ {monitors}.each {{ one -> one.@availCpus = one.@availCpus - one.@maxCpus + 1 }}; 1 }}"
    (tmp_path / "loss.config").write_text(f"process {{ withName: 'PARTITION' {{ cpus = {loss} }} }}\n")
    flow = Flow(tmp_path, ("-profile", "test", "-stub-run", "--model_dir", "models"))
    flow.succeed("-c", str(tmp_path / "loss.config"))  # in which tasks of two cores have to start


def test_a_clock_of_more_digits_is_understood_and_a_file_that_cannot_be_copied_back_is_missed(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    scripts = {"date": 'case "$*" in +%s%3N) exec /bin/date +%s%N ;; *) exec /bin/date "$@" ;; esac'}
    scripts["cp"] = 'case "$*" in *plan_00000.tsv*) echo "cp: no space" >&2; exit 1 ;; *) exec /bin/cp "$@" ;; esac'
    for name, text in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    env = environment({**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
    flow = Flow(tmp_path, ("-profile", "test", "-stub-run", "--model_dir", "models"), env)
    flow.succeed()
    assert flow.run("--scratch", str(tmp_path)) == 1
    assert "'DECIDE'" in flow.text and "cp: no space" in flow.text
