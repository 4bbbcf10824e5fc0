"""The summary says what the tables say."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from report_run import THRESHOLDS, write_parameters

from pycurate.report import summary
from pycurate.report.page import chart
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table, write_table
from scripts import started


def test_the_summary(results: Path, tmp_path: Path) -> None:
    done = started(
        "report",
        *("render", "--results", results, "--parameters", write_parameters(tmp_path / "parameters.json")),
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((results / "summary.json").read_text())
    assert facts["inputs"] == facts["kept"] + sum(facts["dropped"].values()) == 60
    assert facts["thresholds"] == THRESHOLDS
    assert facts["parameters"]["preset"] == "light"
    assert facts["versions"]["pyarrow"] == pa.__version__
    scores = read_table(results / "decisions.parquet").to_pydict()
    for name in ("aesthetic", "aesthetic_raw", "nsfw"):
        values = np.array([value for value in scores[name] if value is not None])
        found = facts["scores"][name]
        assert sum(found["histogram"]["scored"]) == len(values) == 58
        assert sum(found["histogram"]["kept"]) == 30
        assert found["mean"] == pytest.approx(values.mean(), abs=1e-5)
        assert found["quantiles"]["0"] == pytest.approx(values.min(), abs=1e-5)
        assert found["quantiles"]["1"] == pytest.approx(values.max(), abs=1e-5)
        share_below = (values <= found["quantiles"]["0.5"] + 1e-3 * np.ptp(values)).mean()
        assert share_below >= 0.5


def test_a_threshold_parts_the_bins(results: Path) -> None:
    spread = summary.histograms(results, ["aesthetic"], {"aesthetic": 0.505})["aesthetic"]
    values = np.array(read_table(results / "decisions.parquet")["aesthetic"].drop_null().to_pylist(), np.float32)
    above = spread.scored[spread.edges[:-1] >= np.float32(0.505)].sum()
    assert above == (values >= np.float32(0.505)).sum() > 0
    assert np.float32(0.505) in spread.edges


@pytest.mark.parametrize(
    "scores",
    [
        *[(0.7, 0.7001), (5.0, 5.0), (-3.0, -3.0), (1e9, 1e9), (1e9, 1e9 + 64)],
        *[
            (1e-8, 3e-8),
            (-3e-8, 1e-8),
            (1e15, 1e15),
            (3e38, 3e38),
            (-3e38, -3e38),
            (-3e38, 3e38),
            (3e38, np.nextafter(np.float32(3e38), 0)),
        ],
    ],
)
def test_scores_may_lie_close_together(tmp_path: Path, scores: tuple[float, float]) -> None:
    values = np.array(scores, np.float32)
    write_table(path_of(tmp_path, "decisions"), pa.table({"mine": values, "kept": [True, False]}))
    spread = summary.histograms(tmp_path, ["mine"], {})["mine"]
    assert spread.scored.sum() == 2
    assert spread.kept.sum() == 1
    assert [spread.quantiles["0"], spread.quantiles["1"]] == pytest.approx(values.tolist())
    drawn = chart("mine", spread)
    assert sum(row["scored"] for row in drawn["table"]) == 2
    assert all(0 <= bar["x"] <= 1 for bar in drawn["bars"])
