"""open_clip's models, prepared as they want it, and the same whatever comes with an image in a batch."""

import io
import json
import os
import pickle
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from hub import running_hub
from hypothesis import given, settings
from hypothesis import strategies as st
from loaded import loaded
from open_clip.transform import PreprocessCfg, image_transform_v2
from pictures import photographs
from PIL import Image
from tars import write_tar
from tiny_clip import save_random, save_tiny

from pycurate.errors import ModelError, UsageError
from pycurate.models.batching import checked_encode
from pycurate.models.builtin import openclip
from pycurate.models.builtin.laion import AestheticV1B32, NsfwB32
from pycurate.models.builtin.openclip import MOST_CHARACTERS, OpenClip, find_source, view_of
from pycurate.models.selection import select_models
from pycurate.results.layout import path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.tables import read_array, read_table
from pycurate.shards.listing import find_shards
from pycurate.stages.embed import LoaderOptions, embed_partition
from pycurate.stages.partition import partition
from pycurate.stages.score import score_partition
from scripts import called

NOWHERE = Path("/nonexistent")  # a local checkpoint needs no model folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> OpenClip:
    """A small model, 224 x 224, prepared as CLIP is."""
    return OpenClip(save_tiny(tmp_path_factory.mktemp("tiny") / "model"), NOWHERE, "cpu")


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model folder into which ViT-B-32/openai was fetched, from a hub where its file holds random numbers."""
    folder = tmp_path_factory.mktemp("b32")
    repository = open_clip.get_pretrained_cfg("ViT-B-32", "openai")["hf_hub"].rstrip("/")
    with running_hub() as hub, pytest.MonkeyPatch.context() as patch:
        hub.store(repository, "open_clip_model.safetensors", save_random("ViT-B-32", folder / "random.safetensors"))
        patch.setenv("HF_ENDPOINT", hub.url)
        openclip.fetch("ViT-B-32/openai", folder / "models")
    (folder / "random.safetensors").unlink()
    yield folder / "models"
    shutil.rmtree(folder)  # 600 MB, which pytest would keep


def prepared(config: dict[str, Any]) -> torch.Tensor:
    """The photographs by open_clip's own transform."""
    transform = image_transform_v2(PreprocessCfg(**config), is_train=False)
    return torch.stack([transform(Image.open(io.BytesIO(data))) for data in photographs().values()])


# --- preparation


SHAPES: list[tuple[int | list[int], str, str]] = [
    (224, "bicubic", "shortest"),
    (224, "bilinear", "shortest"),
    (256, "bicubic", "shortest"),
    (256, "bilinear", "squash"),
    (352, "bicubic", "shortest"),
    (256, "random", "squash"),
    ([256, 192], "bicubic", "shortest"),
    ([192, 256], "bilinear", "shortest"),
    ([256, 192], "bilinear", "squash"),
    ([192, 256], "bicubic", "longest"),
    (224, "bilinear", "longest"),
]


@pytest.mark.parametrize(("size", "interpolation", "mode"), SHAPES)
def test_the_loader_prepares_as_open_clip_does(
    tmp_path: Path, size: int | list[int], interpolation: str, mode: str
) -> None:
    means = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
    how = {"interpolation": interpolation, "resize_mode": mode, "fill_color": 7, **means}
    encoder = OpenClip(save_tiny(tmp_path / "model", size, how), NOWHERE, "cpu")
    theirs, ours = prepared(encoder.preparation), loaded(encoder)
    assert theirs.shape == ours.shape
    mean, std = torch.tensor(means["mean"]).view(3, 1, 1), torch.tensor(means["std"]).view(3, 1, 1)
    difference = ((theirs * std + mean) * 255 - ours).abs().mean(dim=(1, 2, 3))
    assert difference.max() <= 0.5
    assert torch.cosine_similarity(encoder.embed(theirs), encoder.encode(ours)).min() >= 0.999


