"""PARTITION cuts groups of about equal bytes, in order."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tars import jpeg, write_tar

from pycurate.errors import UsageError
from pycurate.shards.listing import Shard, find_shards
from pycurate.stages.partition import bytes_in, partition


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 60))
def test_groups_keep_the_order_and_are_about_equal(sizes: list[int], target: int) -> None:
    shards = [Shard(f"{i:05}.tar", Path("x"), size) for i, size in enumerate(sizes)]
    groups = partition(shards, target)
    assert [shard for group in groups for shard in group] == shards
    assert all(groups)
    for group in groups[:-1]:
        total, last = sum(shard.bytes for shard in group), group[-1].bytes
        assert total - last / 2 <= target or len(group) == 1
        assert total > target - max(sizes)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 60), st.integers(1, 50))
def test_a_shard_added_at_the_end_changes_only_the_last_group(sizes: list[int], target: int, more: int) -> None:
    shards = [Shard(f"{i:05}.tar", Path("x"), size) for i, size in enumerate([*sizes, more])]
    before, after = partition(shards[:-1], target), partition(shards, target)
    assert after[: len(before) - 1] == before[:-1]


def test_partitions_by_time_hold_what_a_task_embeds_in_it(tmp_path: Path) -> None:
    for shard in range(6):
        samples = [(f"{number}.{ext}", jpeg(number)) for number in range(20) for ext in ("jpg", "txt")]
        write_tar(tmp_path / f"{shard}.tar", samples)
    shards = find_shards(str(tmp_path))
    # 40 images a second for a minute are 2400 images; a shard holds 20.
    assert bytes_in(1, 40, shards) == 120 * shards[0].bytes
    assert [len(group) for group in partition(shards, bytes_in(0.5, 40 / 30, shards))] == [2, 2, 2]


def test_partitions_by_time_need_an_image(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("a.txt", b"x")])
    with pytest.raises(UsageError, match="contain no image"):
        bytes_in(1, 40, find_shards(str(tmp_path)))


def test_the_script_leaves_partitions_and_exit_codes(four_shards: Path, tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "bin" / "partition.py"
    call = [sys.executable, str(script), "--results", str(tmp_path / "r"), "--partition-bytes", "1"]
    subprocess.run([*call, "--input", str(four_shards)], check=True)
    assert len(list((tmp_path / "r" / "partitions").iterdir())) == 4
    missing = subprocess.run([*call, "--input", str(tmp_path / "no")], capture_output=True, text=True)
    assert missing.returncode == 2
    assert missing.stderr.startswith("partition.py: The input") and missing.stderr.count("\n") == 1


OWN = """
import numpy as np
from pycurate.images.views import View

class Odd:
    reason = "odd"
    def passes(self, table): return np.ones(table.num_rows, bool)

class Nothing:
    reason = name = "nothing"
    def __init__(self, *_): ...

class Rows(Odd):
    def passes(self, rows, columns): ...

class Made:
    def __init__(self, model_dir, device): ...

class Encoder(Made):
    def encode(self, pixels): ...

class Probe(Made):
    name = "probe"
    def calibrate(raw): return raw
    def score(self, embeddings): return embeddings[:, 0]

class Unscaled(Probe):
    def calibrate(self, raw): return raw

class Unmade(Probe):
    def __init__(self, model_dir): ...

class Pixels(Made):
    name, view = "pixels", View(8, 8)
    @staticmethod
    def score(pixels, images): ...

class NoView(Pixels):
    view = (8, 8)

class NoImages(Pixels):
    def score(self, pixels): ...
