"""Encoders in files of torch.jit.save: what they give, and what is refused."""

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scripted import SIDE, write_model

from pycurate.errors import ModelError, UsageError
from pycurate.images.views import View
from pycurate.models import batching
from pycurate.models.batching import checked_encode
from pycurate.models.builtin import sscd
from pycurate.models.builtin.torchscript import VIEW
from pycurate.models.identity import identity_of
from pycurate.models.presets import DESCRIPTORS, load_encoder


def test_rows_are_the_models_whatever_comes_with_them(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.pt", facts={"view": {"height": SIDE, "width": SIDE}, "mean": [0.5, 0.4, 0.3]})
    encoder = load_encoder(f"torchscript:{path}", tmp_path, "cpu")
    assert encoder.view == View(SIDE, SIDE) and encoder.dim == 12
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (30, 3, SIDE, SIDE), dtype=np.uint8))
    rows = checked_encode(encoder, pixels, "00000", [str(i) for i in range(30)])
    mean, std = (np.array(three).reshape(3, 1, 1) for three in ((0.5, 0.4, 0.3), (0.229, 0.224, 0.225)))
    quarters = ((pixels.numpy() / 255 - mean) / std).reshape(30, 3, 2, SIDE // 2, 2, SIDE // 2).mean((3, 5))
    np.testing.assert_allclose(rows, quarters.reshape(30, 12) * np.linspace(1, 2, 12), rtol=1e-4, atol=1e-5)
    for order in (np.arange(30)[::-1].copy(), np.array([7]), np.array([3, 3, 29])):
        again = checked_encode(encoder, pixels[torch.from_numpy(order)], "00000", [str(i) for i in order])
        assert np.array_equal(again, rows[order])


def test_the_file_is_what_identifies_it(tmp_path: Path) -> None:
    one, other = write_model(tmp_path / "one.pt"), write_model(tmp_path / "other.pt", weight=3)
    (tmp_path / "elsewhere.pt").write_bytes(one.read_bytes())
    identities = [identity_of(load_encoder(f"torchscript:{path}", tmp_path, "cpu")) for path in (one, other)]
    assert identities[0].sha256 == hashlib.sha256(one.read_bytes()).hexdigest()
    assert identities[0] != identities[1]
    assert identity_of(load_encoder(f"torchscript:{tmp_path}/elsewhere.pt", tmp_path, "cpu")) == identities[0]
    load_encoder(f"torchscript:{one}#{identities[0].sha256}", tmp_path, "cpu")
    with pytest.raises(ModelError, match="was changed after the run began"):
        load_encoder(f"torchscript:{other}#{identities[0].sha256}", tmp_path, "cpu")


class Greedy(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if bool((images > 0.4).all()):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB.")
        return images.flatten(1)


def test_a_want_of_memory_is_told_from_other_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_smaller", {})
    path = write_model(tmp_path / "model.pt", model=Greedy())
    encoder = load_encoder(f"torchscript:{path}", tmp_path, "cpu")
    pixels = torch.zeros((9, 3, SIDE, SIDE), dtype=torch.uint8)
    pixels[5] = 255
    with pytest.raises(ModelError, match=r"does not have enough memory for one image .*sample 5"):
        checked_encode(encoder, pixels, "00000", [str(i) for i in range(9)])
    assert set(batching._smaller.values()) == {1}


class Flat(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean()


@pytest.mark.parametrize(
    ("facts", "model"),
    [
        ({"view": {"height": 8}}, None),
        ({"view": {"height": 8, "width": 8, "resize": "crop"}}, None),
        ({"mean": [0.5]}, None),
        ([1], None),
        (None, Flat()),
    ],
    ids=["half a view", "no resize mode", "one mean for three", "a list", "a number for an image"],
)
def test_a_model_that_makes_no_rows_is_refused(facts: object, model: torch.nn.Module | None, tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.pt", facts=facts, model=model)
    with pytest.raises(ModelError, match=r"model\.pt is no TorchScript model"):
        load_encoder(f"torchscript:{path}", tmp_path, "cpu")


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no model")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pt")
    for name in ("text.pt", "weights.pt"):
        with pytest.raises(ModelError, match=rf"{name} is no TorchScript model"):
            load_encoder(f"torchscript:{tmp_path / name}", tmp_path, "cpu")
    with pytest.raises(UsageError, match=r"There is no file .*none\.pt"):
        load_encoder(f"torchscript:{tmp_path}/none.pt", tmp_path, "cpu")


def test_sscd_is_the_published_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, published = DESCRIPTORS["sscd"].encoder, sscd.SSCD_DISC_MIXUP
    assert published.url.startswith("https://") and published.url.endswith(f"/{published.file}")
    assert re.fullmatch("[0-9a-f]{64}", published.sha256)
    with pytest.raises(ModelError, match=r"is missing; on a machine .* fetch --dedup-encoder sscd --model-dir"):
        load_encoder(spec, tmp_path, "cpu")
    path = write_model(tmp_path / published.file, facts={})
    with pytest.raises(ModelError, match=f"instead of {published.sha256}; delete it"):
        load_encoder(spec, tmp_path, "cpu")
    own = dataclasses.replace(published, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(sscd, "SSCD_DISC_MIXUP", own)
    encoder = load_encoder(spec, tmp_path, "cpu")
    assert encoder.view == VIEW == View(320, 320, "squash", "bilinear")
    assert identity_of(encoder).name == spec
