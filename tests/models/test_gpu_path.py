"""What a GPU would be given, seen without one: types, copies, and that the CPU never waits for it within a batch."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
import torch._dynamo
from fake_gpu import Calls, fake_gpu
from safetensors.torch import save_file
from tiny_clip import TEXT
from torch._subclasses.fake_tensor import DataDependentOutputException

from pycurate.images.dali import DaliBackend
from pycurate.images.views import View
from pycurate.models.batching import GPU_BATCH, start_encode
from pycurate.models.builtin.efficientnet import EfficientNetLite0
from pycurate.models.builtin.openclip import OpenClip
from pycurate.models.golden import RINGS, golden_pixels

NOWHERE = Path("/nonexistent")  # a local checkpoint needs no model folder
NAMES = [str(number) for number in range(GPU_BATCH)]
VIT = {"image_size": 224, "layers": 2, "width": 64, "head_width": 32, "patch_size": 32}
TOWERS: dict[str, dict[str, Any]] = {
    "vit": {"vision_cfg": VIT},
    "quickgelu": {"vision_cfg": VIT, "quick_gelu": True},
    "timm": {
        "embed_dim": 192,
        "vision_cfg": {
            "image_size": 224,
            "timm_model_name": "vit_tiny_patch16_224",
            "timm_pool": "map",
            "timm_proj": "none",
        },
    },
    "resnet": {"vision_cfg": {"image_size": 224, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}},
}
COMPILED = [kind for kind in TOWERS if kind != "resnet"]
PRODUCTS = ("mm", "addmm", "bmm", "convolution", "scaled_dot_product_attention", "_native_multi_head_attention")
NORMS = ("native_layer_norm", "_native_batch_norm_legit_no_training")
BF16, FP32 = ("cuda", torch.bfloat16), ("cuda", torch.float32)


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The name of a small encoder of each kind, with random weights on disk."""
    names = {}
    for kind, config in TOWERS.items():
        folder = tmp_path_factory.mktemp(kind)
        model = {"embed_dim": 64, "text_cfg": TEXT, **config}
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))
        names[kind] = f"local-dir:{folder}"
        save_file(open_clip.create_model(names[kind]).state_dict(), folder / "open_clip_model.safetensors")
    return names


class Arrival:
    """Stands in for a CUDA event, which a driver makes."""

    def __init__(self, blocking: bool) -> None: ...

    def record(self, stream: object) -> None: ...


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """What runs within, on a GPU that is not there."""
    monkeypatch.setattr(torch.cuda, "Event", Arrival)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    with Calls() as calls:
        yield calls


