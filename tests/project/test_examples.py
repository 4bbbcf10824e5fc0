"""The examples of models of one's own work: in a run over real photographs, and one by one."""

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import timm
import torch
from pictures import photographs
from PIL import Image
from safetensors.torch import load_file, save_file
from tars import write_tar

from pycurate.errors import ModelError, UsageError
from pycurate.filters.filtering import Filtering, first_failed, load_filter
from pycurate.models.batching import CPU_BATCH
from pycurate.models.presets import load_scorer, reads_pixels
from pycurate.models.selection import ModelSelection, select_models
from pycurate.plugins import load_class
from pycurate.results.layout import path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.tables import read_array, read_table
from pycurate.shards.listing import find_shards
from pycurate.stages.embed import LoaderOptions, embed_partition
from pycurate.stages.partition import partition
from pycurate.stages.score import columns_of, score_partition

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ENCODER = f"{EXAMPLES}/timm_encoder.py:TimmEncoder"
PROBE = f"{EXAMPLES}/embedding_scorer.py:Probe"
BRIGHTNESS = f"{EXAMPLES}/pixel_scorer.py:Brightness"
OPTIONS = LoaderOptions("cpu", "cpu", 5, 10_000_000, 2)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights that the examples ask for, of random numbers."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    save_file(
        timm.create_model("mobilenetv3_small_050", num_classes=0).state_dict(), folder / "timm_encoder.safetensors"
    )
    weight = np.random.default_rng(0).standard_normal(1024).astype(np.float32)
    np.savez(folder / "probe.npz", weight=weight, bias=np.float32(0.25))
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Path:
    """The results of EMBED and SCORE over a dozen photographs, with the example encoder and pixel scorer."""
    folder = tmp_path_factory.mktemp("run")
    write_tar(folder / "shard.tar", [(f"{at:04d}.jpg", data) for at, data in enumerate(photographs().values())])
    write_partitions(folder, partition(find_shards(str(folder)), 1_000_000_000))
    models = choice(model_dir, BRIGHTNESS)
    embed_partition(folder, "00000", models.load_encoders(), models.load_pixel_scorers(), OPTIONS)
    score(folder, models)
    return folder


def choice(model_dir: Path, *scorers: str) -> ModelSelection:
    """The example encoder with these scorers."""
    return select_models("light", model_dir, encoder=ENCODER, scorers=scorers, device="cpu")


def score(results: Path, models: ModelSelection) -> pa.Table:
    """Run SCORE; its table."""
    score_partition(results, "00000", models.pixel_scorer_classes(), models.load_embedding_scorers())
    return read_table(path_of(results, "scores", "00000"))


def test_the_encoder_embeds(results: Path, model_dir: Path) -> None:
    rows = read_array(path_of(results, "img_emb", "00000")).astype(np.float32)
    assert rows.shape == (len(photographs()), 1024)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)
    model = timm.create_model("mobilenetv3_small_050", num_classes=0).eval()
    model.load_state_dict(load_file(model_dir / "timm_encoder.safetensors"))
    config = timm.data.resolve_model_data_config(model) | {"crop_pct": 1.0}  # resized to the size that is cropped
    transform = timm.data.create_transform(**config, is_training=False)
    images = [transform(Image.open(io.BytesIO(data)).convert("RGB")) for data in photographs().values()]
    with torch.inference_mode():
        theirs = torch.nn.functional.normalize(model(torch.stack(images)), dim=1).numpy()
    assert (theirs * rows).sum(axis=1).min() >= 0.999


def test_the_pixel_scorer_measures(results: Path) -> None:
    assert reads_pixels(BRIGHTNESS)
    scores = read_table(path_of(results, "scores", "00000"))
    raw = [np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float).mean() for data in photographs().values()]
    np.testing.assert_allclose(scores["brightness_raw"].to_numpy(), raw, atol=2)
    np.testing.assert_allclose(scores["brightness"].to_numpy(), scores["brightness_raw"].to_numpy() / 255, atol=1e-6)


