"""Sets are compared only if they are whole and of one encoder; who is at fault is named before anything is searched."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from by_hand import call, make_set
from curated import decide

from pycurate.dedup.partitions import sources_of
from pycurate.dedup.sets import identity, whole
from pycurate.dedup.settings import Settings
from pycurate.errors import TableError
from pycurate.files import write_json
from pycurate.filters.filtering import Filtering
from pycurate.models.presets import load_encoder
from pycurate.results.encoder import read_encoder
from pycurate.results.layout import numbers, path_of, paths_of
from pycurate.results.partitions import write_partitions
from pycurate.results.tables import SAMPLES, write_table
from pycurate.shards.listing import Shard
from pycurate.stages.dedup import dedup_embeddings, find_pairs
from pycurate.stages.embed import LoaderOptions, embed_partition

PARTITIONS = 8
SETS = {"mine": "Mean", "same": "Mean", "other": "Other", "turned": "Turned"}  # and the encoder of each
OTHERS = """
class Other(Mean):
    sha256 = 64 * "a"
class Turned(Mean):
    view = View(8, 8, "squash")
"""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of SETS, which lie beside each other."""
    place = tmp_path_factory.mktemp("sets")
    (place / "mine").mkdir()
    make_set(place / "mine", [[number, number + 100] for number in range(PARTITIONS)])
    with open(place / "mine" / "own.py", "a") as file:
        file.write(OTHERS)
    for name in [name for name in SETS if name != "mine"]:
        shutil.copytree(place / "mine", place / name)
    for name, encoder in SETS.items():
        model = load_encoder(f"{place / name / 'own.py'}:{encoder}", place, "cpu")
        for number in numbers(place / name, "partitions"):
            embed_partition(place / name, number, {"img_emb": model}, [], LoaderOptions("cpu", "cpu", 4, 10**6, 1))
    return place


