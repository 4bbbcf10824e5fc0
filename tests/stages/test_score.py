"""SCORE: a column for each scorer, from embeddings and what EMBED measured; no pixel is read again."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from by_hand import CLASSES, MODELS, call, make_set
from tiny_clip import save_tiny

from pycurate.errors import ModelError
from pycurate.results.layout import path_of
from pycurate.results.tables import read_array, read_table
from pycurate.stages.score import columns_of


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


@pytest.mark.parametrize("scorer", [(), ("--scorer", "own.py:First")])
def test_embeddings_by_another_encoder_are_not_scored(tmp_path: Path, scorer: tuple[str, ...]) -> None:
    make_set(tmp_path, [[0]])
    (tmp_path / "own.py").write_text(CLASSES + "class Sum(Mean): ...\n")
    call(tmp_path, "embed", *MODELS)
    other = [word.replace("own.py:Mean", "own.py:Sum") for word in MODELS]
    said = call(tmp_path, "score", *other, *scorer, code=1)
    assert "by Mean" in said and "own.py:Sum" in said and not (tmp_path / "scores").exists()


def test_captions_are_scored_by_the_weights_that_embedded_the_images(tmp_path: Path) -> None:
    make_set(tmp_path, [[0]])
    save_tiny(tmp_path / "one")
    save_tiny(tmp_path / "other", preparation={"mean": [0.1, 0.2, 0.3]})
    call(tmp_path, "embed", "--encoder", "local-dir:one", "--device", "cpu")
    call(tmp_path, "score", "--encoder", "local-dir:one", "--device", "cpu", "--clip-score")
    said = call(tmp_path, "score", "--encoder", "local-dir:other", "--device", "cpu", "--clip-score", code=1)
    assert "are by local-dir" in said


class Halved:
    name = "halved"

    @staticmethod
    def calibrate(raw: np.ndarray) -> np.ndarray:
        raw /= 2
        return raw


def test_a_raw_score_is_stored_as_it_was_whatever_its_calibration_does() -> None:
    found = columns_of(Halved, np.array([1, 2], np.float32), "00000", ["one", "two"])  # type: ignore[arg-type]
    assert found["halved"].tolist() == [0.5, 1] and found["halved_raw"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (np.array(["0.5", "0.6"]), "gave <U3 instead of float32"),
        (np.array([True, False]), "gave bool instead of float32"),
        (np.array([1j, 0]), "gave complex128 instead of float32"),
        (np.zeros(2, "datetime64[s]"), r"gave datetime64\[s\] instead of float32"),
        (np.array([0.5, 0.6], object), "gave object instead of float32"),
        (np.array([[0.5, 0.6]]), r"gave shape \(1, 2\) instead of \(2,\)"),
        (np.array([0.5, np.nan]), r"gave a value that is not finite \(partition 00007, sample two\)"),
        (np.ma.masked_equal([0.5, 0], 0), r"gave a value that is not finite \(partition 00007, sample two\)"),
        (np.array([1e60, 0.5]), r"gave a value that is not finite \(partition 00007, sample one\)"),
    ],
)
def test_a_calibration_that_gives_no_scores_is_named(gives: np.ndarray, message: str) -> None:
    class Own:
        name = "own"

        @staticmethod
        def calibrate(raw: np.ndarray) -> np.ndarray:
            return gives

    with pytest.raises(ModelError, match=rf"Own\.calibrate {message}"):
        columns_of(Own, np.zeros(2, np.float32), "00007", ["one", "two"])  # type: ignore[arg-type]