def test_every_configuration_of_open_clips_list_has_a_view() -> None:
    kinds = {
        json.dumps({key: open_clip.get_pretrained_cfg(model, tag)[key] for key in ("interpolation", "resize_mode")})
        for model, tag in open_clip.list_pretrained()
    }
    assert len(kinds) >= 4
    for kind in kinds:
        config = json.loads(kind)
        view = view_of({"size": 384, "fill_color": 0, **config})
        assert (view.height, view.width) == (384, 384)
        assert (view.interpolation, view.resize) == (config["interpolation"], config["resize_mode"])


def test_mean_and_deviation_are_the_models_own(tmp_path: Path) -> None:
    siglip = {"mean": [0.5] * 3, "std": [0.5] * 3}
    one = OpenClip(save_tiny(tmp_path / "a"), NOWHERE, "cpu")
    other = OpenClip(save_tiny(tmp_path / "b", 224, siglip), NOWHERE, "cpu")
    pixels = loaded(one)
    assert torch.allclose(other.encode(pixels), other.embed(pixels / 127.5 - 1), atol=1e-5)
    assert not torch.allclose(other.encode(pixels), one.encode(pixels), atol=1e-2)


# --- the pair ViT-B-32/openai, at its real size, fetched from a hub


@pytest.fixture(scope="module")
def b32(fetched: Path) -> OpenClip:
    """ViT-B-32/openai with those random numbers."""
    return OpenClip("ViT-B-32/openai", fetched, "cpu")


def test_openai_weights_get_quick_gelu(fetched: Path, b32: OpenClip) -> None:
    """A checkpoint of one's own has the activation that the model's name says, so it shows both."""
    file = fetched / "ViT-B-32.openai.safetensors"
    pixels = loaded(b32)[:3]
    right = OpenClip(f"ViT-B-32-quickgelu/{file}", NOWHERE, "cpu")
    assert torch.equal(b32.encode(pixels), right.encode(pixels))
    assert np.array_equal(b32.encode_text(["a cat"]), right.encode_text(["a cat"]))
    del right
    wrong = OpenClip(f"ViT-B-32/{file}", NOWHERE, "cpu")
    assert (b32.encode(pixels) - wrong.encode(pixels)).abs().max() > 1e-3
    assert np.abs(b32.encode_text(["a cat"]) - wrong.encode_text(["a cat"])).max() > 1e-4


def test_all_names_of_a_model_are_one_encoder(fetched: Path) -> None:
    for spec in ("ViT-B-32-quickgelu/openai", "ViT-B-32/openai", "ViT-B-32/OpenAI"):
        source = find_source(spec)
        assert source.hub and source.name == source.hub.pair == "ViT-B-32/openai"
    before = sorted(fetched.iterdir())
    openclip.fetch("ViT-B-32-quickgelu/openai", fetched)  # it is there; no hub is asked
    assert sorted(fetched.iterdir()) == before


def test_altered_weights_are_refused(fetched: Path, tmp_path: Path) -> None:
    name = "ViT-B-32.openai.safetensors"
    (tmp_path / name).write_bytes(b"something else")
    (tmp_path / f"{name}.sha256").write_text((fetched / f"{name}.sha256").read_text())
    with pytest.raises(ModelError, match=rf"{name} has SHA-256 .*; delete it"):
        OpenClip("ViT-B-32/openai", tmp_path, "cpu")


def test_verify_tells_random_numbers_from_clip(fetched: Path, shared: Path, tmp_path: Path) -> None:
    for path in (*fetched.iterdir(), *(shared / "heads").iterdir()):
        if not path.name.startswith("."):
            (tmp_path / path.name).symlink_to(path)
    report = tmp_path / "report.json"
    found = called("models", "verify", "--preset", "clip-b32", "--model-dir", str(tmp_path), "--report", str(report))
    states = {(f["check"], f["subject"]): f["state"] for f in json.loads(report.read_text())["findings"]}
    assert states.pop(("captions", "ViT-B-32/openai")) == "failed"
    assert set(states.values()) == {"passed"}
    assert {check for check, _ in states} == {"weights", "golden", "preparation", "batches"}
    assert found.exit_code == 1


