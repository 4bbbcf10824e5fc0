"""`pycurate estimate` counts what EMBED counts, bounds what it did not read, names what is amiss, and adds up."""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats
import torch
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from tars import Member, jpeg, write_tar

from pycurate.cli.main import main
from pycurate.estimate.findings import findings
from pycurate.estimate.plan import DEDUP_BYTES, DEDUP_SECONDS, Defaults, Machine, make_estimate, makespan
from pycurate.estimate.sampling import Interval, student, total
from pycurate.estimate.survey import Survey, stratum, survey
from pycurate.estimate.trial import RUNS, Run, bytes_per_row, find_pace, make_pieces
from pycurate.images.decode import MAX_PIXELS
from pycurate.images.views import View
from pycurate.models.builtin.efficientnet import EfficientNetLite0
from pycurate.results.layout import path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.tables import read_table
from pycurate.shards.count import HUGE, SKETCH, ShardCount, count
from pycurate.shards.listing import Shard, find_shards
from pycurate.stages.embed import LoaderOptions, embed_partition
from pycurate.text import size

DEFAULTS = Defaults.read()
ONLY_DECODING_TELLS = {"truncated", "corrupt", "too_large"}  # the last of them by its pixels


class MeanColour:
    """An encoder for tests that are about counts."""

    name, dim, view = "mean", 3, View(8, 8)

    def __init__(self, model_dir: Path, device: str) -> None: ...

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean(dim=(2, 3))


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["estimate", *(str(argument) for argument in arguments)])


