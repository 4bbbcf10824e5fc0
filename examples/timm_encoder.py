"""An example encoder: the pooled features of a timm model.

    bin/embed.py --encoder examples/timm_encoder.py:TimmEncoder --model-dir models ...

Needs the model's weights in models/timm_encoder.safetensors. Save them once, with network access:

    import timm
    from safetensors.torch import save_file
    model = timm.create_model("mobilenetv3_small_050", pretrained=True, num_classes=0)
    save_file(model.state_dict(), "models/timm_encoder.safetensors")
"""

from pathlib import Path

import timm
import torch
from safetensors.torch import load_file

from pycurate.errors import ModelError
from pycurate.images.render import normalise
from pycurate.images.views import View

ARCHITECTURE = "mobilenetv3_small_050"


class TimmEncoder:
    """Pooled features of a timm model. Implements pycurate.models.protocols.Encoder."""

    name = f"timm/{ARCHITECTURE}"

    def __init__(self, model_dir: Path, device: str) -> None:
        weights = model_dir / "timm_encoder.safetensors"
        if not weights.is_file():
            raise ModelError(f"{weights} is missing; see the top of {__file__} for how to create it.")
        model = timm.create_model(ARCHITECTURE, num_classes=0)
        model.load_state_dict(load_file(weights))
        self._model = model.eval().to(device)
        config = timm.data.resolve_model_data_config(model)
        _, height, width = config["input_size"]
        self.view = View(height, width, interpolation=config["interpolation"])
        self.dim: int = self._model(torch.zeros(1, 3, height, width, device=device)).shape[1]
        self._mean, self._std = (torch.tensor(config[name], device=device) for name in ("mean", "std"))

    @torch.inference_mode()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (n, 3, view.height, view.width), RGB -> float32 (n, dim)."""
        features: torch.Tensor = self._model(normalise(pixels, self._mean, self._std))
        return features