@pytest.fixture
def sets(embedded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(embedded, tmp_path / "sets")


def without(folder: Path, *numbers: int) -> None:
    """Take these partitions away."""
    for kind in ("samples", "measures", "img_emb", "metadata"):
        for number in numbers:
            path_of(folder, kind, f"{number:05}").unlink()


def silenced(folder: Path) -> Path:
    """The set, made one that states no encoder, as an earlier version or another tool leaves it."""
    for path in paths_of(folder, "samples").values():
        pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    return folder


def search(sets: Path, reference: str) -> None:
    find_pairs(sets / "mine", sources_of(sets / "mine", [sets / reference]), Settings(0.9))


def refusal(sets: Path, reference: str) -> str:
    """Why the search does not begin."""
    with pytest.raises(TableError) as caught:
        search(sets, reference)
    assert not paths_of(sets / "mine", "cells")
    return str(caught.value)


def test_a_set_of_the_same_encoder_is_compared(sets: Path, caplog: pytest.LogCaptureFixture) -> None:
    (sets / "elsewhere").mkdir()
    reference = Path(shutil.move(sets / "same", sets / "elsewhere"))
    search(sets, "elsewhere/same")
    assert "state" not in caplog.text
    decisions = decide(sets / "mine", sources_of(sets / "mine", [reference]), Filtering(), None, dedup=True)
    assert decisions["reason"].to_pylist() == ["duplicate_reference"] * 2 * PARTITIONS
    with pytest.raises(TableError, match="embedded by Other"):  # nor do pairs of this search decide about another set
        decide(sets / "mine", sources_of(sets / "mine", [sets / "other"]), Filtering(), None, dedup=True)


def test_another_encoder_of_the_same_width_is_refused(sets: Path) -> None:
    for step in ("pairs", "train"):
        said = call(sets / "mine", "dedup", step, "--reference", sets / "other", code=1)
        assert f"The reference {sets / 'other'} was embedded by Other (weights {12 * 'a'}, 8x8 shortest)" in said
        assert "by Mean (weights unknown, 8x8 shortest); embed both with the same encoder." in said
        assert said.count("\n") == 1 and not (sets / "mine" / "cells").exists()
    assert "by Turned (weights unknown, 8x8 squash)" in refusal(sets, "turned")


def test_a_reference_of_other_views_is_refused(sets: Path) -> None:
    models = ("--model-dir", "models", "--encoder", "own.py:Mean", "--no-aesthetic", "--no-nsfw", "--device", "cpu")
    call(sets / "mine", "embed", *models, "--dedup-views", "dihedral")
    assert "has no dedup_emb, which the input is compared by; embed both with the same" in refusal(sets, "same")
    call(sets / "same", "embed", *models, "--dedup-views", "mirror")
    said = refusal(sets, "same")
    assert (
        "8x8 shortest, 2 views)" in said and "8x8 shortest, 8 views); embed both with the same --dedup_views." in said
    )
    for folder in ("mine", "same"):
        silenced(sets / folder)
    assert "different numbers of embeddings per image ([2, 8])" in refusal(sets, "same")
    call(sets / "same", "embed", *models, "--dedup-views", "dihedral")
    search(sets, "same")


def test_a_partition_of_another_encoder_is_refused(sets: Path) -> None:
    shutil.copy(path_of(sets / "other", "samples", "00005"), path_of(sets / "mine", "samples", "00005"))
    assert f"The input in {sets / 'mine'} was embedded by Other" in (said := refusal(sets, "same"))
    assert "in partition 00005" in said
    assert said in call(sets, "dedup", "all", "--embeddings", "mine", "--out", "out", code=1)
    assert not (sets / "out").exists()


def test_a_reference_that_states_no_encoder_is_taken_with_a_warning(
    sets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    silenced(sets / "other")
    search(sets, "other")
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"{sets / 'other'} does not record its encoder" in said


def test_a_set_whose_partitions_were_not_all_written_is_refused(tmp_path: Path) -> None:
    shards = [Shard(name, Path(name), 1) for name in ("0.tar", "\udcff.tar", "2.tar")]
    with pytest.raises(UnicodeEncodeError):
        write_partitions(tmp_path, [[shard] for shard in shards])
    for number in numbers(tmp_path, "partitions"):
        write_table(path_of(tmp_path, "samples", number), SAMPLES.empty_table())
    with pytest.raises(TableError, match="lacks 2 of its 3 partitions"):
        whole(tmp_path, "samples", "img_emb", reference=False)


@pytest.mark.parametrize("told", ["partitions", "summary"])
@pytest.mark.parametrize("which", ["same", "mine"])
def test_a_set_without_all_partitions_is_refused(sets: Path, which: str, told: str) -> None:
    without(sets / which, 0, *range(4, PARTITIONS))
    if told == "summary":
        write_json(path_of(sets / which, "summary"), {"partitions": PARTITIONS})
        shutil.rmtree(sets / which / "partitions")
    lacks = f"{sets / which} lacks 5 of its 8 partitions: no samples file for 00000, 00004, 00005, ...;"
    assert lacks in refusal(sets, "same")
    if told == "partitions":
        assert lacks in call(sets / "mine", "dedup", "pairs", "--reference", sets / "same", code=1)


def test_a_reference_without_one_file_of_embeddings_is_refused(sets: Path) -> None:
    path_of(sets / "same", "img_emb", "00007").unlink()
    assert "lacks 1 of its 8 partitions: no img_emb file for 00007;" in refusal(sets, "same")


def test_a_reference_that_says_nowhere_how_large_it_is(sets: Path) -> None:
    shutil.rmtree(sets / "same" / "partitions")
    assert f"{sets / 'same'} does not say how many partitions it has" in refusal(sets, "same")
    silenced(sets / "same")
    without(sets / "same", 7)
    search(sets, "same")  # nothing tells that its last partition is gone
    shutil.rmtree(sets / "mine" / "cells")
    without(sets / "same", 3)
    assert "no samples file for 00003" in refusal(sets, "same")


def test_what_an_earlier_run_left_beyond_a_set_is_refused(sets: Path) -> None:
    path_of(sets / "same", "partitions", "00007").unlink()
    assert "has 7 partitions, but also samples files for 00007" in refusal(sets, "same")


def test_embeddings_of_two_precisions_are_compared_and_that_is_said(
    sets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, precision in (("mine", "fp32"), ("same", "bf16")):
        for path in paths_of(sets / name, "samples").values():
            table, stated = pq.read_table(path), read_encoder(path, "img_emb")
            assert stated
            pq.write_table(
                table.replace_schema_metadata(replace(stated, precision=precision).to_metadata("img_emb")), path
            )
    search(sets, "same")
    (said,) = [record.getMessage() for record in caplog.records if "precision" in record.getMessage()]
    assert f"bf16 (The reference {sets / 'same'}, partition 00000)" in said and "fp32 (The input in" in said


def test_gaps_in_an_embedding_folder_of_another_tool_are_refused(tmp_path: Path) -> None:
    def refused() -> str:
        with pytest.raises(TableError) as caught:
            dedup_embeddings(tmp_path, Settings(0.9), tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return str(caught.value)

    (tmp_path / "img_emb").mkdir()
    for name in ("img_emb_0", "img_emb_1", "img_emb_3"):
        np.save(tmp_path / "img_emb" / f"{name}.npy", np.eye(4, dtype=np.float16))
    said = call(tmp_path, "dedup", "all", "--embeddings", tmp_path, "--out", "out", code=1)
    assert f"{tmp_path} lacks 1 of its 4 partitions: no img_emb file for 00002;" in said and refused() in said
    (tmp_path / "img_emb" / "img_emb_3.npy").rename(tmp_path / "img_emb" / "img_emb_2.npy")
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "metadata_3.parquet").touch()  # the last embeddings are gone: the metadata tell
    assert "no img_emb file for 00003;" in refused()
    (tmp_path / "metadata" / "metadata_3.parquet").unlink()
    dedup_embeddings(tmp_path, Settings(0.9), tmp_path / "out")
    for path in (tmp_path / "img_emb").iterdir():  # numbers in other names may mean anything
        path.rename(path.with_name(f"part-{path.stem[-1]}7.npy"))
    dedup_embeddings(tmp_path, Settings(0.9), tmp_path / "out")


def test_a_set_is_told_by_its_ends_whatever_the_type_of_its_uids(tmp_path: Path) -> None:
    found = set()
    for kind in (pa.string(), pa.binary()):
        for uids in (["a", "b"], ["a", "c"], ["a", "b", "b"]):
            pq.write_table(pa.table({"uid": pa.array(uids, kind)}), tmp_path / "samples_00000.parquet")
            found.add(identity([tmp_path / "samples_00000.parquet"]))
    assert len(found) == 6
