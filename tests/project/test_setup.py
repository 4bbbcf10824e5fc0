"""What `make setup` promises: locked packages, a Nextflow that needs no network, and commands that work as printed."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker

LOCKS = ["requirements", "requirements-dev", "requirements-setup", "requirements-models"]
PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;]+)(?: ; [^\\]*)? \\$", re.MULTILINE)


def canonical(name: str) -> str:
    """The form in which the locks write the name of a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked(root: Path, lock: str) -> set[str]:
    """The packages that a .in file names."""
    lines = (root / f"{lock}.in").read_text().splitlines()
    return {canonical(re.split(r"[\[<>=!~ ]", line)[0]) for line in lines if line[:1].isalpha()}


def pinned(root: Path, lock: str) -> dict[str, str]:
    """{package: version} of a lock."""
    return dict(PIN.findall((root / f"{lock}.txt").read_text()))


@pytest.fixture(scope="session")
def nextflow(root: Path) -> Path:
    path = root / ".venv" / "bin" / "nextflow"
    if not path.exists():
        pytest.skip("needs .venv; run make setup")
    return path


@pytest.mark.parametrize("lock", [*LOCKS, "requirements-readers"])
def test_every_package_asked_for_is_pinned_with_hashes_and_no_address(root: Path, lock: str) -> None:
    text = (root / f"{lock}.txt").read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert asked(root, lock) <= pinned(root, lock).keys()
    assert len(entries) == len(pinned(root, lock))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert not re.search(r"://|--index|--find-links|--extra-index", text)


def test_the_locks_agree_where_they_name_the_same_package(root: Path) -> None:
    runtime, development = pinned(root, "requirements"), pinned(root, "requirements-dev")
    both = runtime.keys() & development.keys()
    assert both
    assert {name: runtime[name] for name in both} == {name: development[name] for name in both}


def test_what_is_installed_is_what_is_pinned(root: Path, nextflow: Path) -> None:
    del nextflow  # only a complete .venv can be held against the locks
    for lock in LOCKS:
        for name, version in pinned(root, lock).items():
            try:
                installed = metadata.version(name)
            except metadata.PackageNotFoundError:
                installed = "none"
            markers = re.search(rf"^{re.escape(name)}==\S+ ; (.*) \\$", (root / f"{lock}.txt").read_text(), re.M)
            for_this_python = not markers or Marker(markers[1]).evaluate()
            assert installed == version or (installed == "none" and not for_this_python), name


def test_make_alone_lists_every_target(root: Path) -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    declared = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert declared
    assert [line.split()[0] for line in listed.splitlines()] == declared[1].split()


def test_setup_done_is_not_done_again(root: Path, nextflow: Path) -> None:
    del nextflow
    assert subprocess.run(["make", "--question", "setup"], cwd=root).returncode == 0


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what would steer Nextflow, and with a few changes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NXF_", "PYCURATE_"))}
    return kept | changes


