"""open_clip models with random weights, as checkpoints on disk: only the numbers in the files differ from real ones."""

import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from pycurate.models.selftest import CAPTIONS

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}


def save_tiny(
    folder: Path,
    size: int | list[int] = 224,
    preparation: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
) -> str:
    """A small ViT with these preprocess settings as a local-dir; the encoder's name.

    `model` replaces fields of open_clip's configuration of it.
    """
    folder.mkdir(parents=True)
    vision = {"image_size": size, "layers": 2, "width": 64, "head_width": 32, "patch_size": 32}
    config = {
        "model_cfg": {"embed_dim": 32, "vision_cfg": vision, "text_cfg": TEXT} | (model or {}),
        "preprocess_cfg": preparation or {},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    made = open_clip.create_model(f"local-dir:{folder}")
    save_file(made.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def save_random(model: str, path: Path) -> Path:
    """A model of open_clip's list with random weights."""
    torch.manual_seed(0)
    save_file(open_clip.create_model(model).state_dict(), path)
    return path


@torch.inference_mode()
def save_stand_in(model: str, path: Path) -> Path:
    """A model of open_clip's list with random weights that pass the self-test: they stand in for OpenAI's.

    Random but for the text projection, which sends the self-test's three captions to where its two photographs lie, and
    to the far side of both.
    """
    torch.manual_seed(0)
    clip, _, prepare = open_clip.create_model_and_transforms(model, force_quick_gelu=True)
    clip.eval()
    folder = files("pycurate.models") / "photographs"
    images = [prepare(Image.open(io.BytesIO((folder / name).read_bytes()))) for name in CAPTIONS if name]
    one, other = clip.encode_image(torch.stack(images), normalize=True).double()
    clip.text_projection.data = torch.eye(len(clip.text_projection))
    texts = clip.encode_text(open_clip.get_tokenizer(model)(list(CAPTIONS.values()))).double()
    due = torch.stack([one - other, other - one, -one - other])
    clip.text_projection.data = (torch.linalg.pinv(texts) @ due).float()
    save_file(clip.state_dict(), path)
    return path
