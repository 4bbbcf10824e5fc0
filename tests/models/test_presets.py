"""Models are found by name, in one way for built-in ones and one's own; a wrong name is answered with the right one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from pycurate.errors import ModelError, UsageError
from pycurate.filters.filtering import first_failed, load_filter
from pycurate.filters.metadata import CaptionCharacters, CaptionWords, HasCaption, MaxAspect, MinSide
from pycurate.models.batching import checked_embedding_score, checked_encode
from pycurate.models.builtin.laion import HEADS
from pycurate.models.presets import PRESETS, Preset, check_fit, find_preset, load_encoder, load_scorer, reads_pixels
from pycurate.models.selection import TAKEN, select_models
from pycurate.parameters import switches
from pycurate.plugins import load_class
from pycurate.report.examples import EXAMPLES
from pycurate.results.tables import DECISIONS, PLAN, SAMPLES
from pycurate.stages.score import columns_of
from scripts import called


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_parts_of_a_preset_exist_and_fit(root: Path, preset: Preset) -> None:
    found = find_preset(preset.name)
    assert found is preset and found.scorers.keys() == set(switches().values())
    entry = json.loads((root / "pycurate" / "models" / "presets.json").read_text())[preset.name]
    for column, spec in found.scorers.items():
        check_fit(spec, found.encoder)
        assert load_class(spec).name == column
        assert reads_pixels(spec) == (entry["scorers"][column]["reads"] == "pixels")
    assert 0 < found.dedup_threshold < 1


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


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "pycurate.models.builtin.laion:NsfwL41",
            r"pycurate\.models\.builtin\.laion has no class 'NsfwL41'; did you mean 'NsfwL14'\?",
        ),
        (
            "pycurate.models.builtin.layon:NsfwL14",
            r"no module 'pycurate\.models\.builtin\.layon'; did you mean 'pycurate\.models\.builtin\.laion'\?",
        ),
        ("no_such_module:Thing", "no module 'no_such_module'; put the folder of your own on PYTHONPATH"),
        ("no/such/file.py:Thing", r"no file no/such/file\.py"),
        (":Thing", "names no class"),
        ("pycurate.models.builtin.laion:", "names no class"),
        ("pycurate.models.builtin.laion", "names no class"),
        ("pycurate.models.presets:PRESETS", "has no class 'PRESETS'"),
    ],
)
def test_a_wrong_class_is_answered_with_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_class(spec)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (
            "import no_such_thing",
            r"raised ModuleNotFoundError: No module named 'no_such_thing' \(.*faulty.*py, line 2\)",
        ),
        ("import sys; sys.exit()", r"called sys\.exit\(\) \(.*faulty.*py, line 2\)"),
        ("raise SystemExit('bye')", r"called sys\.exit\('bye'\) \(.*, line 2\)"),
        ("class Own(BaseException): ...\nraise Own", r"raised Own \(.*, line 3\)"),
        ("def half(:", r"raised SyntaxError: invalid syntax \(faulty.*py, line 2\)"),
        ("import json; json.loads('{')", r"raised JSONDecodeError: .* \(.*faulty.*py, line 2\)"),
    ],
)
def test_a_fault_inside_a_users_module_is_named_with_its_line(
    fault: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"faulty_{abs(hash(fault))}"
    (tmp_path / f"{name}.py").write_text(f"\n{fault}\nclass Thing: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    for spec in (f"{name}:Thing", f"{tmp_path}/{name}.py:Thing"):
        with pytest.raises(UsageError, match=rf"{name}(\.py)? cannot be imported: it {cause}; mend it there\."):
            load_class(spec)


BODIES = {
    "sys.exit()": r"called sys\.exit\(\) \(.*own\.py, line 4\)",
    "sys.exit(0)": r"called sys\.exit\(0\) \(.*own\.py, line 4\)",
    "1 / 0": r"raised ZeroDivisionError: division by zero \(.*own\.py, line 4\)",
    "np.zeros(3).reshape(2)": r"raised ValueError: .* \(.*own\.py, line 4\)",
    "raise GeneratorExit": r"raised GeneratorExit \(.*own\.py, line 4\)",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_users_constructor_that_fails_is_named_with_its_line(body: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        f"import sys, numpy as np\nclass Own:\n    def __init__(self, *_):\n        {body}\n"
    )
    spec = f"{tmp_path}/own.py:Own"
    for load in (
        lambda: load_encoder(spec, tmp_path, "cpu"),
        lambda: load_scorer(spec, tmp_path, "cpu", "any"),
    ):
        with pytest.raises(ModelError, match=f"own.py:Own cannot be made: it {BODIES[body]}; mend it there"):
            load()
    with pytest.raises(UsageError, match=f"does not make a filter: it {BODIES[body]}; write module:Class"):
        load_filter(spec)


@pytest.mark.parametrize("body", BODIES)
def test_a_users_method_that_ends_the_process_is_an_error_with_its_line(body: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        f"import sys, numpy as np\nclass Own:\n    def work(self, *_):\n        {body}\n"
        "    encode = score = passes = calibrate = work\n    name = reason = 'own'\n    dim, view = 3, None\n"
    )
    own = load_class(f"{tmp_path}/own.py:Own")
    rows = pa.table({"uid": ["one", "two"]})
    for work in (
        lambda: checked_encode(own(), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "00000", ["one", "two"]),
        lambda: checked_embedding_score(own(), np.zeros((2, 3), np.float32), "00000", ["one", "two"]),
        lambda: first_failed([own()], rows, "00000"),
    ):
        with pytest.raises(ModelError, match=f"Own {BODIES[body]}.* .partition 00000, sample one"):
            work()
    with pytest.raises(ModelError, match=rf"calibrate \(partition 00000\) {BODIES[body]}"):
        columns_of(own, np.zeros(2, np.float32), "00000", ["one", "two"])


def test_what_is_no_scorer_and_no_filter_is_refused_when_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Own:\n    def __init__(self, *_): ...\n    score = passes = 3\n")
    with pytest.raises(UsageError, match=r"own\.py:Own is no scorer: it needs `score`"):
        load_scorer(f"{tmp_path}/own.py:Own", tmp_path, "cpu", "any")
    with pytest.raises(UsageError, match=r"own\.py:Own is no filter: it needs `passes`"):
        load_filter(f"{tmp_path}/own.py:Own")


def test_a_class_in_a_file_is_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Thing: ...\n")
    assert load_class(f"{tmp_path}/own.py:Thing") is load_class(f"{tmp_path}/own.py:Thing")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("dim = 8", "is no encoder: it needs `dim`"),
        ("dim, view = [8], View(8, 8)", "is no encoder"),
        ("dim, view = 8, (8, 8)", "is no encoder"),
        ("dim, view = 8, View(8, 8, 'crop')", "A View has the resize 'crop'; it is one of shortest, squash, longest"),
        ("dim, view = 8, View(8, 8, interpolation='area')", "A View has the interpolation 'area'"),
    ],
)
def test_what_is_no_encoder_is_refused_when_it_is_made(tmp_path: Path, body: str, message: str) -> None:
    text = f"from pycurate.images.views import View\nclass Own:\n    {body}\n"
    text += "    def __init__(self, model_dir, device): ...\n"
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_encoder(f"{tmp_path}/own.py:Own", tmp_path, "cpu")


def test_a_scorer_whose_view_is_none_is_refused_when_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Own:\n    view = (8, 8)\n    def __init__(self, model_dir, device): ...\n")
    with pytest.raises(UsageError, match=r"The `view` of .*:Own is no pycurate\.images\.views\.View"):
        load_scorer(f"{tmp_path}/own.py:Own", tmp_path, "cpu", "any")


SCORERS = """
from pycurate.images.views import View
class Shard:
    name = "shard"
