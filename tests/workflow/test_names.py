"""Names are data: shards and folders that are called like commands and patterns run, hide and lose nothing."""

import json
import os
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from flows import ROOT, Flow, environment, refused
from tars import jpeg, read_tar, write_tar

from pycurate.errors import UsageError
from pycurate.results.partitions import read_partition, write_partitions
from pycurate.shards.listing import find_shards

# Each would leave a file PWN... somewhere if a shell read it.
COMMANDS = [
    "${x=`touch PWN1`}${x@P}",
    "$(touch PWN2)",
    "`touch PWN3`",
    "a;touch PWN4;",
    "a&touch PWN5&",
    "a|touch PWN6",
    "a' $(touch PWN7) '",
    'a" $(touch PWN8) "',
    "a\\$(touch PWN9)",
    "a>PWN10",
    "x\u2028touch PWN11\u2028",
    "!touch PWN12",
    "-e $(touch PWN13)",
    "#$(touch PWN14)",
    "END OF PARTITION",
]
ODD = [
    *(
        "a1",
        "a[1]",
        "*",
        "?",
        "{0..2}",
        "{a,b}",
        "~",
        "%s%n",
        " blank ",
        "\x01\x1b[31m",
        "\x0b\x0c\x1c\x85",
        "\u202egpj",
    ),
    *("\N{PILE OF POO}\u00e9", "n" * 251, "--help", "$HOME", "<&>", "\\", "\\n"),
]


def make_shards(folder: Path) -> dict[str, dict[str, bytes]]:
    """A shard of one sample under each name, some of them in folders of such names: {shard: {member: bytes}}."""
    made = {}
    for number, name in enumerate([*COMMANDS, *ODD, *(f"{name}/{name}" for name in COMMANDS[:3])]):
        members = [(f"{number:03}.jpg", jpeg(number, 320, 240)), (f"{number:03}.txt", name.encode())]
        write_tar(folder / f"{name}.tar", members)
        made[f"{name}.tar"] = dict(members)
    return made