@pytest.mark.parametrize("name", ["demo", "shared_images"])
def test_counts_are_those_of_embed(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shards = find_shards(str(request.getfixturevalue(name)))
    write_partitions(tmp_path, [shards])
    options = LoaderOptions.fill(None, "cpu", 100, MAX_PIXELS, None)
    embed_partition(tmp_path, "00000", MeanColour(tmp_path, "cpu"), [], options)
    rows = read_table(path_of(tmp_path, "samples", "00000"), ["shard", "error", "format", "caption"]).to_pylist()

    held = survey(shards, None)
    assert held.samples == Interval(len(rows), len(rows), len(rows))
    by_shard = Counter(row["shard"] for row in rows)
    assert {one.shard.name: one.samples for one in held.counts} == by_shard
    told = Counter(row["error"] for row in rows if row["error"] and row["error"] not in ONLY_DECODING_TELLS)
    assert sum((one.errors for one in held.counts), Counter[str]()) == told
    images = len(rows) - told.total()
    assert held.images == Interval(images, images, images)
    formats = sum((one.formats for one in held.counts), Counter[str]())
    assert +Counter({key: number for key, number in formats.items() if key}) == Counter(
        row["format"] for row in rows if row["format"]
    )


def made_shards(folder: Path, shards: int, seed: int) -> list[Shard]:
    """Shards of very different numbers of samples, and of samples of very different sizes."""
    source = random.Random(seed)
    for shard in range(shards):
        size = source.lognormvariate(6, 0.4)
        samples = [
            (f"{shard}-{at}.jpg", b"\xff\xd8\xff" + b"x" * int(size * source.lognormvariate(0, 0.5)))
            for at in range(source.randint(3, 60))
        ]
        write_tar(folder / f"{shard:05}.tar", samples)
    return find_shards(str(folder))


def test_a_sample_of_shards_bounds_the_true_count(tmp_path: Path) -> None:
    shards = made_shards(tmp_path, 90, seed=1)
    truth = survey(shards, None)
    part = survey(shards, 10)
    assert truth.samples.low == truth.samples.high and len(part.counts) == 10
    assert part.samples.low < truth.samples.value < part.samples.high
    assert [one.shard for one in part.counts] == [one.shard for one in survey(shards, 10).counts]
    assert survey(shards, 90).samples == truth.samples


@pytest.mark.parametrize("read", [10, 20, 45])
def test_intervals_cover_the_truth_as_often_as_they_say(tmp_path: Path, read: int) -> None:
    counts = [count(shard) for shard in made_shards(tmp_path, 90, seed=1)]
    shards = [one.shard for one in counts]
    truth = sum(one.samples for one in counts)
    source = random.Random(0)
    intervals = [total([stratum(shards, source.sample(counts, read), "samples")]) for _ in range(2000)]
    covered = sum(interval.low <= truth <= interval.high for interval in intervals) / len(intervals)
    assert 0.93 <= covered <= 0.98
    # And they are of use: their mean half width is below what a mean per shard would give.
    half = np.mean([(interval.high - interval.low) / 2 for interval in intervals])
    blind = 1.96 * len(shards) * np.std([one.samples for one in counts]) * np.sqrt((1 - read / 90) / read)
    assert half < 0.7 * blind


def test_shards_that_are_no_tars_do_not_spoil_the_estimate(tmp_path: Path) -> None:
    """They hold one row each whatever their size, are told by their first header, and so are counted apart."""
    shards = made_shards(tmp_path, 60, seed=2)
    for shard in shards[::7]:
        shard.path.write_bytes(b"<html>" * 2000)
    shards[3].path.write_bytes(b"")
    shards = find_shards(str(tmp_path))
    truth, part = survey(shards, None), survey(shards, 20)
    assert part.not_tars == truth.not_tars == 9
    assert part.samples.low <= truth.samples.value <= part.samples.high
    assert sum(one.errors["not_a_tar"] for one in part.counts) == 10


@pytest.mark.parametrize("degrees", [7, 9, 19, 49, 199])
def test_quantiles_are_those_of_students_distribution(degrees: int) -> None:
    assert student(degrees) == pytest.approx(scipy.stats.t.ppf(0.975, degrees), abs=1e-4)


def found(folder: Path) -> dict[str, int]:
    shards = find_shards(str(folder))
    return {finding.what: finding.count for finding in findings(survey(shards, None), DEFAULTS.partition_bytes)}


def sound(prefix: str, samples: int = 6) -> list[Member]:
    return [
        (f"{prefix}{at}.{ext}", data) for at in range(samples) for ext, data in (("jpg", jpeg(at)), ("txt", b"a cat"))
    ]


def test_nothing_is_said_of_an_input_without_fault(tmp_path: Path) -> None:
    for shard in range(3):
        write_tar(tmp_path / f"{shard}.tar", sound(f"{shard}-"))
    assert found(tmp_path) == {}


def test_each_trouble_of_shards_is_named(tmp_path: Path) -> None:
    for shard in range(6):
        write_tar(tmp_path / f"{shard}.tar", sound(f"{shard}-"))
    whole = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes((tmp_path / "1.tar").read_bytes()[:5000])
    hole = whole.index(b"0-2.jpg")  # a header begins with the name
    (tmp_path / "holed.tar").write_bytes(whole[:hole] + b"\xff" * 512 + whole[hole + 512 :])
    (tmp_path / "page.tar").write_bytes(b"<html>" * 2000)
    (tmp_path / "packed.tar").write_bytes(b"\x1f\x8b" + whole[:3000])
    (tmp_path / "nothing.tar").write_bytes(b"")
    write_tar(tmp_path / "folder_only.tar", [("readme", b"no sample has a name without a dot")])
    write_tar(tmp_path / "large.tar", sound("large", 60))
    said = found(tmp_path)
    repeated = [what for what in said if "keys" in what]
    assert len(repeated) == 1 and said.pop(repeated[0]) > 0  # the cut and the holed shard are copies
    assert said == {
        "shards are empty files": 1,
        "shards do not begin like a tar": 2,
        "shards are cut or damaged up to their end": 1,
        "shards are damaged inside": 1,
        "shards are tars without a sample": 1,
        "shards have over 4 times the median's bytes": 1,
    }


def test_a_shard_that_cannot_be_read_stops_the_run_and_says_so(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", sound("0-"))
    gone = Shard("gone.tar", tmp_path / "gone.tar", 1000)
    held = survey([*find_shards(str(tmp_path)), gone], None)
    (finding,) = findings(held, DEFAULTS.partition_bytes)
    assert finding.fatal and finding.what == "shards cannot be read" and held.samples.value == 6


def test_each_trouble_of_samples_is_named(tmp_path: Path) -> None:
    webp = b"RIFF\x10\0\0\0WEBPVP8 "
    heic, jxl = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\xff\x0a\xfa\x1f"
    members = [
        *sound("a", 9),
        ("text.txt", b"no image"),
        ("two.jpg", jpeg(1)),
        ("two.png", jpeg(2)),
        ("page.jpg", b"<html>"),
        ("void.jpg", b""),
        ("phone.heic", heic),
        ("new.jxl", jxl),
        ("renamed.jpg", webp),
        ("bare.jpg", jpeg(3)),
        ("huge.jpg", jpeg(4) + bytes(HUGE)),
        ("huge.json", b"{}"),
    ]
    write_tar(tmp_path / "0.tar", members)
    assert found(tmp_path) == {
        "samples have no image": 1,
        "samples have several images, or a key that came before in the shard": 1,
        "samples have an image that begins like none (HTML, say)": 1,
        "samples have an image of 0 bytes": 1,
        "samples are stored in a way that is not decoded: heic jxl": 2,
        "images are of another format than their name says": 1,
        "samples lack the caption that most have": 2,
        f"samples have over {HUGE // 10**6} MB": 1,
    }


def test_keys_that_come_again_in_another_shard_are_named(tmp_path: Path) -> None:
    for shard in range(3):
        write_tar(tmp_path / f"{shard}.tar", [(f"{at:05}.jpg", b"\xff\xd8\xff") for at in range(SKETCH * 2)])
    write_tar(tmp_path / "other.tar", [(f"other{at:05}.jpg", b"\xff\xd8\xff") for at in range(SKETCH)])
    assert found(tmp_path) == {"keys looked at stand in several shards": 3 * SKETCH}


def test_the_trial_takes_whole_samples_at_random(shared_images: Path, tmp_path: Path) -> None:
    counts = [count(shard) for shard in find_shards(str(shared_images))]
    pieces = make_pieces(counts, tmp_path, 30)
    assert [images for _, images in pieces] == [30, 30, 30, 10]
    taken = [count(shard) for shard, _ in pieces]
    assert [one.images for one in taken] == [30, 30, 30, 10]
    assert sum((one.errors for one in taken), Counter[str]()) == Counter()
    assert sorted(np.concatenate([one.keys for one in taken])) == sorted(np.concatenate([one.keys for one in counts]))


@given(rate=st.floats(1, 5000), start=st.floats(0, 3), cold=st.floats(0, 10), seconds=st.floats(1, 60))
def test_the_pace_is_found_whatever_the_start_costs(rate: float, start: float, cold: float, seconds: float) -> None:
    spent: list[float] = []

    def run(batches: int) -> Run:
        images = 20 * batches
        spent.append(start + images / rate + (0 if spent else cold))
        return Run(images, spent[-1])

    pace = find_pace(run, seconds)
    # Where the start takes nearly all of a run the rate is bounded, not known.
    if (pace.last.images - 20) / rate > 0.101 * pace.last.seconds:
        assert pace.rates == pytest.approx([rate] * RUNS)
        assert pace.first == pytest.approx(start + cold, abs=1e-6)
    assert all(0 < one <= rate * (1 + 1e-9) for one in pace.rates)
    assert sum(spent[2:]) <= 1.5 * seconds + 2 * RUNS * (start + 40 / rate)


@given(st.lists(st.floats(0, 100), max_size=30), st.integers(1, 10))
def test_tasks_end_no_sooner_than_their_work_allows_and_no_later_than_needed(
    seconds: list[float], workers: int
) -> None:
    longest = max(seconds, default=0)
    end = makespan(seconds, workers)
    assert max(longest, sum(seconds) / workers) <= end * (1 + 1e-9) + 1e-9
    assert end <= sum(seconds) / workers + longest + 1e-6


def planned(shards: int, gpus: list[int], machine: Machine) -> Any:
    """The plan of so many shards of 1 GB and 10,000 images, of which the number is known to a tenth."""
    held = [Shard(f"{at:05}.tar", Path("x"), 10**9) for at in range(shards)]
    images = Interval(shards * 1e4, shards * 0.9e4, shards * 1.1e4)
    read = [ShardCount(held[0], 10_000, 10_000, formats=Counter({"jpeg": 9_000, "png": 1_000}))]
    return make_estimate(Survey(held, 0, read, images, images), machine, gpus, DEFAULTS)


def test_a_plan_adds_up() -> None:
    plan = planned(800, [1, 8, 1000], Machine(Interval(500, 400, 600), 512, cores=8))
    assert (plan.tasks.count, plan.tasks.images, plan.tasks.seconds) == (200, 40_000, 80)
    assert plan.minutes_tasks.count == 5  # of 1,800,000 images, thus 180 shards
    one, eight, many = plan.times
    assert (one.embed.value, one.embed.low, one.embed.high) == pytest.approx((16_000, 12_000, 22_000))
    assert eight.embed.value == pytest.approx(2_000)
    assert many.embed.value == pytest.approx(80)  # no more GPUs than tasks
    assert one.dedup.value == pytest.approx(8e6 * DEDUP_SECONDS / 8)
    assert eight.dedup.value == pytest.approx(one.dedup.value / 8)
    assert one.all.value == pytest.approx(one.embed.value + one.dedup.value)
    assert (one.score, one.write) == (None, None)  # nothing was measured
    assert plan.disk.embeddings.value == 8e6 * 512 * 2
    assert plan.disk.output == 800e9
    assert plan.formats == {"jpeg": 0.9, "png": 0.1}


def test_the_figures_of_the_search_are_those_of_its_document(root: Path) -> None:
    text = (root / "docs" / "dedup.md").read_text()
    measured = re.search(r"^\| 0\.95 \|.*? ([\d.]+) cpu-s", text, re.M)
    hours = re.search(r"20 core hours.*?50 core hours", text, re.S)
    assert measured and hours
    assert float(measured[1]) / 200_000 == pytest.approx(DEDUP_SECONDS, rel=0.05)
    assert pytest.approx(DEDUP_SECONDS, rel=0.05) == 70 * 3600 / 1e9
    assert f"| 16.0 | {DEDUP_BYTES} |" in text


def test_bytes_per_row_tell_the_size_of_a_file(tmp_path: Path) -> None:
    source = random.Random(0)
    table = pa.table({"uid": [f"{source.getrandbits(128):032x}" for _ in range(20_000)]})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    assert bytes_per_row(table) * 20_000 == pytest.approx((tmp_path / "t.parquet").stat().st_size, rel=0.01)
    assert bytes_per_row(table.slice(0, 0)) == 0


@pytest.fixture(scope="module")
def tried(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The whole command on the demo's shards, as a process, with a short trial."""
    temporary = tmp_path_factory.mktemp("tried")
    options = ["--input-path", str(demo), "--seconds", "2", "--gpus", "1,4", "--device", "cpu", "--json"]
    command = [sys.executable, "-m", "pycurate.cli.main", "estimate", *options]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(temporary)})
    assert done.returncode == 0, done.stderr
    assert list(temporary.glob("pycurate*")) == []  # the trial leaves nothing behind
    return done


def test_the_command_measures_this_machine(tried: subprocess.CompletedProcess[str], demo: Path) -> None:
    plan = json.loads(tried.stdout)
    trial, rate = plan["machine"]["trial"], plan["machine"]["rate"]
    assert (plan["samples"]["value"], plan["shards"], plan["no_trial"]) == (303, 8, None)
    assert len(trial["rates"]) == 3 and 0 < rate["low"] <= rate["value"] <= rate["high"]
    assert trial["dim"] == EfficientNetLite0.dim and trial["gpu_memory"] is None
    assert trial["memory"] > 200e6  # torch alone
    assert 0 < trial["plain_start"] < trial["start"] < trial["embed_start"]
    assert trial["plain_start"] <= trial["score_start"] < trial["start"]  # `light` scores nothing by torch
    assert set(trial["tables"]) == {"samples", "metadata", "measures", "scores", "decisions", "plan"}
    # A uid is 16 random bytes, written as 32 digits.
    assert all(size > 16 for size in trial["tables"].values())
    assert plan["disk"]["embeddings"]["value"] == plan["images"]["value"] * trial["dim"] * 2
    one, four = plan["times"]
    assert one["all"]["value"] == pytest.approx(
        sum(one[stage]["value"] for stage in ("embed", "score", "dedup", "write"))
    )
    assert one["embed"]["value"] == pytest.approx(
        trial["embed_start"] + plan["images"]["value"] / rate["value"]
    )  # one task
    assert four["embed"] == one["embed"]


def test_the_text_fits_a_terminal(demo: Path) -> None:
    done = call("--input-path", demo, "--images-per-second", 500)
    lines = done.stdout.splitlines()
    assert done.exit_code == 0 and 15 < len(lines) <= 40
    assert all(len(line) <= 125 for line in lines)
    assert "  samples   303" in lines
    assert "500 images/s, as given" in done.stdout


def test_numbers_from_a_sample_come_with_their_bounds(tmp_path: Path) -> None:
    made_shards(tmp_path, 30, seed=4)
    done = call("--input-path", tmp_path, "--images-per-second", 500, "--shards", 10)
    assert re.search(r"samples   about [\d,]+ \(95 % interval [\d,]+ to [\d,]+\)", done.stdout)
    assert "headers read of 10" in done.stdout and "25.9 % of all may not show" in done.stdout
    everything = call("--input-path", tmp_path, "--images-per-second", 500, "--shards", 10, "--all")
    assert "headers read of all" in everything.stdout and "interval" not in everything.stdout


def test_without_weights_it_says_how_to_fetch_them_and_goes_on(shared_images: Path, tmp_path: Path) -> None:
    done = call("--input-path", shared_images, "--preset", "clip-b32", "--model-dir", tmp_path)
    assert done.exit_code == 0
    assert f"fetch --encoder ViT-B-32/openai --model-dir {tmp_path}" in done.stdout
    assert f"embeddings  {size(100 * 512 * 2)}" in done.stdout  # known without weights


def test_a_trial_that_is_killed_is_a_failure(shared_images: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("import os\n\nclass Greedy:\n    def __init__(self, *_):\n        os.kill(os.getpid(), 9)\n")
    done = call("--input-path", shared_images, "--encoder", f"{own}:Greedy", "--device", "cpu")
    assert done.exit_code == 1 and "was killed" in done.stderr


def test_wrong_use_leaves_with_2(shared_images: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["--input-path", tmp_path / "none"], "matches no file"),
        (["--input-path", shared_images, "--gpus", "1,x"], "--gpus is '1,x'"),
        (["--input-path", shared_images, "--gpus", "0"], "--gpus is '0'"),
        (["--input-path", shared_images, "--preset", "heavy"], "'heavy' is not one of 'light', 'clip-b32'"),
        (["--input-path", shared_images, "--shards", "3"], "3 is not in the range"),
    ):
        done = call(*arguments)
        assert done.exit_code == 2 and said in done.stderr, arguments
    write_tar(tmp_path / "0.tar", [("a.txt", b"text")])
    done = call("--input-path", tmp_path)
    assert done.exit_code == 2 and "contains an image, only errors: no_image." in done.stderr


def test_help_fits_a_screen() -> None:
    assert len(call("--help").stdout.splitlines()) <= 40
