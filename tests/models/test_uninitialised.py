"""A model made without random numbers is the same once its weights are read, and no model at all before."""

from typing import Any

import open_clip
import pytest
import torch

from pycurate.models.uninitialised import Uninitialised

TEXT = {"context_length": 8, "vocab_size": 100, "width": 32, "heads": 2, "layers": 1}
TOWERS: dict[str, dict[str, Any]] = {
    "open_clip": {"layers": 1, "width": 64, "head_width": 32, "patch_size": 16, "image_size": 32},
    "resnet": {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32},
    "timm": {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "map", "timm_proj": "none", "image_size": 224},
}


@pytest.mark.parametrize("tower", TOWERS)
def test_weights_replace_all_that_was_not_drawn(tower: str) -> None:
    kind = open_clip.CLIP if tower != "timm" else open_clip.CustomTextCLIP
    config = {"embed_dim": 192 if tower == "timm" else 32, "vision_cfg": TOWERS[tower], "text_cfg": TEXT}
    torch.manual_seed(0)
    drawn = kind(**config)
    with Uninitialised():
        made = kind(**config)
        assert not all(bool(parameter.isfinite().all()) for parameter in made.parameters())
        made.load_state_dict(drawn.state_dict())
    side = TOWERS[tower]["image_size"]
    images, words = torch.rand(2, 3, side, side), torch.randint(1, 100, (2, 8))
    for ours, theirs in zip(made.eval()(images, words), drawn.eval()(images, words), strict=True):
        assert torch.equal(ours, theirs)
    assert dict(made.named_buffers()).keys() == dict(drawn.named_buffers()).keys()


@pytest.mark.parametrize("layer", [torch.nn.Linear(4, 4), torch.nn.Conv2d(3, 4, 3), torch.nn.Embedding(4, 4)])
def test_what_no_weights_replace_is_no_number(layer: torch.nn.Module) -> None:
    with Uninitialised():
        layer.reset_parameters()  # type: ignore[operator]
    assert all(bool(parameter.isnan().all()) for parameter in layer.parameters())
