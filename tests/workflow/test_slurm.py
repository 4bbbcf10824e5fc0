"""Runs on a real Slurm cluster: what is asked of it, and that the results are those of a run on one machine."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from flows import LIMIT, ROOT, Flow, environment, site_file
from s3 import S3
from slurm.cluster import Cluster

from pycurate.results.manifest import read_manifest

# A stage with a GPU and a stage without; one of the first is killed and one of the second fails on its first attempt.
PIPELINE = """
process PLAIN {
    output: path 'node.txt'
    script: 'echo $SLURMD_NODENAME > node.txt'
}
process GPU {
    accelerator 1
    memory { 100.MB * task.attempt }
    errorStrategy { task.exitStatus == 137 ? 'retry' : 'finish' }
    input: tuple val(number), path(node)
    output: stdout
    script:
    \"\"\"
    if [ ${number} = 2 ] && [ ${task.attempt} = 1 ]; then kill -9 \\$\\$; fi
    echo ${number} \\${CUDA_VISIBLE_DEVICES}
    \"\"\"
}
workflow { GPU(Channel.of(0..4).combine(PLAIN())).view() }
"""

# What sbatch says of a slurmctld that restarts, once; then it is Slurm's own again.
SBATCH = """#!/bin/sh
if mkdir '{folder}/refused' 2>/dev/null; then
    echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)' >&2
    exit 1
fi
exec {sbatch} "$@"
"""


def directives(work: Path) -> list[str]:
    """The sbatch options of each job script beneath a work folder, on one line each."""
    scripts = [path.read_text() for path in work.glob("*/*/.command.run")]
    return [" ".join(re.findall("^#SBATCH (.*)", text, re.MULTILINE)) for text in scripts]


@pytest.fixture(scope="module")
def jobs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The job scripts of a small pipeline that ran with conf/slurm.config and every choice of a site made."""
    folder = tmp_path_factory.mktemp("options")
    (folder / "main.nf").write_text(PIPELINE)
    (folder / "nextflow.config").write_text(f"includeConfig '{ROOT / 'conf' / 'slurm.config'}'\n")
    choices = site_file(
        folder,
        slurm_account="physics",
        slurm_options="--nice=1",
        slurm_gpu_options="--gpus=1",
        slurm_array_size=50,
        slurm_queue_size=3,
        slurm_max_memory="150.MB",
    )
    env, first = environment(cluster.env), folder / "first"
    first.mkdir()
    (first / "sbatch").write_text(SBATCH.format(folder=folder, sbatch=shutil.which("sbatch", path=env["PATH"])))
    (first / "sbatch").chmod(0o755)
    done = subprocess.run(
        ["nextflow", "run", "main.nf", *choices],
        cwd=folder,
        env=env | {"PATH": f"{first}{os.pathsep}{env['PATH']}"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout
    assert {f"{number} 0" for number in range(5)} <= set(done.stdout.splitlines())  # each saw its GPU
    assert (folder / "refused").is_dir()  # the first call of sbatch failed, and the job was submitted again
    return directives(folder / "work")


def test_the_cluster_has_two_nodes_with_a_gpu_each(cluster: Cluster) -> None:
    said = cluster.run("srun", "--nodes=2", "--gres=gpu:1", "bash", "-c", "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES")
    assert sorted(said.splitlines()) == ["n1 0", "n2 0"]


def test_what_is_submitted_again_is_the_same_for_every_version_of_nextflow() -> None:
    reasons = re.findall(r"\bretry\.reason += ('.*?')", (ROOT / "conf" / "slurm.config").read_text())
    assert len(reasons) == 2 and len(set(reasons)) == 1


def test_every_job_names_account_and_options_of_the_site(jobs: list[str]) -> None:
    assert len(jobs) >= 8  # one plain, two arrays, at least five with a GPU
    assert all("--account=physics --nice=1" in job for job in jobs)


def test_a_task_with_an_accelerator_asks_for_a_gpu_and_its_partition(jobs: list[str]) -> None:
    asks = {("-J nf-GPU" in job, "-p gpu" in job, "-p cpu" in job, "--gpus=1" in job) for job in jobs}
    assert asks == {(True, True, False, True), (False, False, True, False)}


def test_tasks_of_a_stage_go_as_arrays_no_larger_than_the_queue(jobs: list[str]) -> None:
    assert sorted(re.findall(r"--array \S+", " ".join(jobs))) == ["--array 0-1", "--array 0-2"]


def test_a_queue_of_one_has_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "main.nf").write_text("process ONE { script: 'true' }\nworkflow { ONE() }\n")
    (tmp_path / "nextflow.config").write_text(f"includeConfig '{ROOT / 'conf' / 'slurm.config'}'\n")
    command = ["nextflow", "run", "main.nf", "-preview", "--slurm_queue_size", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_second_attempt_goes_alone_and_asks_for_more_up_to_the_limit(jobs: list[str]) -> None:
    more = [job for job in jobs if "-J nf-GPU" in job and "--mem 100M" not in job]
    assert len(more) == 1 and "--mem 150M" in more[0] and "--array" not in more[0]


def test_runs_side_by_side_on_one_node_and_on_two_leave_the_bytes_of_a_run_on_one_machine(
    cluster: Cluster, shards: Path, undisturbed: Flow, s3: S3, tmp_path: Path
) -> None:
    """The one on two nodes reads its shards from a store, and leaves its results there."""
    s3.fill("cluster", shards, "shards/")
    before = [(path.name, path.stat().st_mtime_ns) for path in sorted(shards.iterdir())]
    one = undisturbed.again(tmp_path / "one", environment(cluster.env))
    two = replace(
        undisturbed.again(tmp_path / "two", environment({**cluster.env, **s3.environment})),
        options=tuple("s3://cluster/shards" if word == str(shards) else word for word in undisturbed.options),
        outdir="s3://cluster/results",
    )
    runs = [
        one.start("-profile", "slurm", *site_file(one.folder, slurm_options="--nodelist=n1", slurm_array_size=0)),
        two.start("-profile", "slurm", *site_file(two.folder)),
    ]
    assert [run.wait(LIMIT) for run in runs] == [0, 0], one.text + two.text
    assert len(undisturbed.results()) > 3
    assert one.results() == undisturbed.results()
    assert two.results() == undisturbed.results()
    uploaded = s3.contents("cluster", "results/")
    assert uploaded == {name: (two.out / name).read_bytes() for name in [*read_manifest(two.out), "manifest.tsv"]}
    assert [(path.name, path.stat().st_mtime_ns) for path in sorted(shards.iterdir())] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own can be mounted by root alone")
def test_input_read_only_work_elsewhere_and_scratch_change_no_byte(
    cluster: Cluster, shards: Path, undisturbed: Flow, tmp_path: Path
) -> None:
    flow = undisturbed.again(tmp_path / "flow", environment(cluster.env))
    scratch = tmp_path / "scratch"
    for folder in (flow.work, scratch):
        folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", flow.work], check=True)
    subprocess.run(["mount", "--bind", shards, shards], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", shards], check=True)
    try:
        flow.succeed("-profile", "slurm", *site_file(flow.folder, scratch=str(scratch)))
        assert any("NXF_SCRATCH" in path.read_text() for path in flow.work.glob("*/*/.command.run"))
        assert flow.results() == undisturbed.results()
    finally:
        subprocess.run(["umount", "--lazy", shards], check=True)
        subprocess.run(["umount", "--lazy", flow.work], check=True)
