"""What a run leaves is what other tools read: each file opened with the library that it is meant for."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import webdataset
from flows import Flow, tasks
from tar_readers import by_dali, by_webdataset, wds2idx

from pycurate.results.layout import KINDS, path_of, paths_of
from pycurate.results.tables import write_array
from pycurate.shards.dali_index import index_path

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def results(undisturbed: Flow) -> Path:
    """What a run on photographs, captions, copies and broken files left, with indices for DALI."""
    return undisturbed.out


def kept(results: Path) -> list[str]:
    """The uids of the kept samples, in input order."""
    table = pq.read_table(results / "decisions.parquet", columns=["uid", "kept"])
    return table.filter(table["kept"])["uid"].to_pylist()


def test_the_table_of_files_names_all_that_a_run_leaves(results: Path) -> None:
    left = [path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()]
    found = {name: [kind for kind in KINDS.values() if kind.number(name) is not None] for name in left}
    own = {f"pipeline_info/{name}" for name in ("report.html", "timeline.html", "trace.txt")}  # Nextflow's
    assert {name for name in left if not found[name]} == own
    every = {kind.name for kind in KINDS.values() if kind.stays}
    every -= {"text_emb", "masked_emb"}  # which need a CLIP model
    every -= {"comparisons"}  # which needs something to compare with
    every -= {"blocked", "leaks", "leakage"}  # which take options of their own
    assert {kind.name for kinds in found.values() for kind in kinds} == every


# --- shards


def test_webdataset_reads_the_kept_samples(results: Path) -> None:
    tars = sorted((results / "curated").glob("*.tar"))
    assert len(tars) > 1
    dataset = webdataset.WebDataset(
        f"{results}/curated/{{{tars[0].stem}..{tars[-1].stem}}}.tar", shardshuffle=False
    ).decode("pil")
    keys = [(Path(sample["__url__"]).name, sample["__key__"]) for sample in dataset]
    decisions = pq.read_table(results / "decisions.parquet").to_pylist()
    assert keys == [(row["output_shard"], row["key"]) for row in decisions if row["kept"]]


def test_dali_reads_with_the_indices_what_webdataset_reads(results: Path, tmp_path: Path) -> None:
    tars = sorted((results / "curated").glob("*.tar"))
    members = ["jpg", "png", "webp", "txt", "json"]
    read = by_dali(tars, members)
    assert read == by_webdataset(tars, members)
    assert len(read) == len(kept(results))
    assert {tuple(bool(member) for member in sample[3:]) for sample in read} >= {(True, True), (True, False)}
    for tar in tars:
        assert index_path(tar).read_bytes() == wds2idx(tar, tmp_path / "other.idx")


# --- tables


def test_polars_reads_a_folder_of_tables(results: Path) -> None:
    samples = pl.scan_parquet(results / "samples" / "*.parquet")
    decisions = pl.scan_parquet(results / "decisions.parquet")
    counts = samples.join(decisions, on="uid").group_by("status", "reason").len().collect()
    unreadable = counts.filter(pl.col("reason") == "unreadable")
    assert unreadable["status"].to_list() == ["error"]
    summary = json.loads((results / "summary.json").read_text())
    assert dict(counts.filter(pl.col("status") == "ok").select("reason", "len").iter_rows()) == {
        "kept": summary["kept"],
        **{name: count for name, count in summary["dropped"].items() if name != "unreadable"},
    }


def test_duckdb_asks_the_files_in_sql(results: Path) -> None:
    summary = json.loads((results / "summary.json").read_text())
    query = f"select reason, count(*) from '{results}/decisions.parquet' where not kept group by reason"
    assert dict(duckdb.execute(query).fetchall()) == summary["dropped"]
    query = f"""
        select d.uid, k.key, e.sha256 = s.sha256 from '{results}/decisions.parquet' d
        join '{results}/decisions.parquet' k on d.duplicate_of = k.uid
        join '{results}/samples/*.parquet' s on s.uid = d.uid join '{results}/samples/*.parquet' e on e.uid = k.uid
        where d.reason = 'duplicate_exact'
    """
    copies = duckdb.execute(query).fetchall()
    assert len(copies) == summary["dropped"]["duplicate_exact"] and all(same for *_, same in copies)


def test_the_lists_of_uids_hold_each_sample_once(results: Path) -> None:
    lists = {name: np.load(results / f"uids_{name}.npy") for name in ("kept", "dropped")}
    texts = {name: [f"{first:016x}{last:016x}" for first, last in pairs] for name, pairs in lists.items()}
    assert texts["kept"] == sorted(kept(results))
    samples = pq.read_table(results / "samples").to_pylist()
    assert sorted(texts["kept"] + texts["dropped"]) == sorted(row["given_uid"] or row["uid"] for row in samples)


# --- tables and embeddings, by tools that have an environment of their own


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`readers(*arguments)`: run Python in an environment of requirements-readers.txt and give what it prints.

    Made by uv on the spot, out of its cache where the packages were fetched before. Where that fails the test skips
    with the reason; under CI=true it fails.
    """
    folder = tmp_path_factory.mktemp("readers") / "venv"
    make = ["uv", "venv", "--quiet", "--no-python-downloads", "--python", ">=3.11,<3.13", str(folder)]
    install = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(folder),
        "--no-deps",
        "--no-build",
        "--require-hashes",
    ]
    for command in (make, [*install, "--requirement", str(ROOT / "requirements-readers.txt")]):
        done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)
        if done.returncode:
            reason = f"needs Python 3.11 or 3.12 and the packages of requirements-readers.txt: {done.stderr.strip()}"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}; under CI=true that is a failure", pytrace=False)
            pytest.skip(reason)

    def run(*arguments: object) -> str:
        command = [str(folder / "bin" / "python"), *(str(argument) for argument in arguments)]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=folder.parent, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_pandas_reads_each_table_and_each_folder_of_tables(results: Path, readers: Callable[..., str]) -> None:
    assert json.loads(readers("-c", PANDAS, results)) == kept(results)