def marks(*folders: Path) -> list[Path]:
    """The files that a command would have made."""
    return [path for folder in folders for path in folder.rglob("PWN*") if path.suffix != ".tar"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place whose own name is as bad as those that it holds."""
    place = tmp_path_factory.mktemp("names") / "in[1]{x} $(touch PWN20)"
    place.mkdir()
    return place


def test_no_name_runs_a_command_or_hides_a_shard(folder: Path) -> None:
    made = make_shards(folder / "shards")
    place = folder.parent
    work = place / "wo'rk (1) & ;touch PWN21;"
    models = place / "mo'dels | touch PWN22"
    outdir = "o\"ut $(touch PWN23) `touch PWN24` * [1] {a} ;'"
    reference = folder / "refer*ence"
    write_tar(reference / "$(touch PWN25).tar", [("r.jpg", made["a1.tar"]["015.jpg"])])
    options = ["--input", str(folder / "shards"), "--model_dir", str(models), "-work-dir", str(work)]
    options += [
        "--dedup",
        "true",
        "--dedup_threshold",
        "0.9999",
        "--reference",
        str(reference),
        "--aesthetic_threshold",
        "0",
        "--nsfw_threshold",
        "1",
    ]
    flow = Flow(place / "launch", tuple(options), outdir=outdir)
    flow.succeed("--partition_bytes", "200000")
    rows = pq.read_table(flow.out / "decisions.parquet").to_pylist()
    assert {row["shard"] for row in rows} == made.keys()
    summary = json.loads((flow.out / "summary.json").read_text())
    assert summary["inputs"] == len(made) == summary["kept"] + sum(summary["dropped"].values())
    assert [row["shard"] for row in rows if row["reason"] == "duplicate_reference"] == ["a1.tar"]
    kept = {row["key"] for row in rows if row["kept"]}
    left = {name: data for tar in (flow.out / "curated").glob("*.tar") for name, data, _ in read_tar(tar)}
    came = {name: data for members in made.values() for name, data in members.items() if name[:3] in kept}
    assert left == came and len(kept) > 20
    assert (flow.out / "report.html").read_text().count("data:image/jpeg") > 0
    assert not marks(place, ROOT / "bin", ROOT / "modules") and not list(ROOT.glob("PWN*"))

    # Nothing changed: nothing is embedded again. A shard that changed embeds its partition again, and is let in.
    changed = folder / "shards" / "a1.tar"
    os.utime(changed, ns=(0, changed.stat().st_mtime_ns + 5))
    flow.succeed("--partition_bytes", "200000", "-resume")
    trace = (flow.out / "pipeline_info" / "trace.txt").read_text().splitlines()
    states = [line.split("\t")[4] for line in trace if line.split("\t")[3].startswith("EMBED ")]
    assert states.count("COMPLETED") == 1 and "CACHED" in states


def test_paths_that_nextflow_gives_to_a_shell_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("ref$(touch PWN30)", "models`touch PWN31`"):
        (tmp_path / name / "samples").mkdir(parents=True)
        (tmp_path / name / "img_emb").mkdir()
        (tmp_path / name / "samples" / "samples_00000.parquet").touch()
        (tmp_path / name / "img_emb" / "img_emb_00000.npy").touch()
    options = ["--input", str(tmp_path / "in"), "--dedup", "true", "--reference", str(tmp_path / "ref$(touch PWN30)")]
    options += [
        "--model_dir",
        str(tmp_path / "models`touch PWN31`"),
        "-work-dir",
        str(tmp_path / "work*$(touch PWN32)"),
    ]
    (tmp_path / "launch").mkdir()
    said = refused(tmp_path / "launch", *options)
    assert "the work folder '" in said and "contains '*' '$'" in said and "choose another with -work-dir" in said
    said = refused(tmp_path / "launch", *options[:-2], "--outdir", "out")
    assert "--reference '" in said and "--model_dir '" in said and "contains '`'" in said
    assert not (tmp_path / "launch" / "out" / "summary.json").exists()
    assert not marks(tmp_path)


@pytest.mark.parametrize("name", [b"a\tb", b"a\nb", b"a\rb", b"a\xffb"])
@pytest.mark.parametrize("place", ["shard", "folder"])
def test_what_no_line_can_hold_is_refused_in_one_sentence(tmp_path: Path, name: bytes, place: str) -> None:
    bad = os.fsencode(tmp_path) + b"/" + name
    path = os.fsdecode(bad + (b".tar" if place == "shard" else b"/x.tar"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_bytes(b"x")
    said = subprocess.run(
        [str(ROOT / "bin" / "partition.py"), "--results", tmp_path / "r", "--input", tmp_path],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert said.returncode == 2 and said.stderr.count("\n") == 1
    assert "rename it" in said.stderr and ascii(os.fsdecode(name))[1:-1] in said.stderr


def shown(text: object) -> set[str]:
    return {shard.name for shard in find_shards(str(text))}


def test_every_form_of_input_takes_names_as_they_are(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "in[1]{x}"
    every = set(make_shards(root))
    top = {name for name in every if "/" not in name}
    assert shown(root) == every
    assert shown(root / "*.tar") == top  # also where a shard is called *.tar
    for name in top - {"*.tar", "?.tar", "{a,b}.tar"}:
        assert shown(root / name) == {name}
    (tmp_path / "list.txt").write_text("".join(f"{root.name}/{name}\n" for name in top), encoding="utf-8", newline="\n")
    assert shown(tmp_path / "list.txt") == {f"{root.name}/{name}" for name in top}
    write_partitions(tmp_path, [find_shards(str(root))])
    assert read_partition(tmp_path, "00000") == find_shards(str(root))


def test_a_shard_called_like_a_pattern_hides_nothing(tmp_path: Path) -> None:
    for name in ("0", "1", "{0..1}", "*"):
        (tmp_path / f"{name}.tar").write_bytes(b"x")
    every = {"0.tar", "1.tar", "{0..1}.tar"}
    assert shown(tmp_path / "{0..1}.tar") == every
    assert shown(tmp_path / "*.tar") == every | {"*.tar"}
    (tmp_path / "list.txt").write_text("*.tar\n")
    with pytest.raises(UsageError, match="matches 3 more"):
        find_shards(str(tmp_path / "list.txt"))


def test_partition_files_of_earlier_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / "partitions").mkdir()
    (tmp_path / "partitions" / "partitions_00000.tsv").write_text('a".tar\t/x/a".tar\t12\n')
    (shard,) = read_partition(tmp_path, "00000")
    assert (shard.name, shard.bytes, shard.modified) == ('a".tar', 12, None)


@pytest.mark.parametrize("engine", ["docker", "podman", "apptainer", "singularity", "charliecloud"])
def test_each_engine_is_told_to_mount_the_shards(tmp_path: Path, engine: str) -> None:
    """What PARTITION's command would tell the engine, seen by a stub of it: folders, and names of variables."""
    folder = tmp_path / "in [1] $(touch PWN40) '"
    elsewhere = tmp_path / "else`touch PWN41`where"
    write_tar(elsewhere / "x.tar", [("a.jpg", jpeg(0))])
    folder.mkdir()
    (folder / "x.tar").symlink_to(elsewhere / "x.tar")
    tools = tmp_path / "tools"
    tools.mkdir()
    command = "ch-run" if engine == "charliecloud" else engine
    (tools / command).write_text(f"#!/bin/bash\nprintf '%s\\0' \"$@\" > {tmp_path}/said.$$\nexit 7\n")
    (tools / command).chmod(0o755)
    secret = "t0p/s3cret"
    more = {"PATH": f"{tools}:{os.environ['PATH']}", "NXF_OFFLINE": "true", "AWS_SECRET_ACCESS_KEY": secret}
    more["ALL_PROXY"] = f"socks5://me:{secret}@127.0.0.1:9"
    env = environment({**os.environ, **more})
    known = tmp_path / "known"
    known.mkdir()
    (known / "list.txt").write_text("0" * 32)
    (tmp_path / "shards.txt").write_text(f"{folder.name}\n", encoding="utf-8-sig")
    options = ["--input", f"{tmp_path}/shards.txt", "--model_dir", str(tmp_path / "models")]
    options += ["--container", "/images/here/pycurate"]
    options += ["--blocklist", f"md5:{known}/list.txt"]
    flow = Flow(tmp_path / "launch", (*options, "-profile", engine), env)
    assert flow.run() != 0
    told = [path.read_bytes().decode().split("\0") for path in tmp_path.glob("said.*")]
    for place in (folder, elsewhere, known):
        mount = f"{place}" if engine == "charliecloud" else f"{place}:{place}:ro"
        assert any(mount in words for words in told), (flow.text, told)
    commands = "".join(path.read_text() for path in flow.work.rglob(".command.*") if path.is_file())
    assert "AWS_SECRET_ACCESS_KEY" in commands and "ALL_PROXY" in commands
    assert secret not in commands  # they are handed on by name
    assert "--model-dir model_dir/light" in commands  # as a message of what is missing there is to be read
    assert not marks(tmp_path)
