"""Classes of lib/ by themselves: what would take a run of its own to see, and rules that the package has, too."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from flows import ROOT

from pycurate.models.fetch import run_folder
from pycurate.nextflow.parameters import READ, results_folder
from pycurate.parameters import all_parameters, recipes, with_recipe

TEXTS = (
    *("1", "-7", "007", "1.0", "0.50", "-0", "1.", ".5", "1e3", "+1", " 1", "1\n", "٣", "99999999999"),
    *("", "nan", "True", "fALSE", "yes"),
)
OF_TYPE = {"boolean": "dedup", "integer": "max_pixels", "number": "max_aspect", "string": "language"}
NAMES = (
    ["light", None, None, None],
    ["ViT-B-16/openai", "", "sscd", "a:B,/ü o.py:C"],
    ["light", "x" * 200, None, None],
)
ENGINES = ("docker", "podman", "apptainer", "singularity", "charliecloud")
OPTION = {"docker": "-v", "podman": "-v", "charliecloud": "-b"}
FOLDERS = ("results", "/a/b", "s3://bucket/path/", "a://b://c")


class Lib:
    """Questions to the classes of lib/, all of them asked in one start of Java, and their answers by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: dict[str, tuple[dict[str, Any], str]] = {}

    def ask(self, name: str, expression: str, given: dict[str, Any] | None = None, **settings: Any) -> None:
        """`expression` of Groovy, in a run with the parameters `given` and these settings of Nextflow."""
        params = {one.name: one.default for one in all_parameters().values()} | {"model_dir": "/m"} | (given or {})
        self.asked[name] = ({"params": params, "workDir": str(self.folder / "work"), **settings}, expression)

    def answers(self) -> dict[str, Any]:
        (self.folder / "asked.json").write_text(json.dumps(list(self.asked.values())))
        share = Path(sys.executable).parents[1] / "share"
        words = ["-XX:TieredStopAtLevel=1", f"-XX:SharedArchiveFile={share}/nextflow/classes.jsa", "-Xlog:cds*=off"]
        words += ["-cp", f"{share}/nextflow/*:{ROOT}/lib", "groovy.ui.GroovyMain", f"{ROOT}/tests/support/lib.groovy"]
        call = [f"{share}/java/bin/java", *words, f"{self.folder}/asked.json"]
        done = subprocess.run(call, cwd=self.folder, capture_output=True, text=True)
        lines = [line.removeprefix("= ") for line in done.stdout.splitlines() if line.startswith("= ")]
        assert len(lines) == len(self.asked), done.stdout + done.stderr
        return dict(zip(self.asked, map(json.loads, lines), strict=True))


def task_folder(folder: Path, name: str, text: str) -> Path:
    """A file that a task left."""
    path = folder / "ab" / "c" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "ab" / "c" / ".exitcode").write_text("0")
    path.write_text(text)
    return path


def damaged(lock: Path, age: float) -> Path:
    """The lock of a run whose machine lost power before the disk had what it holds, and which lived so long ago."""
    lock.write_bytes(bytes(100))
    os.utime(lock, (time.time() - age,) * 2)
    return lock


def links(top: Path) -> Path:
    """A folder of shards whose names are links: to links, by way of folders that are links, and itself one."""
    for folder in ("real", "middle", "snapshot"):
        (top / folder).mkdir(parents=True)
    (top / "real" / "0.tar").touch()
    (top / "way").symlink_to("real")
    (top / "middle" / "0.tar").symlink_to(top / "way" / "0.tar")
    (top / "snapshot" / "0.tar").symlink_to("../middle/0.tar")
    (top / "current").symlink_to("snapshot")
    return top / "current"


