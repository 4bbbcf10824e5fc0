"""The results folder is that of the last run, each file whole: after other settings, kills and damage, for real."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from flows import LIMIT, LOCK, Flow, pycurate, tasks, wait_until
from tars import jpeg, read_tar, write_tar

from pycurate.results.manifest import LISTED, read_manifest

ANEW = {"partitions/partitions_00000.tsv", "partitions/partitions_00001.tsv", "summary.json"}
"""What every run publishes anew: PARTITION always runs, and the summary is taken away when a run begins."""


def hashes(results: Path) -> dict[str, str]:
    """SHA-256 by name of every file that a run leaves, but for what tells of the run itself and of its times."""
    files = [path for path in results.rglob("*") if path.is_file()]
    found = {path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    apart = ("pipeline_info/", "report.html", "summary.json", "manifest.tsv")
    return {name: value for name, value in found.items() if not name.startswith(apart)}


def counts(results: Path) -> dict[str, object]:
    summary = json.loads((results / "summary.json").read_text())
    return {
        name: summary[name] for name in ("inputs", "kept", "dropped", "unreadable", "shards", "written", "thresholds")
    }


def is_sound(results: Path) -> bool:
    """What `pycurate verify` says."""
    done = pycurate("verify", results)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


def identity(results: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each listed file: what was published anew has others."""
    status = {name: (results / name).stat() for name in read_manifest(results)}
    return {name: (one.st_ino, one.st_mtime_ns) for name, one in status.items()}


def test_going_back_to_earlier_settings_leaves_what_they_left(undisturbed: Flow) -> None:
    first = ("--dali_index", "true", "-resume")
    flow = undisturbed.beside("back")
    (flow.out / "curated").mkdir(parents=True)
    (flow.out / "curated" / "notes.txt").write_text("mine")
    for kind in LISTED:  # of a run of long ago
        path = kind.path(flow.out, "0000999")
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    for folder in ("", "curated", "pipeline_info"):  # of a run that was killed
        (flow.out / folder / f".pycurate-{0:016x}.tmp").write_text("half")
    notes = [flow.out / "pipeline_info" / name for name in ("parameters.yaml", "report.html", "timeline.html")]
    for path in notes:
        path.write_text("old")

    listed = pq.read_table(undisturbed.out / "samples" / "samples_00000.parquet")["sha256"][0].as_py()
    known = flow.out.parent / "known.txt"
    known.write_text(f"# known\n{listed}\n")
    block = ("--blocklist", f"sha256:{known}")
    more = ("--aesthetic_threshold", "0", "--images_per_tar", "5", "--publish_dir_mode", "copy", "-resume")
    site = flow.out.parent / "site.config"
    site.write_text("report.enabled = false\ntimeline.enabled = false\n")
    flow.succeed(*more, *block, "-c", str(site))
    assert "EMBED" not in tasks(flow, "COMPLETED")
    assert not list(flow.out.rglob(".pycurate*")) and not any(path.exists() for path in notes)
    copies = list(flow.out.glob("curated/*.tar"))
    assert len(copies) > len(list(undisturbed.out.glob("curated/*.tar")))
    assert is_sound(flow.out) and all(path.stat().st_nlink == 1 for path in copies)
    blocked = flow.out / "blocked.parquet"
    assert pq.read_table(blocked)["hash"].to_pylist() == [listed] and blocked.stat().st_mode & 0o777 == 0o600
    assert counts(flow.out)["dropped"]["blocked"] == 1  # type: ignore[index]
    off = (*block, "--dedup", "false", "--write", "false", "--publish_dir_mode", "rellink")
    site.write_text("trace.enabled = false\n")
    flow.succeed(*off, "--aesthetic_threshold", "1", "-resume", "-c", str(site))
    assert not (flow.out / "pipeline_info" / "trace.txt").exists()
    assert counts(flow.out)["kept"] == 0 and "Nothing was kept: aesthetic dropped most, " in flow.text
    assert not list(flow.out.glob("curated/*.tar")) and not (flow.out / "pairs").exists()
    assert blocked.is_symlink() and blocked.stat().st_mode & 0o777 == 0o600
    assert is_sound(flow.out) and all((flow.out / name).is_symlink() for name in read_manifest(flow.out))
    flow.succeed(*first)
    assert "WRITE" in tasks(flow, "CACHED") and "WRITE" not in tasks(flow, "COMPLETED")
    assert is_sound(flow.out) and not any((flow.out / name).is_symlink() for name in read_manifest(flow.out))
    left = hashes(flow.out)
    assert left.pop("curated/notes.txt") == hashlib.sha256(b"mine").hexdigest()
    assert left == hashes(undisturbed.out) and counts(flow.out) == counts(undisturbed.out)
    assert read_manifest(flow.out).keys() == read_manifest(undisturbed.out).keys()

    # Where nothing changed nothing is published again, be it that new tasks would work elsewhere.
    before = identity(flow.out)
    flow.succeed(*first, "-work-dir", "elsewhere")
    after = identity(flow.out)
    assert {name for name in before if before[name] != after[name]} <= ANEW


