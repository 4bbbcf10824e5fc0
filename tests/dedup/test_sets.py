"""Sets are compared only if they are whole and of one encoder."""

from pathlib import Path

import pytest
from by_hand import MODELS, call, make_set

from pycurate.results.layout import path_of

SHARDS: list[list[int | bytes]] = [[0, 1], [2], [3]]


def embedded(folder: Path, encoder: str = "Mean") -> Path:
    folder.mkdir()
    make_set(folder, SHARDS)
    text = (folder / "own.py").read_text()
    (folder / "own.py").write_text(text + 'class Other(Mean):\n    name = "other"\n')
    call(folder, "embed", *(word.replace("Mean", encoder) for word in MODELS))
    return folder


SEARCH = ("--dedup-threshold", "0.9")


def test_a_set_of_the_same_encoder_outranks_the_input(tmp_path: Path) -> None:
    reference, mine = embedded(tmp_path / "reference"), embedded(tmp_path / "mine")
    call(mine, "score", *MODELS)
    call(mine, "dedup", "pairs", "--reference", reference, *SEARCH)
    call(mine, "decide", "--reference", reference, "--no-write")


def test_a_set_of_another_encoder_of_the_same_width_is_refused(tmp_path: Path) -> None:
    reference, mine = embedded(tmp_path / "reference", "Other"), embedded(tmp_path / "mine")
    said = call(mine, "dedup", "pairs", "--reference", reference, *SEARCH, code=1)
    assert "was embedded by Other" in said and "Mean" in said and str(reference) in said


@pytest.mark.parametrize("number", ["00000", "00001", "00002"])
@pytest.mark.parametrize("which", ["reference", "mine"])
def test_a_set_without_one_of_its_partitions_is_refused(tmp_path: Path, which: str, number: str) -> None:
    reference, mine = embedded(tmp_path / "reference"), embedded(tmp_path / "mine")
    for kind in ("samples", "img_emb", "metadata", "measures"):
        path_of(tmp_path / which, kind, number).unlink()
    said = call(mine, "dedup", "pairs", "--reference", reference, *SEARCH, code=1)
    assert number in said
