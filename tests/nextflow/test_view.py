"""The view of a run shows data as text, and never ends the run."""

import io
import re
import subprocess
from pathlib import Path

import pytest
from flows import HEAD
from terminals import NASTY, harmless

from pycurate.cli.terminal import console
from pycurate.filters.filtering import Filtering
from pycurate.nextflow import view
from pycurate.nextflow.progress import STAGES, Progress
from pycurate.nextflow.view import LogView, TerminalView, counted, drawn, watch
from pycurate.text import printable


def test_markup_and_emoji_codes_are_literal_in_both_views(tmp_path: Path) -> None:
    progress = Progress(tmp_path, tmp_path / "trace.txt", Filtering())
    progress.hear("[aa/bbbbbb] Submitted process > [red]\x9b")
    progress.counts, progress.decided = {NASTY: 3, "kept": 2}, True
    file = io.StringIO()
    screen = console(file)
    screen.width = 300
    with TerminalView(screen) as terminal:
        terminal.say(NASTY)
    LogView(screen).say(NASTY)
    screen.print(drawn(progress, screen.width))
    assert harmless(file.getvalue(), but="\n")
    assert file.getvalue().count(printable(NASTY)) == 3
    assert r"[red]\x9b" in file.getvalue()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_run_goes_on_when_it_cannot_be_followed_any_more(tmp_path: Path, resumed: bool) -> None:
    stats = tmp_path / "work" / "aa" / "0000010" / "stats" / "stats_00000.json"
    stats.parent.mkdir(parents=True)
    stats.write_text('{"samples": 3')  # cut
    trace = tmp_path / "trace.txt"
    cached = "echo '[aa/000001] Cached process > EMBED (00000)'; " * resumed
    if not resumed:
        trace.write_text(f"{HEAD}1\taa/000001\t7\tEMBED (00000)\tCOMPLETED\n")
    words = ["sh", "-c", f"echo first; {cached}sleep 1.2; echo last; exit 3"]
    said_file = io.StringIO()
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        log = LogView(console(said_file))
        assert watch(process, Progress(tmp_path / "work", trace, Filtering()), log) == 3
    said = said_file.getvalue().splitlines()
    assert [said[0], said[-1]] == ["first", "last"]
    assert (
        len([line for line in said if line.startswith("The run continues, but its progress can no longer be shown: ")])
        == 1
    )


@pytest.mark.parametrize("tasks", [7, 12_345])
def test_a_narrow_view_shows_names_counts_and_the_time_left(tmp_path: Path, tasks: int) -> None:
    progress = Progress(tmp_path, tmp_path / "trace.txt", Filtering())
    progress.hear("[aa/000000] Submitted process > EMBED (0)")
    progress.hear("[aa/000001] Cached process > EMBED (1)")
    embed = progress.stages["EMBED"]
    embed.total, embed.done, progress.images = tasks, embed.done | {"aa/000000"}, 1000
    assert embed.since
    embed.since -= 4000
    for width in range(60, 160):
        file = io.StringIO()
        screen = console(file)
        screen.width = width
        screen.print(drawn(progress, width))
        lines = file.getvalue().splitlines()
        assert [line.split()[0] for line in lines[1:-1]] == list(STAGES) and max(map(len, lines)) <= width
        line = lines[1 + list(STAGES).index("EMBED")]
        assert f"2 of {tasks} " in line and re.search(r"\d left", line.replace(" h", "").replace(" min", "")), line
        assert ("━" in line) <= ("1 cached" in line)  # the bars go first


def test_the_counts_so_far_tell_of_what_comes_later_and_of_nothing_else(tmp_path: Path) -> None:
    def said(dedup: bool, **filtering: object) -> str:
        progress = Progress(tmp_path, tmp_path / "trace.txt", Filtering.of(filtering), dedup)
        progress.counts, progress.scored = {"kept": 2}, True
        return counted(progress)

    assert said(False) == "So far 2 pass the filters, 0 dropped."
    assert said(True) == "So far 2 pass the filters, 0 dropped; duplicates are removed later."
    assert said(False, keep_top="aesthetic=0.5").endswith("0 dropped; the best are chosen later.")
    assert said(True, keep_top="aesthetic=0.5", balance="cells").endswith(
        "0 dropped; the best are chosen, duplicates are removed and the set is balanced later."
    )
    progress = Progress(tmp_path, tmp_path / "trace.txt", Filtering())  # a profile may ask for it, too
    progress.hear("[aa/000000] Submitted process > DEDUP_LEAKAGE")
    progress.scored = True
    assert "later" not in counted(progress)
    progress.hear("[aa/000001] Submitted process > DEDUP:DEDUP_PAIRS")
    assert "duplicates are removed later" in counted(progress)


def test_a_log_has_a_line_when_a_stage_is_done_and_now_and_then_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress, file = Progress(tmp_path, tmp_path / "trace.txt", Filtering()), io.StringIO()
    log = LogView(console(file))

    def shown() -> list[str]:
        file.seek(0)
        file.truncate()
        log.show(progress)
        return file.getvalue().splitlines()

    progress.stages["EMBED"].total, progress.stages["SCORE"].total = 3, 1
    assert shown() == []
    for number, lines in ((0, []), (1, ["EMBED 2 of 3, 2 cached"]), (2, ["EMBED 3 of 3, 3 cached"])):
        monkeypatch.setattr(view, "EVERY", 0.0 if number == 1 else 60.0)
        progress.hear(f"[aa/00000{number}] Cached process > EMBED ({number})")
        assert (shown(), shown()) == (lines, [])
    progress.hear("[bb/000000] Cached process > SCORE (0)")
    assert shown() == ["SCORE 1 of 1, 1 cached", "No decisions yet."]
    progress.counts, progress.decided = {"kept": 1234, "nsfw": 2, "aesthetic": 1}, True
    progress.hear("[cc/000000] Cached process > DECIDE")
    assert shown() == ["DECIDE 1 of 1, 1 cached", "Kept 1,234, 3 dropped (aesthetic 1, nsfw 2)."]
