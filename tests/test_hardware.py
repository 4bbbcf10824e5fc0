"""A device is there, or is refused in one sentence; work in threads keeps its order."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch

from pycurate.hardware import cores, granted_cores, start_in_turn, start_on_all_cores
from scripts import called

Start = Callable[[Callable[[int], object], Iterable[int]], Iterator[object]]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "'gpu' is not a device for pycurate; give cpu, cuda"),
        ("xpu", "'xpu' is not a device for pycurate; give cpu, cuda"),  # though torch knows it
        ("cuda:64", "There is no device cuda:64 here"),
        pytest.param(
            "cuda",
            "There is no device cuda here: torch finds 0 GPUs",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU"),
        ),
    ],
)
def test_a_device_that_is_not_there_leaves_with_2(tmp_path: Path, device: str, message: str) -> None:
    found = called("models", "verify", "--preset", "light", "--device", device, "--model-dir", str(tmp_path))
    assert (found.exit_code, found.output.count("\n")) == (2, 1), found.output
    assert message in found.output


@pytest.mark.parametrize("start", [start_on_all_cores, start_in_turn])
def test_work_in_threads_keeps_the_order_and_raises_what_it_raises(start: Start) -> None:
    def root(number: int) -> float:
        if number < 0:
            raise ValueError(f"no root of {number}")
        return number**0.5

    assert list(start(root, range(1000))) == [number**0.5 for number in range(1000)]
    begun = start(root, [4, -1, 9])  # which does not raise yet
    assert next(begun) == 2
    with pytest.raises(ValueError, match="no root of -1"):
        next(begun)


def test_what_is_many_short_calls_has_a_thread_of_its_own_for_every_four_cores() -> None:
    names = set(start_in_turn(lambda _: threading.current_thread().name, range(1000)))
    assert 1 <= len(names) <= max(1, cores() // 4)
    assert not names & set(start_on_all_cores(lambda _: threading.current_thread().name, range(1000)))


@pytest.mark.parametrize(
    ("groups", "limits", "granted"),
    [
        ("0::/", {}, math.inf),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "350000 100000", "cpu.max": "max 100000"}, 3.5),
        ("0::/outside/b", {"cpu.max": "50000 100000"}, 0.5),  # as a container may see its own
        ("5:cpuset:/a\n4:cpu,cpuacct:/a:b\n0::/", {"cpu/a:b/cpu.cfs_quota_us": "-1"}, math.inf),
        ("4:cpuacct,cpu:/a", {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/a", {"cpu/cpu.cfs_quota_us": "30000", "cpu/cpu.cfs_period_us": "10000"}, 3),
        ("5:cpuset:/a", {"cpu/cpu.cfs_quota_us": "30000", "cpu/cpu.cfs_period_us": "10000"}, math.inf),
    ],
)
def test_a_process_has_as_many_cores_as_its_groups_grant(
    tmp_path: Path, groups: str, limits: dict[str, str], granted: float
) -> None:
    assert granted_cores(tmp_path) == math.inf  # of a system without control groups
    files = {"proc/self/cgroup": groups} | {f"sys/fs/cgroup/{name}": text for name, text in limits.items()}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert granted_cores(tmp_path) == granted
    assert 1 <= cores() <= max(1, granted_cores() + 1)
