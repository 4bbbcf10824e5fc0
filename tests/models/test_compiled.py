"""Image towers compiled as they are on a GPU, here on the CPU by the same code: last bits change, and nothing else."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._dynamo
import torch._inductor.config
from tiny_clip import save_tiny
from torch._dynamo.utils import counters

from pycurate.models.batching import checked_encode
from pycurate.models.builtin.openclip import OpenClip

NOWHERE = Path("/nonexistent")  # a local checkpoint needs no model folder
BATCH = 10
NAMES = [str(number) for number in range(25)]


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenClip]:
    """A small model whose first compiled batch is compiled anew, whatever was compiled before."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch._dynamo.reset()
    encoder = OpenClip(save_tiny(tmp_path / "model"), NOWHERE, "cpu", "fp32")
    encoder.batch = BATCH  # as on a GPU, where alone anything is compiled
    yield encoder
    torch._dynamo.reset()


@pytest.fixture
def images() -> torch.Tensor:
    """25 images: two whole batches and one that is filled up."""
    return torch.randint(0, 256, (25, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_cpu_does_not_compile(encoder: OpenClip) -> None:
    assert not encoder.compiled


def test_one_compiled_block_serves_all_batches_and_changes_last_bits_only(
    need_compiler: None, encoder: OpenClip, images: torch.Tensor
) -> None:
    eager = checked_encode(encoder, images, "0", NAMES)
    encoder.compile()
    before = counters["stats"]["unique_graphs"]
    compiled = checked_encode(encoder, images, "0", NAMES)
    assert encoder.compiled
    assert counters["stats"]["unique_graphs"] == before + 1  # of two blocks and three batches
    np.testing.assert_allclose(compiled, eager, atol=1e-4)
    alone = np.concatenate([checked_encode(encoder, images[at : at + 1], "0", NAMES[at : at + 1]) for at in (0, 13)])
    assert np.array_equal(alone, compiled[[0, 13]])
    encoder.compiled = False
    assert np.array_equal(checked_encode(encoder, images, "0", NAMES), eager)
    assert counters["stats"]["unique_graphs"] == before + 1


def test_where_nothing_can_be_compiled_the_run_goes_on_and_says_so(
    encoder: OpenClip, images: torch.Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    eager = checked_encode(encoder, images, "0", NAMES)
    encoder.compile()
    no_compiler = torch._inductor.config.patch({"cpp.cxx": ("/no/such/compiler",)})
    with no_compiler, caplog.at_level(logging.WARNING):
        found = checked_encode(encoder, images, "0", NAMES)
    assert not encoder.compiled
    assert np.array_equal(found, eager)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "pycurate.models.builtin.openclip"]
    assert "continues without torch.compile, which failed: InvalidCxxCompiler: " in said


def test_more_sizes_than_torch_compiles_end_the_compiling_and_not_the_run(
    need_compiler: None,
    encoder: OpenClip,
    images: torch.Tensor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """torch has exceptions of its own for this that are no RuntimeError."""
    eager = [encoder.encode(images[:count]) for count in (5, 3)]
    encoder.compile()
    with torch._dynamo.config.patch(recompile_limit=1), caplog.at_level(logging.WARNING):
        found = [encoder.encode(images[:count]) for count in (5, 3)]
    assert not encoder.compiled
    assert torch.equal(found[1], eager[1])
    torch.testing.assert_close(found[0], eager[0], rtol=0, atol=1e-4)
    assert [record for record in caplog.records if "which failed: FailOnRecompileLimitHit" in record.getMessage()]


def test_a_compiled_batch_too_large_for_memory_is_halved(
    need_compiler: None, encoder: OpenClip, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder.compile()
    sizes: list[int] = []
    embed = encoder._embed

    def short_of_memory(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        if len(batch) == BATCH:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return embed(batch)

    monkeypatch.setattr(encoder, "_embed", short_of_memory)
    monkeypatch.setattr("pycurate.models.batching._smaller", {})
    assert len(checked_encode(encoder, images[:BATCH], "0", NAMES[:BATCH])) == BATCH
    assert sizes == [BATCH, BATCH // 2, BATCH // 2]
    assert encoder.compiled


@pytest.mark.gpu
def test_a_gpu_compiles_and_agrees_with_the_cpu(encoder: OpenClip, images: torch.Tensor, tmp_path: Path) -> None:
    on_gpu = OpenClip(f"local-dir:{tmp_path}/model", NOWHERE, "cuda")
    found = checked_encode(on_gpu, images.cuda(), "0", NAMES)
    assert on_gpu.compiled
    expected = checked_encode(encoder, images, "0", NAMES)
    assert torch.cosine_similarity(torch.from_numpy(found), torch.from_numpy(expected)).min() >= 0.999
