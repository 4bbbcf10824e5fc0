"""A finished run, for the tests of what is done after one."""

from pathlib import Path

import pytest
from report_run import make_run, standard_rows

from pycurate.stages.report import Setup, write_report


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report. Do not write there."""
    folder = make_run(tmp_path_factory.mktemp("lookup"), standard_rows())
    write_report(folder, Setup({"aesthetic_threshold": 0.5, "nsfw_threshold": 0.5}))
    return folder
