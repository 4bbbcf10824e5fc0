"""The view of a run shows data as text, and never ends the run."""

import io
import subprocess
from pathlib import Path

from flows import HEAD
from terminals import NASTY, harmless

from pycurate.cli.terminal import console
from pycurate.filters.filtering import Filtering
from pycurate.nextflow.progress import Progress
from pycurate.nextflow.view import LogView, TerminalView, drawn, watch
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
    screen.print(drawn(progress))
    assert harmless(file.getvalue(), but="\n")
    assert file.getvalue().count(printable(NASTY)) == 3
    assert r"[red]\x9b" in file.getvalue()


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
    assert (
        len([line for line in said if line.startswith("The run continues, but its progress can no longer be shown: ")])
        == 1
    )
