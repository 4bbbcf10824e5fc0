"""How far a run is, read off its output and its trace."""

import time
from pathlib import Path

import pyarrow as pa
import pytest
from flows import HEAD

from pycurate.files import write_json
from pycurate.filters.filtering import Filtering
from pycurate.nextflow.progress import STAGES, Progress, Tasks
from pycurate.results.layout import path_of
from pycurate.results.tables import write_table


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


def test_a_trace_has_the_columns_that_its_head_names(tmp_path: Path) -> None:
    for head, row, done in (
        ("name status hash", "WRITE COMPLETED aa/000001", 1),
        ("name exit hash trss status", "WRITE 0 aa/000001 1GB COMPLETED", 1),
        ("task_id name native_id exit status", "1 WRITE 7 0 COMPLETED", 0),  # no task can be told from another
    ):
        trace = tmp_path / "trace.txt"
        trace.write_text(f"{head}\n{row}\n".replace(" ", "\t"))
        progress = Progress(tmp_path / "work", trace, Filtering())
        progress.look()
        assert len(progress.stages["WRITE"].done) == done and progress.stages.keys() == STAGES.keys()


def test_a_trace_of_an_earlier_run_is_not_read(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    progress = Progress(tmp_path / "work", trace, Filtering())
    trace.write_text(f"{HEAD}1\taa/000001\t7\tEMBED (0)\tCOMPLETED\n")
    progress.disregard()
    progress.look()
    (tmp_path / "new").write_text(f"{HEAD}1\tbb/000001\t7\tWRITE (0)\tCOMPLETED\n")
    (tmp_path / "new").rename(trace)
    progress.look()
    assert (len(progress.stages["EMBED"].done), len(progress.stages["WRITE"].done)) == (0, 1)


def test_what_tasks_left_is_counted_once_and_only_what_this_run_embedded_makes_its_rate(tmp_path: Path) -> None:
    work, trace = tmp_path / "work", tmp_path / "trace.txt"
    folders = {task: work / f"{task}99" for task in ("aa/000001", "bb/000002", "cc/000003", "dd/000004")}
    for number, (task, samples) in enumerate((("aa/000001", 10), ("bb/000002", 20))):
        write_json(path_of(folders[task], "stats", f"{number:05}"), {"samples": samples, "readable": samples - 2})
    folders["cc/000003"].mkdir(parents=True)
    (folders["cc/000003"] / ".command.out").write_text("5\n")
    decisions = pa.table({"reason": ["kept"] * 26 + ["unreadable"] * 4})
    write_table(path_of(folders["dd/000004"], "decisions"), decisions)
    for plan in ("00000", "00001"):
        write_table(path_of(folders["dd/000004"], "plan", plan), decisions)
    progress = Progress(work, trace, Filtering())
    progress.stages["EMBED"].total = 2
    assert progress.hear("[aa/000001] Cached process > EMBED (00000)")
    rows = f"{HEAD}1\tbb/000002\t7\tEMBED (00001)\tCOMPLETED\n2\tcc/000003\t8\tDEDUP:DEDUP_TRAIN\tCOMPLETED\n"
    for _ in range(2):  # the second time it is another file, which Nextflow wrote anew
        (tmp_path / "new").write_text(rows)
        (tmp_path / "new").rename(trace)
        progress.look()
        assert (progress.counts, progress.images) == ({"unreadable": 4}, 18)
    assert progress.stages["DEDUP"].total == 1 + 2 + 5 and not progress.stages["DEDUP"].finished
    trace.write_text(f"{rows}3\tdd/000004\t9\tDECIDE\tCOMPLETED\n")
    progress.look()
    assert progress.counts == {"kept": 26, "unreadable": 4} and progress.stages["WRITE"].total == 2
    assert progress.stages["DEDUP"].finished  # however many tasks were thought to follow


def test_what_a_finished_task_tells_of_those_that_follow(tmp_path: Path) -> None:
    progress = Progress(tmp_path, tmp_path / "trace.txt", Filtering())
    for number in ("00000", "00001", "00002"):
        path = path_of(tmp_path / "aa" / "00000199", "partitions", number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for folder in ("bb", "cc"):
        (tmp_path / folder / "00000199").mkdir(parents=True)
    for line in ("[aa/000001] Cached process > PARTITION", "[bb/000001] Cached process > COMPARE:COMPARE_TARGETS"):
        assert progress.hear(line)
    progress.look()
    totals = {name: tasks.total for name, tasks in progress.stages.items()}
    assert totals == STAGES | {"EMBED": 3, "SCORE": 3, "COMPARE": 1 + 3}
    assert progress.hear("[cc/000001] Cached process > DEDUP:DEDUP_PAIRS")
    progress.look()
    assert progress.stages["DEDUP"].finished


def test_the_time_left_follows_from_the_tasks_that_this_run_ran() -> None:
    tasks = Tasks(10, set("abcde"), set("abcd"), cached=2)
    assert tasks.seconds_left() is None  # nothing has been started
    tasks.since = time.monotonic() - 100
    assert tasks.seconds_left() == pytest.approx(6 * 50, rel=0.01)
    tasks.cached = 4
    assert tasks.seconds_left() is None


def test_the_rate_is_of_this_runs_images_since_its_first_task(tmp_path: Path) -> None:
    progress = Progress(tmp_path, tmp_path / "trace.txt", Filtering())
    progress.disregard()  # though no earlier run left a trace
    progress.hear("[aa/000001] Submitted process > EMBED (0)")
    embed = progress.stages["EMBED"]
    assert embed.since and progress.rate() is None
    embed.since -= 100
    progress.hear("[aa/000002] Submitted process > EMBED (1)")
    progress.hear("[aa/000003] Cached process > EMBED (2)")
    progress.images = 1000
    assert progress.rate() == pytest.approx(10, rel=0.01)
    assert (embed.all, embed.cached, len(embed.done)) == (3, 1, 1)


def test_the_counts_so_far_are_of_the_filters_that_need_no_other_sample(tmp_path: Path) -> None:
    """Whatever else is asked for, which DECIDE alone can answer."""
    filtering = Filtering(
        aesthetic_threshold=0.5,
        min_score=(
            "nsfw=0.2",
            "mixed=0.1",
            "caption_count=2",
            "language_score=0.5",
            "concept_cats=0.5",
            "s_clip_loss=0",
        ),
        score=("mixed=aesthetic+nsfw",),
        min_side=100,
        max_caption_count=2,
        language=("en",),
        keep_top=("aesthetic=0.1",),
        blocklist=("list.txt",),
        balance="cells",
        target=3,
    )
    progress = Progress(tmp_path, tmp_path / "trace.txt", filtering)
    folders = [tmp_path / task for task in ("aa/00000199", "bb/00000199", "cc/00000199")]
    uids, caption = ["a", "b", "c", "d"], ["x"] * 4
    sides = {"width": [100, 100, 99, 100], "height": [100, 200, 100, 100]}
    metadata = pa.table({"uid": uids, "caption": caption, **sides})
    write_json(path_of(folders[0], "stats", "00000"), {"samples": 5, "readable": 4})
    write_table(path_of(folders[0], "metadata", "00000"), metadata)
    values = {"aesthetic": [0.5, 0.4, 0.9, 0.9], "nsfw": [0.2, 0.9, 0.9, 0.1]}
    scores = pa.table({"uid": uids, **{name: pa.array(column, pa.float32()) for name, column in values.items()}})
    for folder, number in ((folders[1], "00000"), (folders[2], "00001")):
        write_table(path_of(folder, "scores", number), scores)
    progress.hear("[cc/000001] Cached process > SCORE (00001)")  # whose EMBED task has left no trace
    progress.look()
    assert (progress.counts, progress.scored) == ({}, False)
    progress.hear("[aa/000001] Cached process > EMBED (00000)")
    progress.look()
    assert (progress.counts, progress.scored) == ({"unreadable": 1}, False)
    progress.hear("[bb/000001] Cached process > SCORE (00000)")
    progress.look()
    assert progress.scored and progress.counts == {"unreadable": 1, "kept": 1, "aesthetic": 1, "nsfw": 1, "min_side": 1}