def own(top: Path) -> dict[str, Any]:
    """Parameters that name files of one's own in every way, some as links, some twice or not there."""
    names = ("a b.py", "it's.py", "mine.pt", "blobs/0", "local/open_clip_config.json", "script.pt")
    for name in names:
        (top / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (top / "own" / name).touch()
    (top / "own" / "local" / "model.bin").symlink_to("../blobs/0")
    return {
        "encoder": f"local-dir:{top}/own/local",
        "dedup_encoder": f"torchscript:{top}/own/script.pt",
        "scorer": f"{top}/own/a b.py:A,module:Class,{top}/own/a b.py:B",
        "pixel_scorer": f"{top}/own/missing.py:Class",
        "filter": f"{top}/own/it's.py:Filter=3",
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lib")


@pytest.fixture(scope="module")
def said(place: Path) -> dict[str, Any]:
    lib = Lib(place)
    for kind, name in OF_TYPE.items():
        lib.ask(kind, f"{json.dumps(TEXTS)}.collect {{ text -> Typing.typed('{name}', text) }}")
    for name in recipes():
        lib.ask(name, "Recipes.applied(nextflow.Global.session.params)", {"recipe": name, "min_side": 7})
    folders = [f"Models.folderName(*{json.dumps(names, ensure_ascii=False)})" for names in NAMES]
    lib.ask("folders", f"[{', '.join(folders)}]")
    lib.ask("local", f"{json.dumps(FOLDERS)}.collect {{ text -> Paths.local(text) }}")
    for value in (1, 1.0, "1", "1.00"):
        lib.ask(f"options {value!r}", "Options.of('DECIDE')", {"max_aspect": value, "min_side": 100})

    current = links(place / "links")
    lib.ask("mounted input", f"Mounts.ofInput('{current}')", apptainer={"enabled": True})
    shard = f"0.tar\\t{current}/0.tar\\t1\\t2\\n"
    lib.ask("mounted shard", f"Mounts.ofShards('{shard}')", apptainer={"enabled": True})
    inside = place / "links" / "reference"
    inside.mkdir(parents=True)
    shard = f"1.tar\\t{place}/links/1.tar\\t1\\t2\\n"
    for name, given in (("alone", {}), ("beside a reference", {"dedup": True, "reference": str(inside)})):
        lib.ask(name, f"Mounts.ofShards('{shard}')", given, podman={"enabled": True})

    given = own(place)
    for engine in ENGINES:
        lib.ask(f"own of {engine}", "Mounts.ofOwn()", given, **{engine: {"enabled": True}})

    (place / "list.txt").write_text(f"\ufeff# mine\n{current}/0.tar\n\ns3://a/b.tar\n")
    (place / "shard.tar.gz").write_bytes(b"\x1f\x8b\xff" * 99)
    for name in ("list.txt", "shard.tar.gz"):
        lib.ask(name, f"Mounts.ofInput('{place}/{name}')", apptainer={"enabled": True})
    whole = task_folder(place, "stats.json", '{"readable": 3}')
    cut = task_folder(place, "times/SCORE_00000.json", '{"files": [{"name": "a"')
    lib.ask("whole", f"Tables.readable(java.nio.file.Path.of('{whole}'))")
    lib.ask("cut", f"new Published('x', null).task(java.nio.file.Path.of('{cut}'))")
    reference = place / "reference"
    for kind in ("samples", "img_emb"):
        (reference / kind).mkdir(parents=True)
    (reference / "summary.json").write_text('{"partitions": 2')
    lib.ask("cut summary", f"References.checkWhole('similar', java.nio.file.Path.of('{reference}'))")
    for name, age in (("old lock", 400), ("new lock", 100)):
        take = f"new Lock(java.nio.file.Path.of('{damaged(place / name, age)}'), 'the folder', 'x').take().release()"
        lib.ask(name, take)
    return lib.answers()


@pytest.mark.parametrize("kind", OF_TYPE)
def test_text_is_read_as_the_command_pycurate_reads_it(kind: str, said: dict[str, Any]) -> None:
    pattern, read = READ.get(kind, ("", str))
    assert said[kind] == [read(text) if pattern and re.fullmatch(pattern, text, re.ASCII) else text for text in TEXTS]


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_sets_what_it_sets_in_the_package(name: str, said: dict[str, Any]) -> None:
    every = {one.name: one.default for one in all_parameters().values()} | {"model_dir": "/m"}
    assert said[name] == with_recipe(every | {"recipe": name, "min_side": 7})


def test_folders_have_the_names_that_they_have_in_the_package(said: dict[str, Any]) -> None:
    assert said["folders"] == [run_folder(Path(), *names).name for names in NAMES]
    assert list(map(Path, said["local"])) == list(map(results_folder, FOLDERS))


def test_a_number_is_one_option_however_it_is_written(said: dict[str, Any]) -> None:
    """`pycurate run` makes 1.0 of --max-aspect 1; a task that is told so is the same to the cache."""
    told = {said[f"options {value!r}"] for value in (1, 1.0, "1", "1.00")}
    assert len(told) == 1 and "--min-side 100 --max-aspect 1" in told.pop()


def test_a_container_sees_every_link_on_the_way_to_a_shard(place: Path, said: dict[str, Any]) -> None:
    top = place / "links"
    for name in ("mounted input", "mounted shard", "list.txt"):
        mounts = said[name].split("-B ")
        for folder in ("current", "middle", "way", "real"):
            assert any(mount.startswith(f"'{top}/{folder}':") for mount in mounts), (name, folder)
    assert said["shard.tar.gz"] == f"-B '{place}':'{place}':ro"  # it is no list, as PARTITION says


def test_a_reference_changes_nothing_of_what_embed_is_told(place: Path, said: dict[str, Any]) -> None:
    assert said["alone"] == said["beside a reference"] == f"-v '{place}/links':'{place}/links':ro"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_sees_the_checkpoints_and_classes_of_ones_own(
    engine: str, place: Path, said: dict[str, Any]
) -> None:
    top = place / "own"
    names = ("a b.py", "it's.py", "local/open_clip_config.json", "local/model.bin", "blobs/0", "script.pt")
    if engine == "charliecloud":
        wanted = [str(folder) for folder in {(top / name).parent for name in names}]
    else:
        wanted = [f"{top / name}:{top / name}:ro" for name in names]
    words = shlex.split(said[f"own of {engine}"])
    assert set(words[::2]) == {OPTION.get(engine, "-B")}
    assert sorted(words[1::2]) == sorted(wanted)


def test_what_was_cut_is_named(place: Path, said: dict[str, Any]) -> None:
    assert said["whole"] == 3
    folder = place / "ab" / "c"
    cut = f"{folder}/times/SCORE_00000.json was changed after its task ended: it is no JSON; remove the folder {folder}"
    assert said["cut"] == {"fault": f"{cut} and run again with -resume"}
    reference = f"--similar '{place}/reference': its summary.json is no JSON, so it was cut or changed; copy it again"
    assert said["cut summary"] == {"fault": reference}


def test_a_lock_that_holds_nothing_readable_is_free_after_a_while(said: dict[str, Any]) -> None:
    assert said["old lock"] is None
    assert re.search("^the folder is in use by another run; .*is free in (1|2)\\d\\d s$", said["new lock"]["fault"])
