"""What a stranger wrote reaches a terminal and a log as text, from every script and command."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from by_hand import CLASSES
from flows import environment, on_terminal
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from tars import jpeg, write_tar
from terminals import KEY, NASTY, SHARD, command, harmless, only_data

from pycurate.cli.terminal import LogFormatter, console
from pycurate.text import printable
from scripts import words_of


@given(st.text(st.characters(exclude_categories=())))
def test_logs_and_tables_hold_no_command(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        record = logging.LogRecord("x", logging.INFO, __file__, 1, "%s", (text,), sys.exc_info())
    assert harmless(LogFormatter().format(record), but="\n")

    file = io.StringIO()
    screen = console(file)
    table = Table(text, title=text)
    table.add_row(text)
    screen.print(table)
    screen.print(text, soft_wrap=True)
    assert harmless(file.getvalue(), but="\n")
    assert printable(text).strip() in file.getvalue()


# --- real commands on a real terminal


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `shards`, whose one shard, keys and captions hold what would steer a terminal; and a run of it."""
    folder = tmp_path_factory.mktemp("nasty")
    members = []
    for number in range(6):
        members.append((f"{KEY}{number}.jpg", jpeg(number) if number < 5 else b"broken"))
        members.append((f"{KEY}{number}.txt", NASTY.encode("utf-8", "replace")))
    path = write_tar(folder / "shards" / SHARD, members)
    with open(path, "r+b") as file:  # a cut end, so that EMBED warns of it
        file.truncate(path.stat().st_size - 11000)
    (folder / "own.py").write_text(CLASSES)
    return folder


def test_stages_and_commands_show_data_as_text(nasty: Path) -> None:
    said = ""
    models = ("--model-dir", "models", "--encoder", "own.py:Mean", "--scorer", "own.py:Bright")
    for words, status in (
        (command("estimate", "--input-path", "shards", "--images-per-second", 9, "--json"), 0),
        (words_of("partition", "--input", "shards"), 0),
        (words_of("embed", *models), 0),
        (words_of("score", *models), 0),
        (words_of("decide", "--no-dedup", "--min-score", "bright=0"), 0),
        (words_of("write"), 0),
        (words_of("report", "render"), 0),
        (command("inspect", "."), 0),
        (command("inspect", ".", NASTY.replace("\0", "").replace("\ud800", "")), 2),
        (command("inspect", ".", f"--{KEY}"), 2),
        (command(f"{KEY}\n"), 2),
        (command("refilter", ".", "--min-score", f"{KEY}=1"), 2),
        (command("stages", "--verbose", "--results", "."), 0),
        (command("config", "--input-path", f"shards/{SHARD}", "--output-file", "-"), 0),
        (words_of("decide", "--filter", f"{KEY}:\x1b[2J"), 2),
        (words_of("partition", "--input", f"{KEY}{{"), 2),
    ):
        found, shown = on_terminal(words, nasty)
        assert found == status, (words, shown)
        assert "Traceback" not in shown and only_data(shown), (words, shown)
        said += shown
    keys = json.loads(subprocess.run(
        [sys.executable, "-c", "import pyarrow.parquet as pq, json; print(json.dumps("
         "pq.read_table('decisions.parquet').select(['uid', 'shard', 'key']).to_pylist()))"],
        cwd=nasty, capture_output=True, check=True, env=environment(),
    ).stdout)  # fmt: skip
    assert any(row["key"].startswith(KEY) and row["shard"] == SHARD for row in keys)
    first = keys[0]
    for name in (first["uid"], f"{first['shard']}/{first['key']}"):
        found, shown = on_terminal(command("inspect", ".", name), nasty)
        assert found == 0 and only_data(shown), shown
        said += shown
    assert printable(KEY) in said and printable(SHARD) in said and printable("\u202edesrever") in said
    # A removed shard: an error that carries its name.
    (nasty / "shards" / SHARD).rename(nasty / "gone")
    found, shown = on_terminal(words_of("write"), nasty)
    assert found == 1 and only_data(shown) and f"Shard {printable(SHARD)} is gone" in shown
    (nasty / "gone").rename(nasty / "shards" / SHARD)


def test_yaml_that_is_printed_reads_as_what_it_says(nasty: Path) -> None:
    name = f"shards/{SHARD}"
    found, shown = on_terminal(command("config", "--input-path", name, "--output-file", "-"), nasty)
    assert found == 0 and only_data(shown) and yaml.safe_load(shown)["input"] == name
