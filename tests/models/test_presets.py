"""Presets: their parts exist and fit each other, and what does not fit is refused."""

import json
from pathlib import Path

import pytest

from pycurate.errors import ModelError, UsageError
from pycurate.filters.filtering import load_filter
from pycurate.models.builtin.laion import HEADS
from pycurate.models.presets import (
    DESCRIPTORS,
    PRESETS,
    SAME,
    Preset,
    check_fit,
    dedup_threshold_of,
    find_descriptor,
    find_preset,
    load_encoder,
    load_scorer,
    reads_pixels,
)
from pycurate.parameters import switches
from pycurate.plugins import load_class
from scripts import called


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_parts_of_a_preset_exist_and_fit(root: Path, preset: Preset) -> None:
    found = find_preset(preset.name)
    assert found is preset
    odd = found.scorers.keys() ^ set(switches().values())
    assert not odd, f"{odd}: a score of presets.json has a threshold `with` it in nextflow_schema.json, and the reverse"
    entry = json.loads((root / "pycurate" / "models" / "presets.json").read_text())[preset.name]
    for column, spec in found.scorers.items():
        check_fit(spec, found.encoder)
        assert load_class(spec).name == column, f"{spec} has not the `name` that presets.json gives it"
        pixels = entry["scorers"][column]["reads"] == "pixels"
        assert reads_pixels(spec) == pixels, (
            f"{spec} has a `view` if and only if presets.json says that it reads pixels"
        )
    assert 0 < found.dedup_threshold < 1


def test_each_descriptor_is_an_encoder_with_a_threshold() -> None:
    for name, one in DESCRIPTORS.items():
        assert find_descriptor(name) == one.encoder and 0 < one.dedup_threshold < 1
        assert load_class(one.encoder).dim and load_class(one.encoder).view
        assert dedup_threshold_of(one.encoder) == one.dedup_threshold
    for preset in PRESETS.values():
        assert preset.dedup_encoder in (SAME, *DESCRIPTORS)
        assert dedup_threshold_of(preset.encoder) == preset.dedup_threshold
    assert dedup_threshold_of("ViT-B-32-quickgelu/OpenAI") == PRESETS["clip-b32"].dedup_threshold
    assert dedup_threshold_of("own:Encoder") is None


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no preset 'clip-l41'; did you mean 'clip-l14'\?"):
        find_preset("clip-l41")


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_refused_on_an_encoder_it_was_not_trained_on(head: type, tmp_path: Path) -> None:
    spec = f"pycurate.models.builtin.laion:{head.__name__}"
    for encoder in {"ViT-B-32/openai", "ViT-B-16/openai", "ViT-L-14/openai"} - set(head.encoders):  # type: ignore[attr-defined]
        with pytest.raises(UsageError, match="pairs that fit: ") as caught:
            load_scorer(spec, tmp_path, "cpu", encoder)
        for other in HEADS:
            assert f"{other.encoders[0]} with pycurate.models.builtin.laion:{other.__name__}" in str(caught.value)
    for encoder in (
        "ViT-L-14/laion2b_s32b_b82k",
        "pycurate.models.builtin.efficientnet:EfficientNetLite0",
        "ViT-L-14-336/openai",
    ):
        with pytest.raises(UsageError, match="was trained on embeddings of"):
            check_fit(spec, encoder)
    with pytest.raises(ModelError, match="is missing"):  # it fits, so what is wrong is that there are no weights
        load_scorer(spec, tmp_path, "cpu", head.encoders[0].replace("/", "-quickgelu/"))  # type: ignore[attr-defined]


def test_a_scorer_fits_its_encoder_as_the_workflow_names_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Own:\n    encoders = ('ViT-B-32//mine.pt',)\n")
    check_fit(f"{tmp_path}/own.py:Own", "ViT-B-32//mine.pt#" + "0" * 64)
    with pytest.raises(UsageError, match="was trained on embeddings of"):
        check_fit(f"{tmp_path}/own.py:Own", "ViT-B-32//other.pt#" + "0" * 64)


def test_a_scorer_fits_its_encoder_by_any_of_its_names_and_a_checkpoint_by_one(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "class Listed: encoders = ('ViT-B-32/laion2B-s34B-b79K', 'ViT-B-16-quickgelu//Mine.pt')\n"
    )
    for encoder in ("ViT-B-32/laion2b_s34b_b79k", "ViT-B-32/laion2B-s34B-b79K", "ViT-B-16-quickgelu//Mine.pt"):
        check_fit(f"{tmp_path}/own.py:Listed", encoder)
    for encoder in ("ViT-B-32/laion400m_e31", "ViT-B-16//Mine.pt", "ViT-B-16-quickgelu//mine.pt"):
        with pytest.raises(UsageError, match="was trained on embeddings of"):
            check_fit(f"{tmp_path}/own.py:Listed", encoder)


