"""What open_clip's models compute in: what was asked for, else what the processor is made for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loaded import loaded
from tiny_clip import TEXT, save_random, save_tiny

from pycurate.errors import UsageError
from pycurate.hardware import computes_bf16
from pycurate.models import precision
from pycurate.models.builtin.openclip import OpenClip
from pycurate.models.identity import identity_of
from pycurate.models.precision import FORMATS, precision_on
from pycurate.models.presets import load_encoder

NOWHERE = Path("/nonexistent")
CPU, GPU = torch.device("cpu"), torch.device("cuda")
TOWERS: dict[str, dict[str, Any]] = {
    "timm": {
        "embed_dim": 192,
        "vision_cfg": {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "map", "timm_proj": "none"},
    },
    "resnet": {"embed_dim": 64, "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "patch_size": None}},
    "coca": {
        "custom_text": True,
        "vision_cfg": {"layers": 2, "width": 64, "head_width": 32, "patch_size": 32, "attentional_pool": True}
        | {"attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": TEXT | {"embed_cls": True, "output_tokens": True},
        "multimodal_cfg": TEXT | {"attn_pooler_heads": 2},
    },
}
WORDS = ["a cat on a mat", "a dog", "words " * 100]


def test_the_processor_decides_what_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    assert computes_bf16() == ("avx512_bf16" in flags)
    for has in (False, True):
        monkeypatch.setattr(precision, "computes_bf16", lambda has=has: has)
        assert precision_on(CPU) == ("bf16" if has else "fp32")
        assert precision_on(GPU) == "bf16"
        assert [precision_on(each, name) for each in (CPU, GPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"] * 2
    with pytest.raises(UsageError, match="'fp16'; choose among auto, fp32, bf16"):
        precision_on(CPU, "fp16")


def test_a_preset_s_embeddings_in_bf16_are_those_in_fp32_but_for_rounding(tmp_path: Path) -> None:
    spec = f"ViT-B-32-quickgelu/{save_random('ViT-B-32-quickgelu', tmp_path / 'random.safetensors')}"
    check_precisions(spec)


@pytest.mark.parametrize("kind", TOWERS)
def test_every_kind_of_tower_computes_in_bf16(kind: str, tmp_path: Path) -> None:
    check_precisions(save_tiny(tmp_path / "model", model=TOWERS[kind]))


def check_precisions(spec: str) -> None:
    """That embeddings of images and of texts in bf16 have a cosine of 0.9999 at least with those in fp32."""
    exact, short = (OpenClip(spec, NOWHERE, "cpu", name) for name in FORMATS)
    pixels = loaded(exact)[:3]
    long, near = (one.encode(pixels) for one in (exact, short))
    assert torch.cosine_similarity(long, near).min() >= 0.9999 and long.dtype == near.dtype == torch.float32
    assert np.einsum("nd,nd->n", *(one.encode_text(WORDS) for one in (exact, short))).min() >= 0.9999
    products = [part for part in short._model.modules() if isinstance(part, torch.nn.Linear)]
    assert products and {part.weight.dtype for part in products} == {torch.bfloat16}


def test_the_precision_is_recorded_and_makes_no_other_encoder(tmp_path: Path) -> None:
    spec = save_tiny(tmp_path / "model")
    one, other = (identity_of(load_encoder(spec, NOWHERE, "cpu", name)) for name in ("fp32", "bf16"))
    assert (one.precision, other.precision) == ("fp32", "bf16") and one == other
    assert identity_of(load_encoder(spec, NOWHERE, "cpu")).precision == precision_on(CPU)


def test_an_image_has_the_same_bf16_embedding_alone_and_among_others(tmp_path: Path) -> None:
    encoder = OpenClip(save_tiny(tmp_path / "model"), NOWHERE, "cpu", "bf16")
    pixels = loaded(encoder)
    together = encoder.encode(pixels)
    for at in range(len(pixels)):
        assert torch.equal(encoder.encode(pixels[at : at + 1])[0], together[at])
