"""What several test files share: the demo shards, photographs that lie beside the project, tools of the system."""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from flows import Flow, curate
from hypothesis import HealthCheck, settings
from report_run import make_run, standard_rows
from s3 import S3, s3_server
from slurm.cluster import Cluster

from pycurate.files import exclusive
from pycurate.stores import store

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no fault of what is tested.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests a model hub's cache of their own, before anything imports the hub's library."""
    folder = tempfile.TemporaryDirectory(prefix="pycurate-tests-hub-")
    os.environ["HF_HOME"] = folder.name
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE"):
        os.environ.pop(name, None)
    config.add_cleanup(folder.cleanup)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none; put the longest files first, lest one worker end alone."""
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))
    on_cluster = {item.path for item in items if "cluster" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path not in on_cluster, item.path.parent.name != "workflow"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the project; skips where there is none."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the folder {folder}, which is not part of the project")
    return folder


@pytest.fixture(scope="session")
def shared_images(shared: Path) -> Path:
    """A folder of two shards that hold 100 photographs (JPEG, each with .txt and .json); skips where there is none."""
    return shared / "images"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's shards (a folder, with `truth.json` in it), made once for a whole test session. Do not write there."""
    folder = tmp_path_factory.mktemp("demo") / "shards"
    subprocess.run([sys.executable, ROOT / "examples" / "make_demo.py", "--out", folder, "--seed", "0"], check=True)
    return folder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a connection or for an address fails the test."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def need_tool() -> Callable[[str, str], Path]:
    """`need_tool(command, apt_package)`: the path of a command, installed first where we are root.

    Where it cannot be had the test skips with the reason; under CI=true it fails, so that CI never passes by skipping.
    """
    return lambda command, apt_package: _need(f"the command {command}", apt_package, lambda: shutil.which(command))


@pytest.fixture(scope="session")
def need_compiler() -> None:
    """What torch compiles with for a CPU, as `need_tool` gives a command: g++ and the headers of this Python."""
    header = Path(sysconfig.get_path("include"), "Python.h")
    _need("the command g++", "g++", lambda: shutil.which("g++"))
    _need(str(header), "python{}.{}-dev".format(*sys.version_info), lambda: str(header) if header.exists() else None)


def _need(what: str, apt_package: str, find: Callable[[], str | None]) -> Path:
    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with exclusive(Path(tempfile.gettempdir()) / "pycurate-tests-apt.lock"):  # apt-get waits for no other
            for action in (["update"], ["install", "-y", "--no-install-recommends", apt_package]):
                subprocess.run(
                    ["apt-get", *action],
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    check=False,  # what counts is whether it is there afterwards
                )
    found = find()
    if found is None:
        reason = f"needs {what} (apt-get install {apt_package})"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; under CI=true that is a failure", pytrace=False)
        pytest.skip(reason)
    return Path(found)


@pytest.fixture(scope="session")
def cluster(need_tool: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real Slurm cluster of two nodes, taken down when the session ends."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    for command, package in (("sbatch", "slurm-client"), ("slurmctld", "slurm-wlm"), ("munged", "munge")):
        need_tool(command, package)
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster") as running:
        yield running


@pytest.fixture(scope="session")
def shards(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two of the demo's shards, for runs of the whole pipeline that are short. Do not write there."""
    folder = tmp_path_factory.mktemp("two") / "shards"
    folder.mkdir()
    for name in ("00000.tar", "00001.tar"):
        shutil.copy2(demo / "a" / name, folder)
    return folder


@pytest.fixture(scope="session")
def undisturbed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A finished run of main.nf on `shards`, on this machine: what every other run on them has to equal."""
    folder = tmp_path_factory.mktemp("undisturbed")
    flow = Flow(folder, curate(shards, folder / "models"))
    flow.succeed("--dali_index", "true")
    return flow


@pytest.fixture(scope="session")
def s3_running() -> Iterator[S3]:
    """A real S3 server."""
    with s3_server() as running:
        yield running


@pytest.fixture
def s3(s3_running: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The same, named by the environment."""
    for name, value in s3_running.environment.items():
        monkeypatch.setenv(name, value)
    store.store_of.cache_clear()
    return s3_running


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the work folder's, so that results are copied; skips where there is none."""
    if not Path("/dev/shm").is_dir() or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="pycurate-tests-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def four_shards(tmp_path: Path) -> Path:
    """A folder of two folders with four files that are called like shards, and a note."""
    for name in ("a/00000.tar", "a/00001.tar", "b/00000.tar", "b/00010.tar", "b/note.txt"):
        path = tmp_path / "in put" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return tmp_path / "in put"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What a run of sixty samples left before its report, to change: see `standard_rows`."""
    return make_run(tmp_path, standard_rows())