class Clip:
    name = "clip_score"
class Nameless:
    def __init__(self, model_dir, device):
        self.name = "late"
class One:
    name = "one"
    @staticmethod
    def calibrate(raw): return raw
class Raw:
    name = "one_raw"
class Aesthetic:
    name = "aesthetic"
    def __init__(self, model_dir, device): ...
    def score(self, *given): ...
class AestheticOfPixels(Aesthetic):
    view = View(8, 8)
"""


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Shard"], "The column 'shard' of .*:Shard is that of pycurate's tables, too; give its class another `name`"),
        (["Clip"], "The column 'clip_score' of .*:Clip is that of the CLIP score"),
        (["Nameless"], "Nameless has no name"),
        (["One", "Raw"], "The column 'one_raw' of .*:Raw is that of .*:One, too"),
    ],
)
def test_scorers_whose_columns_collide_are_refused_at_once(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "own.py").write_text(SCORERS)
    with pytest.raises(UsageError, match=message):
        select_models("light", tmp_path, scorers=tuple(f"{tmp_path}/own.py:{name}" for name in names))


def test_a_scorer_takes_the_place_of_a_presets_where_that_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(SCORERS)
    for name, load in (("Aesthetic", "load_embedding_scorers"), ("AestheticOfPixels", "load_pixel_scorers")):
        own = (f"{tmp_path}/own.py:{name}",)
        both = select_models("light", tmp_path, without={"nsfw"}, scorers=own, device="cpu")
        with pytest.raises(
            UsageError, match=r"The column 'aesthetic' of .* is that of pycurate\.models\.builtin\.quality:Quality"
        ):
            getattr(both, load)()
        alone = select_models("light", tmp_path, without={"aesthetic", "nsfw"}, scorers=own, device="cpu")
        assert [type(scorer).__name__ for scorer in getattr(alone, load)()] == [name]


def test_every_column_that_scores_stand_beside_is_taken() -> None:
    for schema in (SAMPLES, DECISIONS, PLAN, EXAMPLES):
        assert set(schema.names) <= TAKEN


# --- bin/models.py


def test_light_is_fetched_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there
    found = called("models", "fetch", "--preset", "light", "--model-dir", str(tmp_path))
    assert found.exit_code == 0, found.output
    before = tmp_path.stat().st_mtime_ns
    assert called("models", "fetch", "--offline", "--preset", "light", "--model-dir", str(tmp_path)).exit_code == 0
    assert tmp_path.stat().st_mtime_ns == before
    assert load_encoder(PRESETS["light"].encoder, tmp_path, "cpu").dim == 1280


def test_verify_checks_the_heads_where_the_encoder_is_not_there(shared: Path, tmp_path: Path) -> None:
    for path in (shared / "heads").iterdir():
        shutil.copy(path, tmp_path)
    good = called("models", "verify", "--preset", "clip-l14", "--model-dir", str(tmp_path))
    assert good.exit_code == 0, good.output
    assert [line.split()[:2] for line in good.output.splitlines()] == [
        ["skipped", "weights"],
        ["passed", "weights"],
        ["passed", "golden"],
        ["passed", "weights"],
        ["passed", "golden"],
    ]
    (tmp_path / "clip_autokeras_binary_nsfw.zip").unlink()
    bad = called("models", "verify", "--preset", "clip-l14", "--model-dir", str(tmp_path))
    assert bad.exit_code == 1
    assert "clip_autokeras_binary_nsfw.zip is missing" in bad.output


def test_list_shows_presets_heads_and_pairs() -> None:
    shown = called("models", "list").output
    for name in (*PRESETS, *(head.weights[0].file for head in HEADS)):
        assert name in shown
    pairs = called("models", "list", "--encoders", "ViT-L-14/").output.splitlines()
    assert "ViT-L-14/openai" in pairs
    assert all("vit-l-14/" in pair.lower() for pair in pairs)
    assert len(called("models", "list", "--encoders").output.splitlines()) > 100


def test_wrong_use_leaves_with_2(tmp_path: Path) -> None:
    for words in (
        ["--preset", "lihgt"],
        ["--encoder", "ViT-B-32/openia"],
        ["--scorer", "pycurate.models.builtin.laion:NsfwL14"],
    ):
        found = called("models", "fetch", *words, "--model-dir", str(tmp_path))
        assert found.exit_code == 2, found.output


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "'gpu' is no device; give cpu, cuda"),
        ("cuda:64", "There is no device cuda:64 here"),
        pytest.param(
            "cuda",
            "There is no device cuda here: torch finds 0 GPUs",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU"),
        ),
    ],
)
def test_a_device_that_is_not_there_leaves_with_2(tmp_path: Path, device: str, message: str) -> None:
    found = called("models", "verify", "--preset", "light", "--device", device, "--model-dir", str(tmp_path))
    assert (found.exit_code, found.output.count("\n")) == (2, 1), found.output
    assert message in found.output


# --- filters on metadata

TABLE = pa.table(
    {
        "width": pa.array([200, 199, 600, 601, 5000], pa.int32()),
        "height": pa.array([200, 1000, 200, 200, 5000], pa.int32()),
        "caption": pa.array(["one two three", "one  two", None, " \n", " ab cd \t ef "], pa.string()),
    }
)


@pytest.mark.parametrize(
    ("spec", "reason", "passed"),
    [
        ("MinSide", "min_side", [True, False, True, True, True]),
        ("MinSide=201", "min_side", [False, False, False, False, True]),
        ("MaxAspect", "max_aspect", [True, False, True, False, True]),
        ("MaxAspect=1", "max_aspect", [True, False, False, False, True]),
        ("CaptionWords", "caption_words", [True, False, False, False, True]),
        ("CaptionWords=0", "caption_words", [True, True, False, False, True]),
        ("CaptionCharacters", "caption_characters", [True, True, False, False, True]),
        ("CaptionCharacters=10", "caption_characters", [True, False, False, False, False]),
        ("HasCaption", "missing_caption", [True, True, False, False, True]),
    ],
)
def test_metadata_filters(spec: str, reason: str, passed: list[bool]) -> None:
    one = load_filter(f"pycurate.filters.metadata:{spec}")
    assert one.reason == reason
    mask = one.passes(TABLE)
    assert mask.dtype == np.bool_
    assert mask.tolist() == passed


def test_metadata_filters_of_no_rows() -> None:
    for one in (MinSide(), MaxAspect(), CaptionWords(), CaptionCharacters(), HasCaption()):
        assert one.passes(TABLE.slice(0, 0)).tolist() == []


@pytest.mark.parametrize("spec", ["MinSide=wide", "HasCaption=3", "MinSide="])
def test_a_filter_that_cannot_be_made(spec: str) -> None:
    with pytest.raises(UsageError, match="does not make a filter"):
        load_filter(f"pycurate.filters.metadata:{spec}")