def test_a_preset_from_tar_to_scores_whatever_the_batch_size(fetched: Path, shared: Path, tmp_path: Path) -> None:
    for path in (*fetched.glob("ViT*"), *(shared / "heads").iterdir()):
        (tmp_path / path.name).symlink_to(path)
    write_tar(tmp_path / "shard.tar", [(f"{at:04d}.jpg", data) for at, data in enumerate(photographs().values())])
    models = select_models("clip-b32", tmp_path, device="cpu")
    encoders, tables = models.load_encoders(), []
    for batch_size in (5, 100):
        results = tmp_path / str(batch_size)
        write_partitions(results, partition(find_shards(str(tmp_path / "shard.tar")), 1 << 40))
        embed_partition(results, "00000", encoders, [], LoaderOptions("cpu", "cpu", batch_size, 10_000_000, 2))
        score_partition(results, "00000", models.pixel_scorer_classes(), models.load_embedding_scorers())
        tables.append(read_table(path_of(results, "scores", "00000")))
    assert tables[0].column_names == ["uid", "aesthetic", "aesthetic_raw", "nsfw"]
    assert tables[0].equals(tables[1])
    rows = read_array(path_of(results, "img_emb", "00000")).astype(np.float32)
    assert rows.shape == (len(photographs()), 512)
    for column, head in (("aesthetic_raw", AestheticV1B32), ("nsfw", NsfwB32)):
        np.testing.assert_allclose(tables[1][column].to_numpy(), head(tmp_path, "cpu").score(rows), atol=1e-6)


# --- safe loading


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return (Path.touch, (ran,))

    torch.save({"state_dict": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ModelError, match="cannot create"):
        OpenClip(f"ViT-B-32/{tmp_path}/trap.pt", NOWHERE, "cpu")
    assert not ran.exists()


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"some.weight": torch.zeros(2)}}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="cannot create ViT-B-32"):
        OpenClip(f"ViT-B-32/{tmp_path}/other.pt", NOWHERE, "cpu")


