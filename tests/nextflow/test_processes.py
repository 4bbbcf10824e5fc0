"""Processes are those of the modules, with the resources of the configuration."""

import re
import subprocess

from flows import ROOT, environment

from pycurate.nextflow.processes import processes


def test_processes_are_those_of_the_modules_with_the_resources_of_the_configuration() -> None:
    known = {one.name: one for one in processes()}
    text = "".join(path.read_text() for path in (ROOT / "modules").glob("*.nf"))
    # The workings of a reference set and of the test profile are no stages.
    assert known.keys() == set(re.findall(r"^process (\w+)", text, re.MULTILINE)) - {"REFERENCE_FOLDER", "TESTSET"}
    done = subprocess.run(
        ["nextflow", "config", ROOT, "-flat"], env=environment(), capture_output=True, text=True, check=True
    )
    configured = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if "withLabel" in line)
    gpu = known["EMBED"].resources
    assert configured["process.'withLabel:process_gpu'.cpus"] == str(gpu.cpus) and gpu.gpu
    assert gpu.memory.replace(" ", ".") in configured["process.'withLabel:process_gpu'.memory"]