"""
OFF = "--no-aesthetic --no-nsfw"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--filter own.py:Odd --scorer own.py:Probe --min-score probe=1,probe_raw=2,aesthetic_raw=3,width=9", None),
        (f"--encoder own.py:Encoder --scorer own.py:Probe --pixel-scorer own.py:Pixels {OFF}", None),
        (f"--encoder ViT-B-16/openai {OFF}", None),
        ("--filter own.py:Off", "own.py has no class 'Off'"),
        ("--filter own.py:Nothing", "own.py:Nothing is not a filter: it needs `passes`"),
        ("--filter own.py:Rows", "`passes` of own.py:Rows cannot be called with (table): missing a required argument"),
        ("--scorer nowhere:Probe", "there is no module 'nowhere'"),
        ("--scorer own.py:Nothing", "own.py:Nothing is not a scorer: it needs `score`"),
        ("--scorer own.py:Unscaled", "`calibrate` of own.py:Unscaled cannot be called with (raw): missing"),
        ("--scorer own.py:Unmade", "own.py:Unmade cannot be called with (model_dir, device): too many"),
        ("--scorer own.py:Pixels", "own.py:Pixels has a `view`, so it reads pixels; use --pixel_scorer."),
        ("--pixel-scorer own.py:Probe", "own.py:Probe has no `view`, so it reads embeddings; use --scorer."),
        ("--pixel-scorer own.py:NoView", "The `view` of own.py:NoView is no pycurate.images.views.View;"),
        ("--pixel-scorer own.py:NoImages", "`score` of own.py:NoImages cannot be called with (self, pixels, images):"),
        ("--scorer own.py:Odd", "own.py:Odd has no name"),
        (f"--encoder own.py:No {OFF}", "own.py has no class 'No'"),
        (f"--encoder own.py:Odd {OFF}", "own.py:Odd is not an encoder: it needs `encode`"),
        (f"--encoder ViT-B-23/openai {OFF}", "'ViT-B-23/openai' is not an encoder; did you mean 'ViT-B-32/openai'?"),
        ("--min-score probe=1", "There is no score probe, only aesthetic, aesthetic_raw, nsfw;"),
        ("--min-score nsfw=0.5 --no-nsfw", "There is no score nsfw"),
        ("--min-score key=1", "There is no score key, only aesthetic, aesthetic_raw, nsfw;"),
        ("--score mix=z(probe)+aesthetic --scorer own.py:Probe --keep-top mix=0.3,nsfw=7 --min-score mix=0", None),
        ("--language en,de --balance-by language_score", None),
        ("--clip-score-masked --keep-top clip_score_masked=0.5,text_area=9 --preset clip-b32", None),
        ("--language en --keep-top language=7", "There is no score language, only aesthetic, aesthetic_raw, nsfw, lan"),
        ("--language eng", "There is no language 'eng'; choose codes of"),
        ("--score mix=z(probe)", "There is no score probe, only aesthetic"),
        ("--score mix=0.5(aesthetic)", "'0.5(aesthetic)' is not a formula"),
        ("--score aesthetic=nsfw", "There is a score aesthetic already"),
        ("--keep-top mix=0.3", "There is no score mix"),
        ("--keep-top aesthetic=30%", "'aesthetic=30%' does not say how many to keep"),
        ("--encoder ViT-B-16/openai --scorer own.py:Probe --no-nsfw", "There is no score aesthetic"),
        (f"--encoder ViT-B-16/openai {OFF} --clip-score-threshold 0.2 --min-score s_clip_loss=0", None),
        (f"--encoder own.py:Encoder {OFF} --clip-score-threshold 0.2", "own.py:Encoder cannot embed captions; a CLIP"),
        (f"--encoder torchscript:a.pt {OFF} --score m=2*s_clip_loss", "torchscript:a.pt cannot embed captions; a CLI"),
        (f"--encoder own.py:Encoder {OFF} --concept c=hat|cap", "own.py:Encoder cannot embed captions; a CLIP score"),
    ],
)
def test_what_a_run_could_not_use_is_refused_before_it(
    four_shards: Path, tmp_path: Path, options: str, sentence: str | None
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    script = Path(__file__).resolve().parents[2] / "bin" / "partition.py"
    command = [sys.executable, str(script), "--input", str(four_shards), "--results", "out", *options.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "out").exists()) == ((2, False) if sentence else (0, True)), done.stderr
    assert sentence is None or done.stderr.startswith(f"partition.py: {sentence}")
