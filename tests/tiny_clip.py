"""open_clip models with random weights, as checkpoints on disk: only the numbers in the files differ from real ones."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}


def save_tiny(folder: Path, size: int | list[int] = 224, preparation: dict[str, Any] | None = None) -> str:
    """A small ViT with these preprocess settings as a local-dir; the encoder's name."""
    folder.mkdir(parents=True)
    vision = {"image_size": size, "layers": 2, "width": 64, "head_width": 32, "patch_size": 32}
    config = {
        "model_cfg": {"embed_dim": 32, "vision_cfg": vision, "text_cfg": TEXT},
        "preprocess_cfg": preparation or {},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def save_random(model: str, path: Path) -> Path:
    """A model of open_clip's list with random weights."""
    torch.manual_seed(0)
    save_file(open_clip.create_model(model).state_dict(), path)
    return path