def version(nextflow: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([nextflow, "-v"], env=environment(**changes), capture_output=True, text=True)


def own_path(folder: Path) -> str:
    """A PATH with `folder` first and no nextflow behind it."""
    places = os.environ["PATH"].split(":")
    return ":".join([str(folder), *(place for place in places if not (Path(place) / "nextflow").exists())])


def test_the_launcher_brings_its_own_nextflow(nextflow: Path, tmp_path: Path) -> None:
    result = version(nextflow, PATH=own_path(tmp_path))
    assert result.stdout.startswith("nextflow version 24.10.0"), result.stderr


def test_java_finds_the_classes_of_nextflow_parsed(nextflow: Path, tmp_path: Path) -> None:
    result = version(nextflow, PATH=own_path(tmp_path), NXF_OPTS="-Xshare:on")  # without them it would not start
    assert result.stdout.startswith("nextflow version 24.10.0"), result.stdout


@pytest.mark.parametrize(
    ("found", "taken"), [("24.10.0", True), ("24.10.6", True), ("25.04.1", True), ("24.4.4", False), ("9.1", False)]
)
def test_a_nextflow_on_path_is_preferred_where_it_is_new_enough(
    nextflow: Path, tmp_path: Path, found: str, taken: bool
) -> None:
    executable(
        tmp_path / "nextflow",
        f'#!/bin/sh\necho "nextflow version {found}.5000"\necho "parser $NXF_SYNTAX_PARSER, locale $LC_ALL" >&2\n',
    )
    result = version(nextflow, PATH=own_path(tmp_path), LC_ALL="C")
    assert result.stdout.startswith(f"nextflow version {found if taken else '24.10.0'}")
    assert ("passing over" in result.stderr) is not taken
    # The parser is the one that the tests run, whatever a newer version's default is; names are text in UTF-8.
    assert ("parser v1, locale C.UTF-8" in result.stderr) is taken
    assert ("tests run 24.10" in result.stderr) is (taken and not found.startswith("24.10."))
    if taken:
        nowhere = {"LC_ALL": "xx_XX.UTF-8", "NXF_SYNTAX_PARSER": "v2"}  # a locale that is not installed
        assert "parser v2, locale C.UTF-8" in version(nextflow, PATH=own_path(tmp_path), **nowhere).stderr


def test_two_launchers_on_one_path_do_not_call_each_other_for_ever(nextflow: Path, tmp_path: Path) -> None:
    (tmp_path / "nextflow").write_bytes(nextflow.read_bytes())
    executable(tmp_path / "nextflow", nextflow.read_text())
    executable(tmp_path / "python", f'#!/bin/sh\nexec {nextflow.parent / "python"} "$@"\n')
    result = version(nextflow, PATH=own_path(tmp_path))
    assert result.stdout.startswith("nextflow version 24.10.0"), result.stderr


def test_classes_kept_of_a_library_are_taken_for_no_other(nextflow: Path, tmp_path: Path) -> None:
    share = tmp_path / ".venv" / "share"
    (share / "nextflow").mkdir(parents=True)
    (share / "java").symlink_to(nextflow.parent.parent / "share" / "java")
    for file in (nextflow.parent.parent / "share" / "nextflow").glob("*.*"):
        (share / "nextflow" / file.name).symlink_to(file)
    (tmp_path / ".venv" / "bin").mkdir()
    launcher = executable(tmp_path / ".venv" / "bin" / "nextflow", nextflow.read_text())
    (tmp_path / "elsewhere").mkdir()
    for project in (tmp_path, tmp_path / "elsewhere"):
        (project / "main.nf").write_text("println(Greeting.words())\nworkflow {}\n")
        (project / "lib").mkdir()

    def said(words: str, project: Path = tmp_path) -> tuple[str, str]:
        """The end of what a run prints whose library says `words`, and where Nextflow looked for the library."""
        (project / "lib" / "Greeting.groovy").write_text(f"class Greeting {{ static String words() {{ {words} }} }}\n")
        changes = {"PATH": own_path(tmp_path), "NXF_ANSI_LOG": "false", "NXF_HOME": str(tmp_path / "home")}
        result = subprocess.run(
            [launcher, "run", project / "main.nf"],
            cwd=tmp_path,
            env=environment(**changes),
            capture_output=True,
            text=True,
        )
        library = re.findall("Adding to the classpath library: (.*)", (tmp_path / ".nextflow.log").read_text())
        return result.stdout.strip().splitlines()[-1], str(Path(library[0]).relative_to(tmp_path)).split("-")[0]

    kept = ".venv/share/nextflow/lib"
    assert said("'grüß dich'") == ("grüß dich", kept)
    assert said("'hello'") == ("hello", kept)
    assert said("'bye'", tmp_path / "elsewhere") == ("bye", "elsewhere/lib")
    assert said("'") != ("hello", kept)  # is not Groovy: Nextflow says so
    assert len([place for place in (share / "nextflow").iterdir() if place.name.startswith("lib")]) == 2


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_pipeline_runs_in_this_environment_without_activating_it(
    nextflow: Path, tmp_path: Path, locale: str, need_tool: Callable[[str, str], Path]
) -> None:
    need_tool("ps", "procps")
    executable(
        tmp_path / "main.nf",
        """
process WHO {
    input: path file
    output: path 'who.txt'
    script: '''
    #!/usr/bin/env python3
    import pathlib, pycurate, sys
    pathlib.Path('who.txt').write_text(sys.prefix + ' ' + ' '.join(str(p) for p in pathlib.Path('.').glob('*.in')))
    '''
}
workflow { WHO(Channel.fromPath("${launchDir}/*.in")) | view { file -> "it was " + file.text } }
""",
    )
    (tmp_path / "größe.in").touch()
    outside = ":".join(place for place in own_path(tmp_path).split(":") if ".venv" not in place)
    changes = {"PATH": outside, "LC_ALL": locale, "NXF_ANSI_LOG": "false", "NXF_HOME": str(tmp_path / "home")}
    changes |= {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}  # whoever asks, hears nobody
    command: list[str | Path] = [nextflow, "run", "main.nf", "-with-trace"]
    result = subprocess.run(command, cwd=tmp_path, env=environment(**changes), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"it was {nextflow.parent.parent} größe.in" in result.stdout


@pytest.mark.parametrize(
    "module",
    [
        "stages.partition",
        "stages.score",
        "stages.dedup",
        "stages.decide",
        "stages.write",
        "stages.report",
        "report.examples",
        "review.refilter",
    ],
)
def test_a_stage_without_pixels_or_products_imports_nothing_that_takes_seconds(module: str) -> None:
    # A run has such tasks by the thousand, and a person waits for `pycurate refilter`.
    code = f"import sys, pycurate.{module}; print(*{{'torch', 'pandas', 'open_clip', 'faiss'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