def test_a_run_killed_while_it_publishes_copies_ends_whole(elsewhere: Path, tmp_path: Path) -> None:
    large = os.urandom(1 << 20) * 600
    members = [
        ("a.jpg", jpeg(0, 640, 480)),
        ("a.bin", large),
        ("b.jpg", jpeg(1, 640, 480)),
        ("c.jpg", jpeg(2, 640, 480)),
    ]
    shard = write_tar(tmp_path / "shards" / "0.tar", members)
    options = f"--input {shard.parent} --images_per_tar 1 --aesthetic_threshold 0 --nsfw_threshold 1"
    flow = Flow(tmp_path, tuple(options.split()), outdir=str(elsewhere / "out"))
    running = flow.start()

    def in_the_middle() -> bool:
        """A copy is under way, and Nextflow's cache holds that WRITE is done, which it does at about the same time."""
        logs = flow.folder.glob(".nextflow/cache/*/db/*.log")
        noted = any(b"WRITE (0000" in log.read_bytes() for log in logs)
        return noted and any(flow.out.glob("curated/.pycurate-*.tmp"))

    wait_until(lambda: in_the_middle() or running.poll() is not None, "a copy to begin")
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (flow.out / "summary.json").exists() and not (flow.out / "manifest.tsv").exists()
    assert all((flow.out / "curated" / name).stat().st_size != 0 for name in os.listdir(flow.out / "curated"))
    assert (flow.out / LOCK).exists()  # which hinders nobody, since its process is dead

    flow.succeed("-resume")
    assert "WRITE" in tasks(flow, "CACHED")
    assert is_sound(flow.out) and not list(flow.out.rglob(".pycurate*"))
    assert [member[:2] for tar in sorted(flow.out.glob("curated/*.tar")) for member in read_tar(tar)] == members
    assert all(path.stat().st_nlink == 1 for path in flow.out.glob("curated/*"))

    # What a copying that was cut short leaves without a rename; and a file that was changed.
    before = identity(flow.out)
    os.truncate(flow.out / "curated" / "00000.tar", 1 << 20)
    (flow.out / "decisions.parquet").write_bytes(bytes((flow.out / "decisions.parquet").stat().st_size))
    assert not is_sound(flow.out)
    flow.succeed("-resume")
    assert is_sound(flow.out)
    after = identity(flow.out)
    again = {name for name in before if before[name][0] != after[name][0]}
    assert again == {"curated/00000.tar", "decisions.parquet", *ANEW} - {"partitions/partitions_00001.tsv"}


def test_a_run_removes_what_a_killed_refilter_left(undisturbed: Flow) -> None:
    flow = undisturbed.beside("refiltered")
    shutil.copytree(undisturbed.out, flow.out)
    before = set(os.listdir(flow.out))
    command: list[str | Path] = [Path(sys.executable).parent / "pycurate", "refilter", flow.out, "--write", flow.out]
    running = subprocess.Popen(command, env=flow.env)
    # Its folder has links to the tables by then, which are no part of what is to be removed.
    wait_until(lambda: any(flow.out.glob(".*/samples")) or running.poll() is not None, "refilter to begin")
    running.kill()
    assert running.wait() == -signal.SIGKILL and set(os.listdir(flow.out)) > before
    flow.succeed("-resume")
    assert set(os.listdir(flow.out)) == before and is_sound(flow.out)