def test_a_scorer_on_embeddings_is_added_to_a_finished_run(results: Path, model_dir: Path) -> None:
    assert not reads_pixels(PROBE)
    kept = {path: path.stat().st_mtime_ns for kind in ("img_emb", "samples") for path in (results / kind).iterdir()}
    scores = score(results, choice(model_dir, BRIGHTNESS, PROBE))
    assert scores.column_names == ["uid", "brightness", "brightness_raw", "probe", "probe_raw"]
    probe = np.load(model_dir / "probe.npz")
    rows = read_array(path_of(results, "img_emb", "00000")).astype(np.float32)
    np.testing.assert_allclose(scores["probe_raw"].to_numpy(), rows @ probe["weight"] + probe["bias"], atol=1e-4)
    assert pc.min(scores["probe"]).as_py() >= 0
    assert pc.max(scores["probe"]).as_py() <= 1
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_scorer_that_fails_names_itself_partition_and_sample(results: Path, model_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "class Half:\n"
        "    name = 'half'\n"
        "    def __init__(self, model_dir, device): ...\n"
        "    def score(self, embeddings):\n"
        "        return np.full(len(embeddings), np.nan, dtype=np.float32)\n"
    )
    first = read_table(path_of(results, "metadata", "00000"))["uid"][0].as_py()
    with pytest.raises(ModelError, match=f"Half gave a value that is not finite .partition 00000, sample {first}"):
        score(results, choice(model_dir, f"{tmp_path}/own.py:Half"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return torch.zeros(len(pixels), 3)",
            rf"Faulty gave shape \({CPU_BATCH}, 3\) instead of \({CPU_BATCH}, 2\)",
        ),
        ("return torch.full((len(pixels), 2), torch.nan)", "Faulty gave a value that is not finite"),
        ("raise KeyError('colour')", r"Faulty raised KeyError: 'colour' \(.*faulty\.py, line \d+\)"),
    ],
)
def test_an_encoder_that_fails_names_itself_partition_and_sample(
    results: Path, model_dir: Path, tmp_path: Path, body: str, message: str
) -> None:
    (tmp_path / "faulty.py").write_text(
        "import torch\n"
        "from pycurate.images.views import View\n"
        "class Faulty:\n"
        "    name, dim, view = 'faulty', 2, View(32, 32)\n"
        "    def __init__(self, model_dir, device): ...\n"
        "    def encode(self, pixels):\n"
        f"        {body}\n"
    )
    encoder = load_class(f"{tmp_path}/faulty.py:Faulty")(model_dir, "cpu")
    first = read_table(path_of(results, "metadata", "00000"))["uid"][0].as_py()
    shutil.copytree(results / "partitions", tmp_path / "partitions")
    with pytest.raises(ModelError, match=f"{message} .partition 00000, samples? {first}"):
        embed_partition(tmp_path, "00000", {"img_emb": encoder}, [], OPTIONS)
    assert not list(tmp_path.glob("img_emb/*")) and not list(tmp_path.glob("samples/*"))


def test_the_metadata_filter_filters() -> None:
    table = pa.table({"width": [600, 600, 600, 599, 1200], "height": [600, 1200, 1201, 800, 1600]})
    assert load_filter(f"{EXAMPLES}/metadata_filter.py:Poster").passes(table).tolist() == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert load_filter(f"{EXAMPLES}/metadata_filter.py:Poster=1000").passes(table).tolist() == [False] * 4 + [True]


def test_examples_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"timm_encoder\.safetensors is missing"):
        load_class(ENCODER)(tmp_path, "cpu")
    with pytest.raises(ModelError, match=r"probe\.npz is missing"):
        load_scorer(PROBE, tmp_path, "cpu", ENCODER)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return raw[:1]", r"gave shape \(1,\) instead of \(3,\) \(partition 00007\)"),
        ("return np.where(raw == 1, np.nan, raw)", r"not finite \(partition 00007, sample b\)"),
        ("raise KeyError('colour')", r"\(partition 00007\) raised KeyError: 'colour' \(.*scale\.py, line 6\)"),
    ],
)
def test_a_scale_that_fails_names_itself(tmp_path: Path, body: str, message: str) -> None:
    scale = f"    @staticmethod\n    def calibrate(raw):\n        {body}\n"
    (tmp_path / "scale.py").write_text(f"import numpy as np\nclass Own:\n    name = 'own'\n{scale}")
    with pytest.raises(ModelError, match=rf"Own\.calibrate .*{message}"):
        columns_of(load_class(f"{tmp_path}/scale.py:Own"), np.arange(3, dtype=np.float32), "00007", ["a", "b", "c"])


FILTERS = """
import numpy as np
import pyarrow.compute as pc

class Kept:
    reason = "kept"
    def passes(self, table): return np.ones(table.num_rows, bool)

class Nameless:
    def passes(self, table): return np.ones(table.num_rows, bool)

class Integers:
    reason = "own"
    def passes(self, table): return np.ones(table.num_rows, np.int8)

class Short:
    reason = "own"
    def passes(self, table): return np.ones(table.num_rows - 1, bool)

class Arrow:
    reason = "own"
    def passes(self, table): return pc.greater(table["width"], 0)

class Masked:
    reason = "own"
    def passes(self, table): return np.ma.masked_equal(table["width"].to_numpy(), 1) > 1

class Strict:
    reason = "own"
    def passes(self, table):
        if table["width"].to_pylist()[-1] == 1:
            raise KeyError("colour")
        return np.ones(table.num_rows, bool)
"""


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("Kept", UsageError, "Kept has the reason 'kept'; its `reason` must be a text"),
        ("Nameless", UsageError, "Nameless has the reason None"),
        ("Integers", ModelError, r"Integers gave int8 \(3,\) instead of .* bool \(3,\) \(partition 00007\)"),
        ("Short", ModelError, r"Short gave bool \(2,\) instead of"),
        ("Arrow", ModelError, "Arrow gave ChunkedArray instead of"),
        ("Masked", ModelError, "Masked gave MaskedArray instead of"),
        ("Strict", ModelError, r"Strict raised KeyError: 'colour' \(.*, line \d+\) \(partition 00007, sample c\)"),
    ],
)
def test_a_filter_that_fails_names_itself(tmp_path: Path, name: str, error: type[Exception], message: str) -> None:
    (tmp_path / "filters.py").write_text(FILTERS)
    table = pa.table({"uid": ["a", "b", "c"], "width": [3, 2, 1]})
    with pytest.raises(error, match=message):
        first_failed(Filtering(filter=(f"{tmp_path}/filters.py:{name}",)).filters(), table, "00007")
