"""EMBED: a row for every sample; for each readable one an embedding of unit length, and its measures."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import scripted
from by_hand import CLASSES, MODELS, call, make_set, pixels
from PIL import Image
from scripted import patches, write_model

from pycurate.images.symmetries import VIEWS
from pycurate.results.encoder import read_encoder
from pycurate.results.layout import EMBEDDING, path_of
from pycurate.results.tables import read_array, read_table
from pycurate.stages import embed
from pycurate.stages.embed import LoaderOptions, normalised

SHARDS: list[list[int | bytes]] = [[0, 1, b"no image", 2], [b"", 3]]


def test_each_sample_has_a_row_and_each_readable_one_its_embedding(tmp_path: Path) -> None:
    make_set(tmp_path, SHARDS)
    call(tmp_path, "embed", *MODELS)
    for shard, content in enumerate(SHARDS):
        number = f"{shard:05}"
        samples = read_table(path_of(tmp_path, "samples", number))
        assert samples["key"].to_pylist() == [f"{key:03}" for key in range(len(content))]
        errors = samples["error"].to_pylist()
        assert [error is None for error in errors] == [isinstance(one, int) for one in content]
        readable = [pixels(one).reshape(-1, 3).mean(0) for one in content if isinstance(one, int)]
        expected = np.stack(readable) + 1
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        embeddings = read_array(path_of(tmp_path, "img_emb", number))
        assert embeddings.dtype == EMBEDDING
        np.testing.assert_allclose(embeddings, expected, atol=1e-3)
        measured = read_table(path_of(tmp_path, "measures", number))
        np.testing.assert_allclose(measured["bright"].to_numpy(), [one.mean() for one in readable], rtol=1e-6)
        assert measured["uid"].to_pylist() == [
            uid for uid, error in zip(samples["uid"].to_pylist(), errors, strict=True) if error is None
        ]


def test_a_descriptor_is_embedded_in_the_same_rows(tmp_path: Path) -> None:
    make_set(tmp_path, SHARDS)
    model = write_model(tmp_path / "model.pt")
    call(tmp_path, "embed", *MODELS)
    before = {path: path.read_bytes() for path in tmp_path.glob("*_emb/*.npy")}
    assert {path.parent.name for path in before} == {"img_emb"}
    call(tmp_path, "embed", *MODELS, "--dedup-encoder", f"torchscript:{model}")
    assert all(path.read_bytes() == data for path, data in before.items())
    for shard, content in enumerate(SHARDS):
        number = f"{shard:05}"
        embeddings = read_array(path_of(tmp_path, "dedup_emb", number))
        # Images of SIDE that are brought to the model's size by Pillow, as close as float16 and its rounding allow.
        images = [Image.fromarray(pixels(one)) for one in content if isinstance(one, int)]
        resized = [np.asarray(image.resize((scripted.SIDE,) * 2, Image.Resampling.BILINEAR)) for image in images]
        np.testing.assert_allclose(embeddings, patches(np.stack(resized)), atol=2e-3)
        assert embeddings.dtype == EMBEDDING
        samples = path_of(tmp_path, "samples", number)
        stated = [read_encoder(samples, kind) for kind in ("img_emb", "dedup_emb")]
        assert stated[0] and stated[0].name == "Mean"
        assert stated[1] and stated[1].sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    call(tmp_path, "embed", *MODELS, "--dedup-encoder", "own.py:Mean")  # the encoder itself has no second file
    assert {path: path.read_bytes() for path in tmp_path.glob("*_emb/*.npy")} == before
    assert read_encoder(path_of(tmp_path, "samples", "00000"), "dedup_emb") is None


def test_views_of_the_descriptor_are_those_of_the_image_mirrored_and_turned(tmp_path: Path) -> None:
    make_set(tmp_path, SHARDS)
    model = f"torchscript:{write_model(tmp_path / 'model.pt')}"
    own = ("--model-dir", "models", "--device", "cpu", "--encoder")
    for encoders, views in (
        (("own.py:Mean", "--dedup-encoder", model), "dihedral"),  # another encoder than the one that scores
        ((model,), "mirror"),  # the same
    ):
        call(tmp_path, "embed", *own, *encoders, "--dedup-views", views)
        for shard, content in enumerate(SHARDS):
            images = [Image.fromarray(pixels(one)) for one in content if isinstance(one, int)]
            small = [np.asarray(image.resize((scripted.SIDE,) * 2, Image.Resampling.BILINEAR)) for image in images]
            found = read_array(path_of(tmp_path, "dedup_emb", f"{shard:05}"))
            assert found.dtype == EMBEDDING and found.shape[1] == VIEWS[views]
            for view in range(VIEWS[views]):
                flipped = [one[:, ::-1] if view % 2 else one for one in small]
                turned = np.stack([np.rot90(one, view // 2) for one in flipped])
                np.testing.assert_allclose(found[:, view], patches(turned), atol=2e-3)
    alone = read_array(path_of(tmp_path, "img_emb", "00000"))
    assert np.array_equal(alone, read_array(path_of(tmp_path, "dedup_emb", "00000"))[:, 0])
    (tmp_path / "wide.py").write_text(f"{CLASSES}\nclass Wide(Mean): view = View(8, 9)\n")
    said = call(tmp_path, "embed", *own, "wide.py:Wide", "--dedup-views", "dihedral", code=2)
    assert "wide.py:Wide takes images of 9 x 8 pixels, which do not fit it when turned" in said


def test_one_partition_alone_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("all", "one"):
        (tmp_path / name).mkdir()
        make_set(tmp_path / name, SHARDS)
        call(tmp_path / name, "embed", *MODELS, *(["--partition", "00001"] if name == "one" else []))
    assert not path_of(tmp_path / "one", "samples", "00000").exists()
    for kind in ("samples", "measures", "img_emb", "metadata"):
        files = [path_of(tmp_path / name, kind, "00001").read_bytes() for name in ("all", "one")]
        assert files[0] == files[1], kind


def test_an_encoder_of_one_s_own_may_say_its_precision_as_torch_does(tmp_path: Path) -> None:
    make_set(tmp_path, [[0, 1]])
    (tmp_path / "half.py").write_text(f"import torch\n{CLASSES}class Half(Mean): precision = torch.float16\n")
    call(tmp_path, "embed", "--encoder", "half.py:Half")
    stated = read_encoder(path_of(tmp_path, "samples", "00000"), "img_emb")
    assert stated and stated.precision == "torch.float16"
    assert json.loads(path_of(tmp_path, "stats", "00000").read_text())["precision"] == {"img_emb": "torch.float16"}


def test_a_shard_that_is_gone_is_named(tmp_path: Path) -> None:
    make_set(tmp_path, SHARDS)
    (tmp_path / "shards" / "00001.tar").unlink()
    assert "00001.tar is gone" in call(tmp_path, "embed", *MODELS, code=1)


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-20, 1.0, 1e19, 1e30, 3e38])
def test_whatever_its_scale_a_row_has_unit_length_and_zero_stays_zero(scale: float) -> None:
    rows = (np.random.default_rng(0).uniform(-1, 1, (50, 12)) * scale).astype(np.float32)
    rows[7] = 0
    wide = rows.astype(np.longdouble)
    lengths = np.sqrt((wide**2).sum(axis=1, keepdims=True))
    lengths[7] = 1
    np.testing.assert_allclose(normalised(rows), (wide / lengths).astype(np.float64), rtol=1e-6)


def test_a_partition_whose_files_are_not_all_of_one_call_is_missing(tmp_path: Path) -> None:
    """As after a full disk: its earlier samples would name rows of other embeddings."""
    make_set(tmp_path, SHARDS)
    call(tmp_path, "embed", *MODELS)
    metadata = path_of(tmp_path, "metadata", "00001")
    metadata.unlink()
    metadata.mkdir()
    assert "a folder is in place of a file" in call(tmp_path, "embed", *MODELS, code=1)
    call(tmp_path, "score", *MODELS)
    assert "no samples file for 00001" in call(tmp_path, "decide", "--no-dedup", code=1)


@pytest.mark.parametrize(("cores", "batch"), [(1, 20), (2, 20), (3, 40), (8, 80), (64, 100)])
def test_each_core_of_a_cpu_has_images_of_a_batch(monkeypatch: pytest.MonkeyPatch, cores: int, batch: int) -> None:
    monkeypatch.setattr(embed, "cores", lambda: cores)
    options = LoaderOptions.fill(None, "cpu", 100, 1000, None)
    assert (options.batch_size, options.workers) == (batch, cores)
    assert LoaderOptions.fill(None, "cpu", 7, 1000, 1).batch_size == 7
    assert LoaderOptions.fill(None, "cuda", 100, 1000, None).batch_size == 100


def test_no_rows_are_normalised() -> None:
    assert normalised(np.zeros((0, 12), np.float32)).shape == (0, 12)


def test_what_later_stages_made_of_other_embeddings_is_removed(tmp_path: Path) -> None:
    """Its rows would fit, and decide about images that they do not show."""
    make_set(tmp_path, SHARDS)
    call(tmp_path, "embed", *MODELS)
    call(tmp_path, "score", *MODELS)
    call(tmp_path, "dedup", "pairs", "--dedup-threshold", "0.9", "--dedup-cells", "2")
    call(tmp_path, "embed", *MODELS, "--partition", "00001")
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*_0000*")}
    assert {name for name in left if name.startswith(("scores", "cells", "assigned", "pairs"))} == {
        "scores/scores_00000.parquet",
        "assigned/assigned_00000.npy",
    }
    assert "scores_00001.parquet is missing; run the stage" in call(tmp_path, "decide", "--no-dedup", code=1)