PANDAS = """
import json, sys
import pandas as pd
from pathlib import Path

results = Path(sys.argv[1])
decisions = pd.read_parquet(results / "decisions.parquet")
scores = pd.concat(pd.read_parquet(path) for path in sorted((results / "scores").glob("*.parquet")))
both = decisions.merge(scores, on="uid", suffixes=("", "_again"))
assert len(both) == len(scores) < len(decisions)
assert (both["aesthetic"] == both["aesthetic_again"]).all()
assert pd.read_parquet(results / "scores")["uid"].tolist() == scores["uid"].tolist()  # a whole folder at once
for folder in ("samples", "metadata", "measures"):
    assert len(pd.read_parquet(results / folder)) in (len(decisions), len(scores))
print(json.dumps(decisions["uid"][decisions["kept"]].tolist()))
"""


def embedded(results: Path) -> tuple[np.ndarray, list[str]]:
    """All embeddings as float32, and the image_path of each."""
    vectors = [np.load(path) for path in sorted((results / "img_emb").glob("*.npy"))]
    tables = [pq.read_table(path) for path in sorted((results / "metadata").glob("*.parquet"))]
    assert [len(part) for part in vectors] == [table.num_rows for table in tables]
    return np.concatenate(vectors).astype(np.float32), [
        path for table in tables for path in table["image_path"].to_pylist()
    ]


def test_embedding_reader_reads_embeddings_with_their_metadata(
    results: Path, readers: Callable[..., str], tmp_path: Path
) -> None:
    readers("-c", READ, results, tmp_path / "read.npz")
    read = np.load(tmp_path / "read.npz")
    vectors, paths = embedded(results)
    assert np.array_equal(read["vectors"], vectors) and read["paths"].tolist() == paths