def test_what_is_no_scorer_and_no_filter_is_refused_when_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Own:\n    def __init__(self, *_): ...\n    score = passes = 3\n")
    with pytest.raises(UsageError, match=r"own\.py:Own is not a scorer: it needs `score`"):
        load_scorer(f"{tmp_path}/own.py:Own", tmp_path, "cpu", "any")
    with pytest.raises(UsageError, match=r"own\.py:Own is not a filter: it needs `passes`"):
        load_filter(f"{tmp_path}/own.py:Own")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("dim = 8", "is not an encoder: it needs `dim`"),
        ("dim, view = [8], View(8, 8)", "is not an encoder"),
        ("dim, view = 8, (8, 8)", "is not an encoder"),
        ("dim, view = 0, View(8, 8)", "is not an encoder"),
        ("dim, view = -8, View(8, 8)", "is not an encoder"),
        ("dim, view = True, View(8, 8)", "is not an encoder"),
        ("dim, view = 8, View(0, 8)", "A View has the height 0; it is a number of pixels, 1 or more"),
        ("dim, view = 8, View(8, -8)", "A View has the width -8"),
        ("dim, view = 8, View(8, 8.0)", r"A View has the width 8\.0"),
        ("dim, view = 8, View(8, 8, 'longest', fill=300)", "A View has the fill 300; it is 0 to 255"),
        ("dim, view = 8, View(8, 8, 'crop')", "A View has the resize 'crop'; it is one of shortest, squash, longest"),
        ("dim, view = 8, View(8, 8, interpolation='area')", "A View has the interpolation 'area'"),
    ],
)
def test_what_is_no_encoder_is_refused_when_it_is_made(tmp_path: Path, body: str, message: str) -> None:
    text = f"from pycurate.images.views import View\nclass Own:\n    {body}\n"
    text += "    def __init__(self, model_dir, device): ...\n    def encode(self, pixels): ...\n"
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_encoder(f"{tmp_path}/own.py:Own", tmp_path, "cpu")


ATTRIBUTES = {
    "batch = 0": "The `batch` of .*:Own is 0; it is the number of rows per call, or None for any number",
    "batch = -1": "The `batch` of .*:Own is -1",
    "batch = True": "The `batch` of .*:Own is True",
    "batch = '4'": "The `batch` of .*:Own is '4'",
    "batch = 4.0": r"The `batch` of .*:Own is 4\.0",
    "batch = property(lambda self: 1 / 0)": "Own cannot be created: it raised ZeroDivisionError",
    "weights = 'own.pt'": r"The `weights` of .*:Own are 'own\.pt'; they are files as .*\.weights\.Weights",
    "weights = ('own.pt',)": r"The `weights` of .*:Own are \('own\.pt',\)",
    "weights = 5": "The `weights` of .*:Own are 5",
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_what_a_class_says_wrongly_of_itself_is_refused_when_it_is_made(tmp_path: Path, attribute: str) -> None:
    text = f"from pycurate.images.views import View\nclass Own:\n    {attribute}\n    name, dim = 'own', 8\n"
    text += "    def __init__(self, model_dir, device): ...\n    def encode(self, pixels): ...\n    score = encode\n"
    (tmp_path / "encoder.py").write_text(text + "    view = View(8, 8)\n")
    (tmp_path / "scorer.py").write_text(text)
    for load in (
        lambda: load_encoder(f"{tmp_path}/encoder.py:Own", tmp_path, "cpu"),
        lambda: load_scorer(f"{tmp_path}/scorer.py:Own", tmp_path, "cpu", "any"),
    ):
        with pytest.raises((UsageError, ModelError), match=ATTRIBUTES[attribute]):
            load()


@pytest.mark.parametrize("encoders", ["'ViT-L-14/openai'", "5", "('ViT-L-14/openai', 5)"])
def test_the_encoders_that_a_scorer_fits_are_a_list_of_names(tmp_path: Path, encoders: str) -> None:
    (tmp_path / "own.py").write_text(f"class Own:\n    encoders = {encoders}\n    def score(self, embeddings): ...\n")
    with pytest.raises(
        UsageError, match=r"The `encoders` of .*:Own are .*; they are names, such as \('ViT-L-14/openai',\)"
    ):
        check_fit(f"{tmp_path}/own.py:Own", "ViT-L-14/openai")


def test_a_scorer_whose_view_is_none_is_refused_when_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Own:\n    view = (8, 8)\n    def __init__(self, model_dir, device): ...\n")
    with pytest.raises(UsageError, match=r"The `view` of .*:Own is no pycurate\.images\.views\.View"):
        load_scorer(f"{tmp_path}/own.py:Own", tmp_path, "cpu", "any")


def test_list_shows_presets_heads_and_pairs() -> None:
    shown = called("models", "list").output
    for name in (*PRESETS, *DESCRIPTORS, *(head.weights[0].file for head in HEADS)):
        assert name in shown
    pairs = called("models", "list", "--encoders", "ViT-L-14/").output.splitlines()
    assert "ViT-L-14/openai" in pairs
    assert all("vit-l-14/" in pair.lower() for pair in pairs)
    assert len(called("models", "list", "--encoders").output.splitlines()) > 100
    none = called("models", "list", "--encoders", "zzzz")
    assert none.exit_code == 1 and "No encoder has 'zzzz' in its name" in none.output
