"""The images that are asked about are of every part of the range, and the threshold is told as a parameter."""

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from report_run import standard_rows

from pycurate.errors import UsageError
from pycurate.results.criteria import Side
from pycurate.results.tables import write_table
from pycurate.review.calibration.scores import option_of, score_bands, score_identity, score_sheet


@pytest.mark.parametrize("keeps", [Side.AT_LEAST, Side.BELOW])
def test_a_third_of_the_questions_are_about_the_best_quarter(keeps: Side) -> None:
    values = np.random.default_rng(0).random(1000).astype(np.float32)
    bands, drawn = score_bands(values, keeps, 90, np.random.default_rng(1))
    assert [band.images for band in bands] == [250, 250, 500] and [len(places) for places in drawn] == [30, 30, 30]
    best = np.sort(values)[::-1] if keeps.above else np.sort(values)
    for places, stretch in zip(drawn, (best[:250], best[250:500], best[500:]), strict=True):
        assert stretch.min() <= values[places].min() and values[places].max() <= stretch.max()


def test_every_image_with_the_score_may_be_drawn(results: Path) -> None:
    sheet = score_sheet(results, "nsfw", 1000)
    readable = {round(row.nsfw, 5) for row in standard_rows() if not row.error}
    assert len(sheet.items) == 58 and {round(item.value, 5) for item in sheet.items} <= readable
    assert (sheet.keeps, sheet.threshold, sheet.score) == (Side.BELOW, 0.5, "nsfw")
    assert sheet.run == score_identity(results, "nsfw") != score_identity(results, "aesthetic")
    raw = score_sheet(results, "aesthetic_raw", 10)
    assert (raw.keeps, raw.threshold, len(raw.items)) == (Side.AT_LEAST, None, 10)


def test_of_many_images_few_names_are_held(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    count = 300_000
    scores = np.random.default_rng(0).random(count).astype(np.float32)
    columns = {"uid": [f"{i:032x}" for i in range(count)], "nsfw": scores, "reason": ["kept"] * count}
    write_table(folder / "decisions.parquet", pa.table(columns))
    columns.clear()
    tracemalloc.start()
    sheet = score_sheet(folder, "nsfw", 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {np.float32(item.value) for item in sheet.items} == {scores[int(item.uids[0], 16)] for item in sheet.items}
    assert peak < 60 * count  # bytes, of what is not Arrow's; the names alone take 81 each as Python has them


def test_an_unknown_score_is_refused(results: Path) -> None:
    with pytest.raises(UsageError, match="no score beauty; choose one of aesthetic, aesthetic_raw, nsfw"):
        score_sheet(results, "beauty", 10)


def test_a_threshold_is_told_as_a_parameter() -> None:
    assert option_of("own", Side.AT_LEAST, 1234567.25) == "--min_score own=1234567.25"
    assert option_of("aesthetic", Side.AT_LEAST, 0.5) == "--aesthetic_threshold 0.5"
    assert option_of("clip_score", Side.AT_LEAST, 0.28) == "--clip_score_threshold 0.28"
    assert option_of("a score", Side.AT_LEAST, 4) == "--min_score 'a score=4'"
    # Whoever looks for text keeps the side that the score's own threshold drops.
    assert option_of("text_area", Side.BELOW, 0.1) == "--text_area_threshold 0.1"
    assert option_of("text_area", Side.AT_LEAST, 0.1) == "--min_score text_area=0.1"
    assert option_of("probe", Side.AT_LEAST, 4) == "--min_score probe=4"
