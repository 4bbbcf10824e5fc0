"""A device is there, or is refused in one sentence; work in threads keeps its order."""

import math
import os
import subprocess
import sys
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


SMI = """#!/bin/sh
echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-0a-1)'
echo 'GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-0b-1)'
"""
TAKE = """
import os, sys
from pathlib import Path
from pycurate.hardware import take_gpu
take_gpu(Path(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


class Taking:
    """Processes that take a GPU and hold it until they are told to end, on a machine of a driver with two."""

    def __init__(self, folder: Path, smi: str = SMI) -> None:
        (folder / "nvidia-smi").write_text(smi)
        (folder / "nvidia-smi").chmod(0o755)
        self.folder = folder
        self.env = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        self.env["PATH"] = f"{folder}{os.pathsep}{self.env['PATH']}"
        self.running: list[subprocess.Popen[str]] = []

    def start(self, **more: str) -> str:
        """Start one more; what it shows CUDA."""
        command = [sys.executable, "-c", TAKE, str(self.folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=self.env | more, **pipes)  # type: ignore[call-overload]
        self.running.append(process)
        return str(process.stdout.readline().strip())

    def end(self, number: int) -> None:
        self.running[number].kill()
        self.running[number].communicate()


@pytest.fixture
def taking(tmp_path: Path) -> Iterator[Taking]:
    taking = Taking(tmp_path)
    yield taking
    for number in range(len(taking.running)):
        taking.end(number)


def test_each_process_of_a_machine_takes_a_gpu_that_none_has(taking: Taking) -> None:
    assert [taking.start() for _ in range(2)] == ["GPU-0a-1", "GPU-0b-1"]
    assert taking.start() in {"GPU-0a-1", "GPU-0b-1"}  # more tasks than GPUs share them
    taking.end(1)
    assert taking.start() == "GPU-0b-1"  # also of one that was killed


@pytest.mark.parametrize(("given", "taken"), [("5,6", "56"), ("5,-1,6", "5,-1,6"), ("5", "5"), ("", ""), ("-1", "-1")])
def test_a_process_takes_a_gpu_of_those_that_it_is_given(taking: Taking, given: str, taken: str) -> None:
    got = [taking.start(CUDA_VISIBLE_DEVICES=given) for _ in range(2)]
    assert got == (list(taken) if taken == "56" else [taken] * 2)


def test_parts_of_a_gpu_and_a_driver_that_is_not_there_change_nothing(tmp_path: Path) -> None:
    divided = SMI + "echo '  MIG 1g.10gb     Device  0: (UUID: MIG-0c-1)'\n"
    for smi in (divided, "#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n", "#!/bin/sh\necho 'No devices found.'\n"):
        taking = Taking(tmp_path, smi)
        assert taking.start() == "None"
        taking.end(0)


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


def test_a_process_has_no_more_cores_than_it_may_run_on() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
