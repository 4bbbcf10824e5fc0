"""SCORE: a column for each scorer, from embeddings and what EMBED measured; no pixel is read again."""

import shutil
from pathlib import Path

import numpy as np
from by_hand import CLASSES, MODELS, call, make_set

from pycurate.results.layout import path_of
from pycurate.results.tables import read_array, read_table


def test_scores_are_those_of_the_embeddings_and_measures(tmp_path: Path) -> None:
    make_set(tmp_path, [[0, 1, b"no image"], [2]])
    call(tmp_path, "embed", *MODELS)
    shutil.rmtree(tmp_path / "shards")
    call(tmp_path, "score", *MODELS, "--scorer", "own.py:First")
    for number in ("00000", "00001"):
        scores = read_table(path_of(tmp_path, "scores", number))
        measured = read_table(path_of(tmp_path, "measures", number))
        assert scores.column_names == ["uid", "bright", "first"]
        assert scores["uid"].equals(measured["uid"])
        np.testing.assert_array_equal(scores["bright"].to_numpy(), measured["bright"].to_numpy())
        first = read_array(path_of(tmp_path, "img_emb", number))[:, 0]
        np.testing.assert_array_equal(scores["first"].to_numpy(), first.astype(np.float32))


def test_a_scorer_that_was_not_measured_is_named(tmp_path: Path) -> None:
    make_set(tmp_path, [[0]])
    call(tmp_path, "embed", *MODELS)
    (tmp_path / "other.py").write_text(CLASSES.replace('"bright"', '"dark"'))
    other = [word.replace("own.py:Bright", "other.py:Bright") for word in MODELS]
    assert "dark" in call(tmp_path, "score", *other, code=1)