@pytest.mark.parametrize("kind", TOWERS)
def test_a_batch_is_encoded_in_bf16_and_never_waited_for(
    towers: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_COMPILE_DISABLE", "1")
    with fake_gpu(monkeypatch):
        encoder = OpenClip(towers[kind], NOWHERE, "cuda")
        pixels = torch.zeros(GPU_BATCH, 3, 224, 224, dtype=torch.uint8, device="cuda")
        with watched(monkeypatch) as calls:
            rows = encoder.encode(pixels)
            start_encode(encoder, pixels, "0", NAMES)
            start_encode(encoder, pixels[:7], "0", NAMES[:7])
    assert (rows.shape, rows.dtype, rows.device.type) == ((GPU_BATCH, encoder.dim), torch.float32, "cuda")
    assert calls.inputs(*PRODUCTS) == {BF16}
    # In between only float32 rows leave, and nobody waits for them; no constant follows the pixels.
    assert calls.copies() == [("cuda", "cpu", torch.float32, True)] * 2
    # open_clip's own transformers are normalised in float32; timm's and ResNets' numbers stay as they are.
    assert calls.inputs(*NORMS) == {"timm": {BF16}, "resnet": {BF16, FP32}}.get(kind, {FP32})


def test_what_a_cpu_decoded_goes_to_the_gpu_while_it_works(
    towers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_COMPILE_DISABLE", "1")
    with fake_gpu(monkeypatch):
        encoder = OpenClip(towers["vit"], NOWHERE, "cuda")
        with watched(monkeypatch) as calls:
            encoder.encode(torch.zeros(GPU_BATCH, 3, 224, 224, dtype=torch.uint8))
    assert calls.copies() == [("cpu", "cuda", torch.uint8, True)]


def test_lite0_is_never_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_gpu(monkeypatch):
        encoder = EfficientNetLite0(NOWHERE, "cuda")
        pixels = torch.zeros(GPU_BATCH, 3, 224, 224, dtype=torch.uint8, device="cuda")
        with watched(monkeypatch) as calls:
            rows = encoder.encode(pixels)
            start_encode(encoder, pixels, "0", NAMES)
    assert (rows.shape, rows.dtype, rows.device.type) == ((GPU_BATCH, encoder.dim), torch.float32, "cuda")
    assert calls.inputs("convolution") == {FP32}
    kernels = [weight for weight in encoder._model.parameters() if weight.dim() == 4]
    assert kernels and all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert calls.copies() == [("cuda", "cpu", torch.float32, True)]


def test_lite0_takes_the_pixels_of_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which are made on the CPU."""
    with fake_gpu(monkeypatch):
        encoder = EfficientNetLite0(NOWHERE, "cuda")
        with watched(monkeypatch) as calls:
            rows = encoder.encode(golden_pixels(encoder.view.height, encoder.view.width))
    assert (rows.shape, rows.device.type) == ((len(RINGS), encoder.dim), "cuda")
    assert calls.copies() == [("cpu", "cuda", torch.uint8, True)]


def test_an_encoder_that_waits_for_the_gpu_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above rest on this."""
    with fake_gpu(monkeypatch), watched(monkeypatch) as calls:
        pixels = torch.zeros(2, 3, 4, 4, device="cuda")
        pixels.cpu()
        with pytest.raises(DataDependentOutputException):
            pixels.sum().item()
        with pytest.raises(DataDependentOutputException):
            bool(pixels.max() > 0)
    assert calls.copies() == [("cuda", "cpu", torch.float32, False)]


@pytest.mark.parametrize("kind", COMPILED)
def test_blocks_of_every_kind_become_one_graph_without_a_break(
    towers: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _: object) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    with fake_gpu(monkeypatch):
        encoder = OpenClip(towers[kind], NOWHERE, "cuda")
        assert encoder.compiled and len(encoder._blocks) >= 2
        for block in encoder._blocks:  # as OpenClip.compile, but for what is done with the graph
            block.compile(fullgraph=True, dynamic=False, backend=keep)
        for _ in range(2):
            encoder.encode(torch.zeros(GPU_BATCH, 3, 224, 224, dtype=torch.uint8, device="cuda"))
        assert encoder.compiled
    assert len(graphs) == 1
    torch._dynamo.reset()


def test_a_tower_without_such_blocks_is_not_compiled(towers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_gpu(monkeypatch):
        assert not OpenClip(towers["resnet"], NOWHERE, "cuda").compiled


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_where_triton_finds_no_driver_the_run_goes_on_and_says_so(
    towers: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    torch._dynamo.reset()
    with fake_gpu(monkeypatch), caplog.at_level(logging.WARNING):
        encoder = OpenClip(towers["vit"], NOWHERE, "cuda")
        rows = encoder.encode(torch.zeros(GPU_BATCH, 3, 224, 224, dtype=torch.uint8, device="cuda"))
    assert rows.shape == (GPU_BATCH, encoder.dim) and not encoder.compiled
    (said,) = [record.getMessage() for record in caplog.records if record.name == "pycurate.models.builtin.openclip"]
    assert "continues without torch.compile, which failed: RuntimeError: Found no NVIDIA driver" in said
    torch._dynamo.reset()


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_dali_knows_every_argument_of_its_graph_on_a_gpu(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defined, which checks names, types and devices; to build it would take a driver."""
    monkeypatch.setattr(DaliBackend, "_build", DaliBackend._define)
    views = [View(224, 224), View(48, 80, "squash", "bilinear"), View(96, 96, "longest", fill=255)]
    backend = DaliBackend(views, device, 100, 10**8, 2)
    assert backend.pipeline.device_id == (torch.device(device).index or 0)
    assert [output.device for output in backend.pipeline._graph_out or ()] == ["gpu"] * len(views)
    backend.close()
