"""Processes are those of the modules, with the resources of the configuration."""

import re
import subprocess

from flows import ROOT, environment

from pycurate.nextflow.processes import processes, summed_up


def test_processes_are_those_of_the_modules_with_the_resources_of_the_configuration() -> None:
    known = {one.name: one for one in processes()}
    text = "".join(path.read_text() for path in (ROOT / "modules").glob("*.nf"))
    # The workings of a reference set and of the test profile are no stages.
    assert known.keys() == set(re.findall(r"^process (\w+)", text, re.MULTILINE)) - {"REFERENCE_FOLDER", "TESTSET"}
    done = subprocess.run(
        ["nextflow", "config", ROOT, "-flat"], env=environment(), capture_output=True, text=True, check=True
    )
    configured = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if ".'with" in line)
    gpu = known["EMBED"].resources
    assert configured["process.'withLabel:process_gpu'.cpus"] == str(gpu.cpus) and gpu.gpu
    assert gpu.memory.replace(" ", ".") in configured["process.'withLabel:process_gpu'.memory"]
    own = {names: cpus for key, cpus in configured.items() for names in re.findall(r"withName:(.*)'\.cpus", key)}
    assert own and all(str(known[name].resources.cpus) == cpus for key, cpus in own.items() for name in key.split("|"))
    models = next(one for one in summed_up(processes()) if one.name == "MODELS")
    assert models.resources == known["MODELS_VERIFY"].resources != known["MODELS"].resources
