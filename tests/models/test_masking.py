"""Images without their text: words on an even ground leave the ground, and all else stays as it is, to the last bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from by_hand import call
from lettering import lettered
from pictures import encode, photographs
from PIL import Image
from tars import write_tar

from pycurate.errors import ModelError, UsageError
from pycurate.models.builtin.text_area import TextArea
from pycurate.models.masking import Masking
from pycurate.models.presets import load_encoder
from pycurate.results.encoder import read_encoder
from pycurate.results.layout import path_of
from pycurate.results.tables import read_array, read_table

MEAN = """
from pycurate.images.views import View

class Mean:
    name, dim, view = "Mean", 3, View({height}, 128, "{resize}")
    def __init__(self, model_dir, device): ...
    def encode(self, pixels): return pixels.float().mean(dim=(2, 3)) + 1
"""
GROUND = (200, 120, 40)
SCORER = "pycurate.models.builtin.text_area:TextArea"


@pytest.mark.parametrize(("height", "resize"), [(128, "shortest"), (96, "squash")])
def test_words_are_painted_over_and_nothing_else_changes(tmp_path: Path, height: int, resize: str) -> None:
    words, area = lettered(Image.new("RGB", (500, 400), GROUND), 0.12, 3)
    plain = [*photographs().values()][::2]  # whose first two have no text, be they the project's or packaged
    members = [("0.png", encode(words, "PNG")), ("1.jpg", plain[0]), ("2.jpg", plain[1][:400]), ("3.jpg", plain[1])]
    write_tar(tmp_path / "shards" / "0.tar", members)
    (tmp_path / "own.py").write_text(MEAN.format(height=height, resize=resize))
    models = ("--model-dir", "models", "--encoder", "own.py:Mean", "--device", "cpu")
    call(tmp_path, "partition", "--input", "shards")
    call(tmp_path, "embed", *models, "--pixel-scorer", SCORER)
    before = {path: path.read_bytes() for path in [*tmp_path.glob("*_emb/*"), *tmp_path.glob("measures/*")]}
    call(tmp_path, "embed", *models, "--clip-score-masked")
    assert all(path.read_bytes() == data for path, data in before.items())

    areas = read_table(path_of(tmp_path, "measures", "00000"))["text_area"].to_numpy()
    as_they_are, without = (read_array(path_of(tmp_path, kind, "00000")) for kind in ("img_emb", "masked_emb"))
    assert areas[0] == pytest.approx(area, rel=0.3)
    ground = np.add(GROUND, 1) / np.linalg.norm(np.add(GROUND, 1))
    assert np.abs(as_they_are[0] - ground).max() > 0.01
    np.testing.assert_allclose(without[0], ground, atol=2e-3)
    for row in (1, 2):
        assert np.array_equal(without[row], as_they_are[row]) == (areas[row] == 0)
    samples = path_of(tmp_path, "samples", "00000")
    assert read_encoder(samples, "masked_emb") == read_encoder(samples, "img_emb") is not None

    call(tmp_path, "embed", *models)
    assert not path_of(tmp_path, "masked_emb", "00000").exists()


def test_what_finds_text_is_needed_and_named_where_it_fails(tmp_path: Path) -> None:
    encoder = load_encoder("pycurate.models.builtin.efficientnet:EfficientNetLite0", tmp_path, "cpu")
    with pytest.raises(UsageError, match="require a TextArea"):
        Masking.of(encoder, [])
    masking = Masking.of(encoder, [TextArea(tmp_path, "cpu")])
    pixels = torch.zeros((1, 3, 640, 640), dtype=torch.uint8)
    with pytest.raises(ModelError, match=r"TextArea raised .*partition 00003, sample one"):
        masking.find(pixels, [], "00003", ["one"])
