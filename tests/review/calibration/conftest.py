"""A finished run with duplicates, for the tests of choosing a threshold."""

import io
from pathlib import Path

import pytest
from PIL import Image
from report_run import THRESHOLDS, make_run, standard_rows

from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.stages.dedup import find_pairs
from pycurate.stages.report import Setup, write_report


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `standard_rows` with its pairs and its report; near00 is kept00 compressed anew. Do not write there."""
    rows = standard_rows()
    for row in rows:
        if row.reason == "duplicate_near":
            file = io.BytesIO()
            Image.open(io.BytesIO(row.data)).save(file, "JPEG", quality=40)
            row.data = file.getvalue()
    results = make_run(tmp_path_factory.mktemp("searched"), rows)
    find_pairs(results, sources_of(results), Settings(THRESHOLDS["dedup"]))
    write_report(results, Setup())
    return results
