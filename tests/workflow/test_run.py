"""`pycurate run`: the README's three workflows as they stand there, with the view of how they go."""

import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pytest
from flows import ROOT, Flow, environment, on_terminal

from pycurate.cli.terminal import console
from pycurate.filters.filtering import Filtering
from pycurate.nextflow.progress import STAGES, Progress
from pycurate.nextflow.view import LogView, watch
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
    assert re.search(r"EMBED +2 of 2 +\S+ +2 from an earlier run", text)
    found = summary(place, full)
    assert "dedup" in found["thresholds"] and found["dedup"]  # type: ignore[operator]
    assert f"Kept {found['kept']}, " in text

    run([*embeddings, *more, "--resume"], place)
    folder = place / embeddings[embeddings.index("--output-path") + 1]
    assert not (folder / "curated").exists()
    samples = [read_table(path) for path in sorted(folder.glob("samples/*.parquet"))]
    readable = sum(pc.sum(pc.equal(table["status"], "ok")).as_py() for table in samples)
    found = summary(place, embeddings)
    assert found["kept"] == readable > 0 and found["scores"] == {}
    for path in sorted((place / "filtered" / "img_emb").iterdir()):
        assert path.read_bytes() == (folder / "img_emb" / path.name).read_bytes()
    assert sum(read_table(path).num_rows for path in folder.glob("metadata/*.parquet")) == readable


def test_a_run_that_fails_says_how_to_go_on(tmp_path: Path) -> None:
    command = [PYCURATE, "run", "--input-path", "nowhere/*.tar"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "nowhere/*.tar' matches no file" in done.stdout and "--resume" in done.stdout


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


HEAD = "task_id\thash\tnative_id\tname\tstatus\n"


def test_a_task_that_is_tried_again_counts_once(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    progress = Progress(tmp_path / "work", trace, Filtering())
    assert progress.hear("[aa/000001] Submitted process > WRITE (00000)")
    trace.write_text(f"{HEAD}1\taa/000001\t7\tWRITE (00000)\tFAILED\n")
    progress.look()
    assert progress.hear("[bb/000002] Re-submitted process > WRITE (00000)")
    assert not progress.hear("[aa/000001] NOTE: Process `WRITE (00000)` terminated -- Execution is retried (1)")
    trace.write_text(trace.read_text() + "2\tbb/000002\t8\tWRITE (00000)\tCOMPLETED\n")
    progress.look()
    tasks = progress.stages["WRITE"]
    assert (len(tasks.done), tasks.all) == (1, 1)
    assert progress.stages.keys() == STAGES.keys()


def test_a_trace_that_was_emptied_is_read_anew(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    progress = Progress(tmp_path / "work", trace, Filtering())
    trace.write_text(HEAD + "".join(f"{n}\taa/00000{n}\t7\tEMBED ({n})\tCOMPLETED\n" for n in range(3)))
    progress.look()
    trace.write_text(f"{HEAD}1\tbb/000001\t7\tWRITE (0)\tCOMPLETED\n")
    progress.look()
    assert (len(progress.stages["EMBED"].done), len(progress.stages["WRITE"].done)) == (3, 1)


def test_a_run_goes_on_when_it_cannot_be_followed_any_more(tmp_path: Path) -> None:
    stats = tmp_path / "work" / "aa" / "0000010" / "stats" / "stats_00000.json"
    stats.parent.mkdir(parents=True)
    stats.write_text('{"samples": 3')  # cut
    trace = tmp_path / "trace.txt"
    trace.write_text(f"{HEAD}1\taa/000001\t7\tEMBED (00000)\tCOMPLETED\n")
    words = ["sh", "-c", "echo first; sleep 1.2; echo last; exit 3"]
    said_file = io.StringIO()
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        view = LogView(console(said_file))
        assert watch(process, Progress(tmp_path / "work", trace, Filtering()), view) == 3
    said = said_file.getvalue().splitlines()
    assert [said[0], said[-1]] == ["first", "last"]
    assert len([line for line in said if line.startswith("The run goes on, but cannot be followed any more: ")]) == 1
