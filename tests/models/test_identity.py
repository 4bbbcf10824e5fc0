"""An encoder is known by its name, its weights and its view, wherever it runs and its weights lie."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from by_hand import CLASSES
from tiny_clip import save_tiny

from pycurate.errors import ModelError, TableError
from pycurate.models.builtin.efficientnet import WEIGHTS_SHA256
from pycurate.models.identity import check_embedded, identity_of
from pycurate.models.presets import PRESETS, load_encoder
from pycurate.results.encoder import EncoderIdentity
from pycurate.results.tables import write_table


def identity(spec: str, folder: Path) -> EncoderIdentity:
    return identity_of(load_encoder(spec, folder, "cpu"))


def test_the_default_encoder_is_known_by_its_weights(tmp_path: Path) -> None:
    assert identity(PRESETS["light"].encoder, tmp_path).sha256 == WEIGHTS_SHA256


def test_a_class_of_one_s_own_is_known_by_its_name_wherever_its_file_lies(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "own.py").write_text(CLASSES + "class Other(Mean): sha256 = 'x'\n")
    one, moved = (identity(str(tmp_path / place / "own.py:Mean"), tmp_path) for place in ("a", "b"))
    assert one == moved != identity(str(tmp_path / "a" / "own.py:Other"), tmp_path)
    assert (one.name, one.sha256, one.view["width"]) == ("Mean", "", 8)


def test_a_checkpoint_of_one_s_own_is_known_by_its_bytes(tmp_path: Path) -> None:
    one = save_tiny(tmp_path / "a")
    moved = f"local-dir:{shutil.copytree(tmp_path / 'a', tmp_path / 'b')}"
    other = save_tiny(tmp_path / "c", preparation={"mean": [0.1, 0.2, 0.3]})  # equal weights, other pixels
    known = identity(one, tmp_path)
    assert known == identity(moved, tmp_path) != identity(other, tmp_path)
    # As the workflow pins it to what the files were when a run began.
    assert identity(f"{one}#{known.sha256}", tmp_path) == known
    with pytest.raises(ModelError, match="was changed after the run began"):
        load_encoder(f"{other}#{known.sha256}", tmp_path, "cpu")


def test_a_class_derived_from_one_of_pycurate_s_is_known_by_its_own_name(tmp_path: Path) -> None:
    tiny = save_tiny(tmp_path / "tiny")
    (tmp_path / "own.py").write_text(
        "from pycurate.models.builtin.openclip import OpenClip\n"
        "class Inverted(OpenClip):\n"
        f"    def __init__(self, *given): super().__init__({tiny!r}, *given)\n"
        "    def encode(self, pixels): return super().encode(255 - pixels)\n"
    )
    own, base = identity(f"{tmp_path}/own.py:Inverted", tmp_path), identity(tiny, tmp_path)
    assert (own.name, own.sha256) == ("Inverted", base.sha256) and own != base
    samples = tmp_path / "samples_00000.parquet"
    write_table(samples, pa.table({}).replace_schema_metadata(own.to_metadata("img_emb")))
    check_embedded(samples, f"{tmp_path}/own.py:Inverted")
    with pytest.raises(TableError, match="are by Inverted"):
        check_embedded(samples, tiny)


@pytest.mark.parametrize(
    ("spec", "stated"),
    [
        ("ViT-B-32-quickgelu/openai", "ViT-B-32/openai"),
        ("ViT-B-32/laion2B-s34B-b79K", "ViT-B-32/laion2b_s34b_b79k"),
        ("ViT-B-32-quickgelu//data/mine.pt", "ViT-B-32-quickgelu"),
        ("local-dir:/data/ViT-B-32/openai", "local-dir"),
        ("torchscript:/data/mine.pt", "torchscript"),
        (PRESETS["light"].encoder, PRESETS["light"].encoder),
    ],
)
def test_embeddings_are_by_the_encoder_that_their_table_states(tmp_path: Path, spec: str, stated: str) -> None:
    samples = tmp_path / "samples_00000.parquet"
    check_embedded(samples, spec)  # which is not there
    write_table(samples, pa.table({}))
    check_embedded(samples, spec)
    for name in (stated, "ViT-B-16/openai"):
        metadata = EncoderIdentity(name, "", {}).to_metadata("img_emb")
        write_table(samples, pa.table({}).replace_schema_metadata(metadata))
        if name == stated:
            check_embedded(samples, f"{spec}#{'0' * 64}")
        else:
            with pytest.raises(TableError, match="are by ViT-B-16/openai"):
                check_embedded(samples, spec)