READ = """
import sys
import numpy as np
from embedding_reader import EmbeddingReader

results, out = sys.argv[1:]
reader = EmbeddingReader(
    embeddings_folder=f"{results}/img_emb", metadata_folder=f"{results}/metadata",
    meta_columns=["image_path", "caption", "uid"], file_format="parquet_npy",
)
parts = list(reader(batch_size=50, show_progress=False))
assert reader.count == sum(len(vectors) for vectors, _ in parts)
paths = [path for _, table in parts for path in table["image_path"]]
np.savez(out, vectors=np.concatenate([vectors for vectors, _ in parts]), paths=np.array(paths))
"""


def test_clip_retrieval_builds_an_index_with_autofaiss_that_finds_each_image(
    results: Path, readers: Callable[..., str], tmp_path: Path
) -> None:
    # Its command is run as a file: the package itself imports torch and much else that building an index does not use.
    found = readers("-c", "from importlib.util import find_spec; print(find_spec('clip_retrieval').origin)")
    sizes = ["--nb_cores", 1, "--max_index_memory_usage", "1G", "--current_memory_available", "2G"]
    folders = ["--embeddings_folder", tmp_path / "copy", "--index_folder", tmp_path / "index"]
    for name in ("img_emb", "metadata"):
        shutil.copytree(results / name, tmp_path / "copy" / name)
    for number, path in paths_of(results, "img_emb").items():  # as of captions, of which the first has none
        texts = np.load(path)
        texts[:1] = 0
        write_array(path_of(tmp_path / "copy", "text_emb", number), texts)
    readers(Path(found.strip()).with_name("clip_index.py"), *folders, *sizes)
    answer = json.loads(readers("-c", SEARCH, tmp_path / "copy", tmp_path / "index"))
    vectors, paths = embedded(results)
    assert answer["count"] == answer["texts"] == len(vectors)
    # Byte-equal copies have one vector, so what is nearest has at least the vector of what was sought.
    at = {path: row for row, path in enumerate(paths)}
    assert all(np.array_equal(vectors[at[path]], vectors[row]) for row, path in enumerate(answer["nearest"]))


SEARCH = """
import json, sys
import faiss, numpy as np, pandas as pd
from pathlib import Path

results, folder = (Path(name) for name in sys.argv[1:])
index = faiss.read_index(str(folder / "image.index"))
vectors = np.concatenate([np.load(path) for path in sorted((results / "img_emb").glob("*.npy"))]).astype(np.float32)
metadata = pd.concat(pd.read_parquet(path) for path in sorted((folder / "metadata").glob("*.parquet")))
_, rows = index.search(vectors, 1)
texts = faiss.read_index(str(folder / "text.index"))
nearest = metadata["image_path"].iloc[rows[:, 0]].tolist()
print(json.dumps({"count": index.ntotal, "texts": texts.ntotal, "nearest": nearest}))
"""


# --- no shards


def test_a_run_that_writes_no_shards_leaves_none(undisturbed: Flow) -> None:
    flow = undisturbed.beside("unwritten")
    shutil.copytree(undisturbed.out, flow.out)
    (flow.out / "curated" / "mine.txt").write_text("a note")
    flow.succeed("--write", "false", "--dedup", "false", "-resume")
    assert "WRITE" not in tasks(flow, "COMPLETED") and {"DECIDE", "REPORT"} <= tasks(flow, "COMPLETED")
    assert [path.name for path in (flow.out / "curated").iterdir()] == ["mine.txt"]
    assert not (flow.out / "plan").exists()
    assert not (flow.out / "duplicates.parquet").exists() and not (flow.out / "dedup.json").exists()

    summary = json.loads((flow.out / "summary.json").read_text())
    assert summary["written"] == {"shards": 0, "bytes": 0}
    decisions = pq.read_table(flow.out / "decisions.parquet")
    assert decisions["output_shard"].null_count == decisions.num_rows
    assert len(np.load(flow.out / "uids_kept.npy")) == summary["kept"] > 0
    assert "Curated shards" not in flow.text and "report.html" in flow.text
