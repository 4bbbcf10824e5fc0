"""How scripts end that are stopped, or whose output nobody takes."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from flows import environment
from tars import write_tar

from scripts import said, started, words_of


def test_output_that_nobody_takes(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = started("models", "list", stdout=full)
    assert done.returncode == 1 and "no space is left" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("call", [("embed",), ("dedup", "pairs")])
def test_a_folder_whose_name_is_not_utf8(call: tuple[str, ...], tmp_path: Path) -> None:
    """EMBED would write there, and nothing could read its tables."""
    told = said(*call, "--results", tmp_path / "a\udcff", code=2)
    assert r"a\xff has bytes that are not UTF-8; rename what it names." in told and not list(tmp_path.iterdir())


@pytest.mark.parametrize("streams", [(1,), (2,), (1, 2)])
def test_streams_that_are_closed(streams: tuple[int, ...], tmp_path: Path) -> None:
    def close() -> None:
        for number in streams:
            os.close(number)

    call = ("partition", "--results", tmp_path, "--input")
    done = started(*call, tmp_path / "none.tar", preexec_fn=close)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == (2 not in streams)
    write_tar(tmp_path / "one.tar", [("a.jpg", b"")])
    done = started(*call, tmp_path / "one.tar", preexec_fn=close)
    assert (done.returncode, done.stdout) == (0, "") and "Traceback" not in done.stderr
    assert "one.tar" in (tmp_path / "partitions" / "partitions_00000.tsv").read_text()


@pytest.mark.parametrize(("sent", "codes"), [(signal.SIGINT, (130,)), (signal.SIGTERM, (143, -15))])
def test_a_script_that_is_stopped(sent: signal.Signals, codes: tuple[int, ...], tmp_path: Path) -> None:
    command = words_of("report", "render", "--parameters", tmp_path / "pipe.json")
    os.mkfifo(tmp_path / "pipe.json")  # nobody writes to it, so that the script waits
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )
    while True:
        try:
            pipe = os.open(tmp_path / "pipe.json", os.O_WRONLY | os.O_NONBLOCK)  # once it reads
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.05)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    os.close(pipe)
    assert process.returncode in codes and "Traceback" not in said
