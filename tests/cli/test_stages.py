"""`pycurate stages` lists every process, and with --verbose what it was measured to take."""

from flows import pycurate

from pycurate.nextflow.processes import processes


def test_every_process_is_listed() -> None:
    shown = pycurate("stages", "--verbose")
    assert shown.returncode == 0 and all(one.name in shown.stdout for one in processes())
    assert "Measured: " in shown.stdout and "not measured" in shown.stdout  # of the GPU