def test_a_task_s_file_that_was_cut_later_is_named(undisturbed: Flow, tmp_path: Path) -> None:
    flow = replace(undisturbed.beside("cut"), options=(*undisturbed.options, "--images_per_tar", "7"))
    running, samples = flow.start("-resume"), flow.out / "samples" / "samples_00000.parquet"
    wait_until(lambda: samples.exists() or running.poll() is not None, "a file to be published")
    samples.unlink()  # before WRITE has begun
    assert running.wait(LIMIT) == 1
    assert f"of the files that this run published, 1 are gone, such as {samples}; let nothing else" in flow.text
    assert not (flow.out / "summary.json").exists() and not (flow.out / "manifest.tsv").exists()
    flow.succeed("-resume")

    def remove_folder_of(name: str) -> str:
        """Resume, and remove the folder that is named for this file; what else is said of it."""
        assert flow.run("-resume") == 1, flow.text
        assert not (flow.out / "summary.json").exists()
        named, *_ = re.findall(rf"{name} was changed after its task ended(.*); remove the folder (\S+) and", flow.text)
        shutil.rmtree(named[1])
        return str(named[0])

    (flow.out / "report.html").write_text("edited")  # whose hash no task has recorded
    assert remove_folder_of("report.html") == ""
    tar = flow.out / "curated" / "00001.tar"
    assert tar.stat().st_nlink == 2
    size = tar.stat().st_size
    os.truncate(tar, size // 2)  # and with it the task's, to which it is a link
    assert remove_folder_of("00001.tar") == f": it has {size // 2} bytes of {size}"
    # Nor can anything take a name that is a folder's.
    (flow.out / "uids_kept.npy").unlink()
    (flow.out / "uids_kept.npy" / "mine").mkdir(parents=True)
    assert flow.start("-resume").wait(LIMIT) == 1
    assert "uids_kept.npy cannot be published" in flow.text
    shutil.rmtree(flow.out / "uids_kept.npy")
    flow.succeed("-resume")
    assert is_sound(flow.out) and tar.stat().st_size == size
    next(path for path in flow.work.rglob(tar.name) if path.samefile(tar)).unlink()
    assert remove_folder_of("00001.tar") == ": it is gone"


def test_an_image_that_changed_since_it_was_embedded_is_named(undisturbed: Flow, shards: Path, tmp_path: Path) -> None:
    shard = Path(shutil.copy2(shards / "00000.tar", tmp_path))
    flow = Flow(tmp_path / "run", (*undisturbed.options, "--input", str(shard)))
    flow.succeed()
    before, times = shard.read_bytes(), shard.stat()
    samples = pq.read_table(flow.out / "samples" / "samples_00000.parquet").to_pylist()
    kept = pq.read_table(flow.out / "decisions.parquet", filters=[("kept", "=", True)])["uid"].to_pylist()
    image = next(sample for sample in samples if sample["uid"] == kept[3])
    middle = image["offset"] + image["size"] // 2
    changed = bytearray(before)
    changed[middle] ^= 1
    shard.write_bytes(changed)
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))

    said = f"In shard 00000.tar, the image of '{image['key']}' is not the one that was embedded"
    done = pycurate("refilter", flow.out, "--write", tmp_path / "anew")
    assert done.returncode == 1 and said in " ".join(done.stderr.split())
    assert not (tmp_path / "anew" / "curated").exists()
    assert flow.run("--images_per_tar", "7", "-resume") == 1
    assert said in flow.text and not (flow.out / "summary.json").exists()

    shard.write_bytes(before)  # with a time stamp of its own
    flow.succeed("--images_per_tar", "7", "-resume")
    tars = {path.name: path.read_bytes() for path in flow.out.glob("curated/*.tar")}
    shard.touch()
    done = pycurate("refilter", flow.out, "--write", tmp_path / "anew")
    assert done.returncode == 0 and "had been embedded: 1 shard, such as 00000.tar" in " ".join(done.stderr.split())
    assert {path.name: path.read_bytes() for path in (tmp_path / "anew").glob("curated/*.tar")} == tars != {}
    assert "data:image/jpeg" in (tmp_path / "anew" / "report.html").read_text()


def test_what_a_run_makes_beneath_its_input_is_no_input(undisturbed: Flow, shards: Path, tmp_path: Path) -> None:
    flow = Flow(tmp_path, (*undisturbed.options, "--input", str(tmp_path)))
    flow.out.mkdir()
    shutil.copy2(shards / "00000.tar", tmp_path)
    shutil.copy2(shards / "00001.tar", flow.out / "odd.tar")  # only that it lies in --outdir tells that it is no input
    flow.succeed("--aesthetic_threshold", "0")
    assert f"'{flow.out}' is left out (1 .tar): it contains the output of a run." in flow.text
    first = counts(flow.out)
    assert first["shards"] == 1 and list((flow.out / "curated").glob("*.tar"))
    flow.succeed("--aesthetic_threshold", "0", "-resume")  # now tars lie in the work folder and in curated/, too
    left = [line.partition("' is left out")[0] for line in flow.text.splitlines() if "is left out" in line]
    assert sorted(left) == [f"'{flow.out}", f"'{flow.work}"]  # one line each, however many tasks there were
    assert counts(flow.out) == first and not tasks(flow, "COMPLETED") & {"EMBED", "WRITE"}


def test_a_reference_that_is_not_whole_or_of_another_encoder_is_named(undisturbed: Flow, tmp_path: Path) -> None:
    flow = undisturbed.beside("compared")
    partial = tmp_path / "partial"
    shutil.copytree(undisturbed.out, partial)
    (partial / "samples" / "samples_00001.parquet").unlink()
    assert flow.run("--reference", str(partial), "-resume") == 1
    assert f"--reference '{partial}': lacks 1 of its 2 partitions: no samples file for 00001; let the run" in flow.text
    assert "Submitted" not in flow.text and not flow.out.exists()
    (partial / "summary.json").unlink()  # as a run that goes on or was killed has none
    assert flow.run("--leakage", f"part={partial}", "-resume") == 1
    assert f"--leakage '{partial}': has no summary.json, since the run that writes it has not ended" in flow.text
    assert "Submitted" not in flow.text and not flow.out.exists()
    other = tmp_path / "other"
    shutil.copytree(undisturbed.out, other)
    for path in (other / "samples").iterdir():  # as an encoder of the same width but other weights would have left them
        table = pq.read_table(path)
        stated = {name: value.replace(b"LightCopy", b"HeavyCopy") for name, value in table.schema.metadata.items()}
        pq.write_table(table.replace_schema_metadata(stated), path)
    assert flow.run("--reference", str(other), "-resume") == 1
    assert re.search(
        rf"The reference {other} was embedded by .*HeavyCopy.* embed both with the same encoder", flow.text
    )
    assert not (flow.out / "summary.json").exists()
