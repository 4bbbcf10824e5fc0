"""Showing how far a run is: a table that stays in its place on a terminal, a line now and then elsewhere."""

import queue
import subprocess
import threading
import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pycurate.errors import PycurateError
from pycurate.nextflow.progress import Progress, Tasks
from pycurate.results.reasons import KEPT, in_order
from pycurate.text import duration, printable, rate

EVERY = 60.0  # seconds between two plain lines about a stage that is at work


def watch(process: "subprocess.Popen[bytes]", progress: Progress, view: "TerminalView | LogView") -> int:
    """Show the run until it ends; its exit status. `process` is Nextflow with its output in a pipe."""
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:  # ends at a line feed only: whatever else a line holds is data
            said.put(line.decode(errors="backslashreplace").removesuffix("\n"))
        said.put(None)

    threading.Thread(target=listen, daemon=True).start()
    with view:
        over, following = False, True
        while not over:
            lines = [_next(said)]
            while not said.empty():
                lines.append(said.get())
            for line in lines:
                if line is None:
                    over = True
                elif line and not progress.hear(line):
                    view.say(line)
            if following:
                following = _follow(progress, view)
    return process.wait()


def _follow(progress: Progress, view: "TerminalView | LogView") -> bool:
    """Look and show; False, and a word of it, if that cannot be done: a run does not end for want of its view."""
    try:
        progress.look()
        view.show(progress)
    except (PycurateError, OSError, ValueError, KeyError) as error:
        view.say(f"The run continues, but its progress can no longer be shown: {error}")
        return False
    return True


def _next(said: "queue.SimpleQueue[str | None]") -> str | None:
    try:
        return said.get(timeout=0.5)
    except queue.Empty:
        return ""


class TerminalView:
    """A table, drawn anew twice a second, beneath what Nextflow says."""

    def __init__(self, console: Console) -> None:
        self.live = Live(console=console, refresh_per_second=2)

    def __enter__(self) -> "TerminalView":
        self.live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.__exit__(*error)  # type: ignore[arg-type]

    def say(self, line: str) -> None:
        self.live.console.print(line)

    def show(self, progress: Progress) -> None:
        self.live.update(drawn(progress, self.live.console.width))


class LogView:
    """A line when a stage is done, and one every EVERY seconds before."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.shown: dict[str, tuple[int, float]] = {}  # of a stage: tasks done, when it was shown

    def __enter__(self) -> "LogView":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True)

    def show(self, progress: Progress) -> None:
        for name, tasks in progress.stages.items():
            now = time.monotonic()
            done, when = self.shown.setdefault(name, (0, now))
            if len(tasks.done) > done and (tasks.finished or now - when >= EVERY):
                self.shown[name] = (len(tasks.done), now)
                text = f"{name} {len(tasks.done)} of {tasks.all}"
                self.say(", ".join([text, *remarks(name, tasks, progress)]))
                if (name == "SCORE" and not progress.decided) or name == "DECIDE":
                    self.say(counted(progress))


def drawn(progress: Progress, width: int) -> Group:
    """The table of the stages, and the counts so far, on a terminal of so many columns, 60 or more.

    Where it is narrow the bars go first, then the remarks from behind; a stage's name and its counts are never cut.
    """
    rows = []
    for name, tasks in progress.stages.items():
        done = f"{len(tasks.done)} of {tasks.all}" if tasks.all else ""
        rows.append((printable(name), done, ", ".join(remarks(name, tasks, progress))))
    taken = sum(max(map(len, texts)) + 2 for texts in zip(*rows, strict=True))
    length = min(20, width - taken)
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "done", *([""] if length >= 5 else [])):
        table.add_column(heading, no_wrap=True)
    table.add_column()  # the one that is narrowed
    for (name, done, text), tasks in zip(rows, progress.stages.values(), strict=True):
        share = len(tasks.done) / tasks.all if tasks.all else 0.0
        style = "green" if tasks.finished else "bold" if tasks.started else "dim"
        full = round(length * share)
        bar = [Text("━" * full, "green") + Text("━" * (length - full), "dim")] if length >= 5 else []
        table.add_row(Text(name, style), done, *bar, Text(text, no_wrap=True, overflow="ellipsis"))
    return Group(table, counted(progress))


def remarks(name: str, tasks: Tasks, progress: Progress) -> list[str]:
    """What else is to be said of a stage, the most important first."""
    left = tasks.seconds_left()
    found = [f"{duration(left)} left"] if left else []
    if name == "EMBED" and (images := progress.rate()) and not tasks.finished:
        found.append(f"{rate(images)} images/s")
    return found + ([f"{tasks.cached} cached"] if tasks.cached else [])


def counted(progress: Progress) -> str:
    """The counts so far as a sentence."""
    counts = dict(progress.counts)
    if not progress.decided and not progress.scored:
        return "No decisions yet."
    kept = counts.pop(KEPT, 0)
    filters = [rule.reason for rule in progress.filtering.rules()]
    reasons = ", ".join(f"{reason} {counts[reason]:,}" for reason in in_order(counts, filters) if counts[reason])
    dropped = f"{sum(counts.values()):,} dropped" + (f" ({reasons})" if reasons else "")
    if progress.decided:
        return f"Kept {kept:,}, {dropped}."
    return f"So far {kept:,} pass the filters, {dropped}{_later(progress)}."


def _later(progress: Progress) -> str:
    """What DECIDE will do that is not counted yet, as the end of a sentence; empty where it does nothing else."""
    steps = ["the best are chosen"] if progress.filtering.keep_top else []
    steps += ["duplicates are removed"] if progress.dedup else []
    steps += ["the set is balanced"] if progress.filtering.balance not in (None, "none") else []
    if not steps:
        return ""
    *first, last = steps
    return f"; {', '.join(first)} and {last} later" if first else f"; {last} later"
