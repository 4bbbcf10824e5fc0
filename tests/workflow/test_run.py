"""`pycurate run`: the README's three workflows as they stand there, with the view of how they go."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pytest
from flows import ROOT, Flow, environment, on_terminal

from pycurate.filters.filtering import Filtering
from pycurate.nextflow.progress import Progress
from pycurate.results.tables import read_table

PYCURATE = str(Path(sys.executable).parent / "pycurate")


def workflows() -> list[list[str]]:
    """The README's commands that run a whole workflow, as words."""
    lines = re.findall(r"^pycurate run .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.fixture(scope="module")
def place(shards: Path, undisturbed: Flow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `shards` in it, where a user works."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "shards").symlink_to(shards)
    (folder / "models").symlink_to(undisturbed.folder / "models")
    return folder


def run(words: list[str], place: Path) -> str:
    """What a run says that ends well, where there is no terminal."""
    done = subprocess.run([PYCURATE, *words], cwd=place, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return done.stdout


def summary(place: Path, words: list[str]) -> dict[str, object]:
    folder = place / words[words.index("--output-path") + 1]
    found: dict[str, object] = json.loads((folder / "summary.json").read_text())
    return found


def test_basic_filtering_then_full_curation_then_embeddings(place: Path) -> None:
    basic, full, embeddings = workflows()
    more = ["--model-dir", "models", "--partition-bytes", "1"]

    said = run([*basic, *more], place)
    found = summary(place, basic)
    assert found["thresholds"] == {"aesthetic": 0.5, "nsfw": 0.5} and not found["dedup"]
    assert "EMBED 2 of 2" in said and "SCORE 2 of 2" in said and "WARN" not in said
    assert f"Kept {found['kept']}, " in said
    assert "\x1b" not in said  # plain, where there is no terminal

    # In a terminal; and of the first run nothing is done again.
    status, shown = on_terminal([PYCURATE, *full, *more, "--resume"], place, columns=80)
    assert status == 0, shown
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"EMBED +2 of 2 +\S+ +2 cached", text)
    found = summary(place, full)
    assert "dedup" in found["thresholds"] and found["dedup"]  # type: ignore[operator]
    assert f"Kept {found['kept']}, " in text

    (place / "site.config").write_text("trace.file = 'notes/trace.txt'\n")  # where a site gathers them, say
    run([*embeddings, *more, "--resume", "--site", "site.config"], place)
    folder = place / embeddings[embeddings.index("--output-path") + 1]
    assert (folder / "pipeline_info" / "parameters.yaml").exists() and (place / "notes" / "trace.txt").exists()
    assert not (folder / "curated").exists()
    samples = [read_table(path) for path in sorted(folder.glob("samples/*.parquet"))]
    readable = sum(pc.sum(pc.equal(table["status"], "ok")).as_py() for table in samples)
    found = summary(place, embeddings)
    assert found["kept"] == readable > 0 and found["scores"] == {}
    for path in sorted((place / "filtered" / "img_emb").iterdir()):
        assert path.read_bytes() == (folder / "img_emb" / path.name).read_bytes()
    assert sum(read_table(path).num_rows for path in folder.glob("metadata/*.parquet")) == readable


BROKEN = """
from pycurate.images.views import View


class Broken:
    name = "broken"
    view = View(8, 8)

    def __init__(self, model_dir, device): ...

    def score(self, pixels, images):
        raise RuntimeError("no score today")
"""


def test_a_run_that_fails_says_how_to_go_on(place: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "site.config").write_text("trace.file = 'notes/trace.txt'\n")  # which tells of refused calls, too
    own = ["--pixel-scorer", f"{tmp_path}/broken.py:Broken", "--no-aesthetic", "--no-nsfw"]
    for words, cause, again in (
        (["--input-path", "nowhere/*.tar"], f"there is no '{tmp_path}/nowhere'", "command again."),  # it did nothing
        (["--input-path", f"{place}/shards", *own], "no score today", "command with --resume."),
    ):
        command = [PYCURATE, "run", *words, "--model-dir", str(place / "models"), "--site", "site.config"]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
        assert done.returncode == 1
        assert cause in done.stdout and done.stdout.rstrip().endswith(again), done.stdout


def test_a_home_that_no_shell_has_put_is_that_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    words = ["--input-path=~/shards", "--output-path=~/out", "--work-dir=~/work"]
    env = environment() | {"HOME": str(tmp_path)}
    done = subprocess.run([PYCURATE, "run", *words], cwd=tmp_path / "here", env=env, capture_output=True, text=True)
    assert done.returncode == 1 and f"there is no '{tmp_path}/shards'" in done.stdout, done.stdout
    assert (tmp_path / "work").is_dir() and not list((tmp_path / "here").glob("~*"))


def test_progress_is_what_the_run_left(undisturbed: Flow) -> None:
    trace = undisturbed.out / "pipeline_info" / "trace.txt"
    progress = Progress(undisturbed.work, trace, Filtering(aesthetic_threshold=0.2, nsfw_threshold=0.5))
    lines = undisturbed.text.splitlines()
    heard = [line for line in lines if progress.hear(line)]
    assert len(heard) == sum("process > " in line for line in lines)
    assert not progress.stages["EMBED"].done
    progress.look()
    assert all(tasks.finished for tasks in progress.stages.values())
    decisions = read_table(undisturbed.out / "decisions.parquet")
    reasons = {entry["values"]: entry["counts"] for entry in pc.value_counts(decisions["reason"]).to_pylist()}
    assert progress.counts == reasons and progress.decided
    assert progress.images == decisions.num_rows - reasons["unreadable"]
    assert progress.stages["WRITE"].total == len(list((undisturbed.out).glob("curated/*.tar")))