# --- names


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("ViT-B-32/openia", "did you mean 'ViT-B-32/openai'"),
        ("VIT-L-14/openai", "did you mean 'ViT-L-14/openai'"),
        ("ViT-B-32", "Encoders are"),
        ("ViT-B-32/no/such/file.pt", "Encoders are"),
        ("local-dir:/no/such/folder", "not a folder with an open_clip_config.json"),
        ("zzz", "Encoders are"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_right_one(spec: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        find_source(spec)


def test_a_text_tower_that_asks_the_network_is_refused() -> None:
    for weights in ("laion5b_s13b_b90k", __file__):
        with pytest.raises(ModelError, match="text tower"):
            OpenClip(f"xlm-roberta-base-ViT-B-32/{weights}", NOWHERE, "cpu")


# --- batches


@settings(max_examples=8)
@given(cuts=st.sets(st.integers(1, 22)))
def test_an_embedding_does_not_depend_on_its_neighbours(tiny: OpenClip, cuts: set[int]) -> None:
    images = torch.randint(0, 256, (23, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    names = [str(number) for number in range(23)]
    together = checked_encode(tiny, images, "0", names)
    edges = [0, *sorted(cuts), 23]
    apart = [checked_encode(tiny, images[a:b], "0", names[a:b]) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(apart), together)


def test_an_embedding_of_the_real_size_is_the_same_at_every_place(b32: OpenClip) -> None:
    """The projection of ten rows is where MKL rounds the last two otherwise: 768 to 512, as in ViT-B/32."""
    images = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    alone = torch.cat([b32.encode(images[at : at + 1]) for at in range(3)])
    for count in (10, 11):
        which = torch.arange(count) % 3
        room = torch.empty(count * images[0].numel() + 1, dtype=torch.uint8)
        placed = room[1:].view(count, 3, 224, 224)  # at an odd address
        placed[:] = images[which]
        assert torch.equal(b32.encode(placed), alone[which])


def test_images_are_computed_together_only_where_their_places_change_no_bit(
    tiny: OpenClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tiny.group > 1
    alone = tiny._embed

    def by_place(images: torch.Tensor) -> torch.Tensor:
        return alone(images) + torch.linspace(0, 1e-6, len(images))[:, None]

    monkeypatch.setattr(tiny, "_embed", by_place)
    assert tiny._group_size() == 1


@pytest.mark.parametrize(("same", "group"), [(10, 10), (8, 5), (4, 4), (3, 2)])
def test_as_many_are_computed_together_as_have_the_same_bits_at_each_place(
    tiny: OpenClip, monkeypatch: pytest.MonkeyPatch, same: int, group: int
) -> None:
    """As where the last rows of a product are rounded otherwise than the first ones."""
    alone = tiny._embed

    def last_otherwise(images: torch.Tensor) -> torch.Tensor:
        return alone(images) + (torch.arange(len(images)) >= same)[:, None] * 1e-6

    monkeypatch.setattr(tiny, "_embed", last_otherwise)
    assert tiny._group_size() == group


@pytest.mark.parametrize("instructions", [True, False])
def test_weights_in_bf16_lie_on_a_cpu_as_its_products_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instructions: bool
) -> None:
    monkeypatch.setattr(openclip, "computes_bf16", lambda: instructions)
    spec, cpu = save_tiny(tmp_path / "model"), torch.device("cpu")
    models = {kind: openclip._create(find_source(spec), NOWHERE, cpu, kind) for kind in ("fp32", "bf16")}
    for name, weight in models["bf16"].named_parameters():
        if name.endswith(("c_fc.weight", "c_proj.weight", "out_proj.weight", "in_proj_weight")):
            assert (weight.t() if instructions else weight).is_contiguous(), name
        assert torch.equal(weight, models["fp32"].get_parameter(name).to(weight.dtype)), name


@settings(max_examples=8)
@given(order=st.permutations(range(40)), count=st.integers(1, 40))
def test_a_caption_does_not_depend_on_its_place(tiny: OpenClip, order: list[int], count: int) -> None:
    captions = [f"a picture of {number} cats" for number in range(40)]
    rows = tiny.encode_text(captions)
    assert np.array_equal(tiny.encode_text([captions[at] for at in order[:count]]), rows[order[:count]])


def test_bf16_agrees_with_fp32(tmp_path: Path) -> None:
    spec = save_tiny(tmp_path / "model")
    model = openclip._create(find_source(spec), NOWHERE, torch.device("cpu"), "bf16")
    encoder = OpenClip(spec, NOWHERE, "cpu")
    images = prepared(encoder.preparation)
    with torch.inference_mode():
        lower = model.encode_image(images.bfloat16())
    assert lower.dtype == torch.bfloat16
    assert torch.cosine_similarity(lower.float(), encoder.embed(images)).min() >= 0.999


# --- what others wrote


class Hostile:
    """Pickled, it is a command that makes the file whose path it has."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "weights.pth"])
@pytest.mark.parametrize("pickled", [False, True])
def test_a_checkpoint_that_is_a_command_is_not_run(tmp_path: Path, name: str, pickled: bool) -> None:
    folder, made = tmp_path / "model", tmp_path / "made"
    spec = save_tiny(folder)
    (folder / "open_clip_model.safetensors").unlink()
    if pickled:
        (folder / name).write_bytes(pickle.dumps({"weight": Hostile(made)}, protocol=2))
    else:
        torch.save({"weight": Hostile(made)}, folder / name)
    for encoder in (spec, f"ViT-B-32/{folder / name}"):
        with pytest.raises(ModelError, match="open_clip cannot create") as refused:
            OpenClip(encoder, NOWHERE, "cpu")
        assert "\n" not in str(refused.value)
    assert not made.exists()
    with suppress(RuntimeError):  # a plain pickle is no checkpoint
        torch.load(folder / name, weights_only=False)
    assert made.exists()  # so it would have been run


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("part", "said", "message"),
    [
        ("vision_cfg", {"timm_model_name": "hf-hub:someone/model"}, "not one of timm's own models"),
        ("vision_cfg", {"timm_model_name": "hf_hub:someone/model"}, "not one of timm's own models"),
        ("vision_cfg", {"timm_model_name": "local-dir:/somewhere/else"}, "not one of timm's own models"),
        ("vision_cfg", {"timm_model_name": "someone/model"}, "not one of timm's own models"),
        ("vision_cfg", {"timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": True}, "cannot create"),
        ("text_cfg", {"hf_model_name": "roberta-base"}, "text tower from the transformers library"),
        ("multimodal_cfg", {"hf_model_name": "roberta-base"}, "text tower from the transformers library"),
        ("vision_cfg", None, "no model_cfg with"),
        ("embed_dim", None, "no model_cfg with"),
    ],
)
def test_a_folder_of_ones_own_reaches_no_network_and_no_other_place(
    tmp_path: Path, part: str, said: dict[str, Any] | None, message: str
) -> None:
    spec = save_tiny(tmp_path / "model")
    path = tmp_path / "model" / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"][part] = None if said is None else config["model_cfg"].get(part, {}) | said
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match=message):
        OpenClip(spec, NOWHERE, "cpu")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_cfg": []}', '{"preprocess_cfg": {}}'])
def test_a_folder_whose_configuration_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(text)
    with pytest.raises(ModelError, match="no model_cfg with"):
        OpenClip(f"local-dir:{tmp_path}", NOWHERE, "cpu")


@pytest.mark.usefixtures("no_network")
def test_a_folder_without_weights_reaches_no_network(tmp_path: Path) -> None:
    spec = save_tiny(tmp_path / "model")
    (tmp_path / "model" / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelError, match="could not be loaded"):
        OpenClip(spec, NOWHERE, "cpu")


@pytest.mark.usefixtures("no_network")
def test_a_model_of_the_hub_is_named_by_its_folder(tmp_path: Path) -> None:
    for command in ("fetch", "verify"):
        found = called("models", command, "--encoder", "hf-hub:someone/model", "--model-dir", str(tmp_path))
        assert found.exit_code == 2 and "hf download someone/model --local-dir" in found.output


def test_a_caption_does_not_depend_on_its_neighbours(tiny: OpenClip) -> None:
    captions = [f"picture number {number}" for number in range(70)]
    apart = [tiny.encode_text(captions[a:b]) for a, b in ((0, 1), (1, 33), (33, 70))]
    assert np.array_equal(np.concatenate(apart), tiny.encode_text(captions))


def test_a_caption_that_is_one_long_word_holds_nobody_up(tiny: OpenClip) -> None:
    letters = np.random.default_rng(0).choice([*"abcdefghijklmnopqrstuvwxyz"], 1 << 16)
    tiny.encode_text(["a"])

    def took(count: int) -> tuple[float, np.ndarray]:
        began = time.process_time()
        text = tiny.encode_text(["".join(letters[:count])])
        return time.process_time() - began, text

    (short, begins), (long, whole) = took(MOST_CHARACTERS), took(1 << 16)
    assert long < 20 * short  # all of it, 256 times as long
    assert np.array_equal(whole, begins)


@pytest.mark.parametrize("text", ["two cats on a mat, " * 3000, "猫" * 9999, " " * 9999 + "a cat" + "\t" * 9999])
def test_of_a_long_caption_the_same_tokens_count_as_of_all_of_it(tiny: OpenClip, text: str) -> None:
    with torch.inference_mode():
        tokens = open_clip.tokenize([text])
        assert np.array_equal(tiny.encode_text([text]), tiny._embed_text(tokens).numpy())


def test_no_captions_at_all(tiny: OpenClip) -> None:
    assert tiny.encode_text([]).shape == (0, 32)
