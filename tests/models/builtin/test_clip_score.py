"""The CLIP score is the cosine of image and caption, where there is a caption."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from loaded import loaded
from tiny_clip import TEXT, save_tiny

from pycurate.errors import ModelError, UsageError
from pycurate.models.builtin.clip_score import ClipScore, check_text
from pycurate.models.builtin.openclip import OpenClip

NOWHERE = Path("/nonexistent")  # a local checkpoint needs no model folder


def test_the_clip_score_is_the_cosine_of_image_and_caption(tmp_path: Path) -> None:
    spec = save_tiny(tmp_path / "model")
    encoder = OpenClip(spec, NOWHERE, "cpu", "fp32")
    vectors = torch.nn.functional.normalize(encoder.encode(loaded(encoder)[:4]), dim=-1).numpy()
    captions = ["a cat on a mat", None, "  ", "words " * 200]
    clip = ClipScore(spec, NOWHERE, "cpu", "fp32")
    embedded = clip.embed(captions)
    scores = clip.score(vectors, embedded)
    tokens = open_clip.get_tokenizer("ViT-B-32")(["a cat on a mat", "words " * 200])
    texts = open_clip.create_model(spec).eval().encode_text(tokens, normalize=True).detach().numpy()
    np.testing.assert_allclose(embedded[[0, 3]], texts, atol=1e-5)
    assert not embedded[[1, 2]].any()
    np.testing.assert_allclose(scores[[0, 3]], [vectors[0] @ texts[0], vectors[3] @ texts[1]], atol=1e-5)
    assert np.isnan(scores[[1, 2]]).all()


def test_a_clip_score_needs_a_text_tower_that_is_at_hand(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot embed captions"):
        ClipScore("pycurate.models.builtin.efficientnet:EfficientNetLite0", tmp_path, "cpu")
    path = tmp_path / "siglip"
    spec = save_tiny(path)
    config = json.loads((path / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "someone/tokenizer"
    (path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="no CLIP score"):
        OpenClip(spec, NOWHERE, "cpu").encode_text(["a cat"])
    for encoder in (spec, "ViT-B-16-SigLIP/webli"):  # which is known before there are weights
        with pytest.raises(ModelError, match="no CLIP score"):
            check_text(encoder)


def test_which_tokenizer_a_model_has_does_not_follow_from_its_folder_s_name(tmp_path: Path) -> None:
    path = tmp_path / "siglip against clip"
    spec = save_tiny(path, model={"text_cfg": TEXT | {"hf_tokenizer_name": ""}})  # none, as open_clip has it
    texts = OpenClip(spec, NOWHERE, "cpu", "fp32").encode_text(["a cat"])
    model = open_clip.create_model(spec).eval()
    due = model.encode_text(open_clip.get_tokenizer(spec)(["a cat"]), normalize=True).detach().numpy()
    np.testing.assert_allclose(texts, due, atol=1e-5)
