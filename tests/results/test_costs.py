"""What tasks cost, by stage."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from report_run import write_cost

from pycurate.errors import TableError
from pycurate.results.costs import read_times, record


def test_times_by_stage(tmp_path: Path) -> None:
    write_cost(tmp_path, "WRITE", "00000", 1.0, 1 << 20)
    write_cost(tmp_path, "EMBED", "00000", 58.0, 2 << 30)
    write_cost(tmp_path, "EMBED", "00001", 62.0, 1 << 30)
    embed, write = read_times(tmp_path)
    assert (embed.name, embed.tasks, embed.seconds, embed.longest) == ("EMBED", 2, 120.0, 62.0)
    assert (embed.cpu_seconds, embed.peak_bytes, write.name) == (180.0, 2 << 30, "WRITE")
    (tmp_path / "times" / "WRITE_00000.json").write_text('{"name": "WRITE", "when": 1}')
    with pytest.raises(TableError, match="contains no times"):
        read_times(tmp_path)


def test_the_memory_of_a_large_parent_is_not_the_script_s(tmp_path: Path) -> None:
    large = bytearray(b"1") * (1 << 28)
    code = (
        f"from pathlib import Path; from pycurate.results.costs import record; record(Path({str(tmp_path)!r}), 'WRITE')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    [cost] = read_times(tmp_path)
    assert 0 < cost.peak_bytes < 1 << 28, len(large)


def test_a_script_accounts_for_all_its_time(tmp_path: Path) -> None:
    record(tmp_path, "EMBED", "00000")
    began = time.monotonic()
    sum(range(3_000_000))
    record(tmp_path, "EMBED", "1:00001")
    spent = time.monotonic() - began
    whole, part = (
        json.loads((tmp_path / "times" / f"EMBED_{number}.json").read_text()) for number in ("00000", "1-00001")
    )
    assert part["seconds"] == pytest.approx(spent, rel=0.5)
    assert whole["seconds"] > part["seconds"], "the first record reaches back to the start of the process"
    assert whole["peak_bytes"] > 1 << 20
