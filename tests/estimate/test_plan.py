"""A plan adds up: tasks, times and bytes."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import write_model

from pycurate.dedup.fit import MOST_COST
from pycurate.estimate.plan import (
    DEDUP_BYTES,
    DEDUP_GROWTH,
    DEDUP_SECONDS,
    LEAKAGE_SECONDS,
    PDQ_SECONDS,
    Defaults,
    Machine,
    dedup_seconds,
    dim_of,
    make_estimate,
    makespan,
)
from pycurate.estimate.sampling import Interval
from pycurate.estimate.survey import Survey
from pycurate.estimate.trial import Trial
from pycurate.models.selection import select_models
from pycurate.shards.count import ShardCount
from pycurate.shards.listing import Shard

DEFAULTS = Defaults.read()


@given(st.lists(st.floats(0, 100), max_size=30), st.integers(1, 10))
def test_tasks_end_no_sooner_than_their_work_allows_and_no_later_than_needed(
    seconds: list[float], workers: int
) -> None:
    longest = max(seconds, default=0)
    end = makespan(seconds, workers)
    assert max(longest, sum(seconds) / workers) <= end * (1 + 1e-9) + 1e-9
    assert end <= sum(seconds) / workers + longest + 1e-6


def planned(shards: int, gpus: list[int], machine: Machine, bad: float = 0) -> Any:
    """The plan of so many shards of 1 GB and 10,000 images, of which the number is known to a tenth.

    Beside them are so many times as many samples that are `bad`.
    """
    held = [Shard(f"{at:05}.tar", Path("x"), 10**9) for at in range(shards)]
    images = Interval(shards * 1e4, shards * 0.9e4, shards * 1.1e4)
    read = [ShardCount(held[0], 10_000, 10_000, formats=Counter({"jpeg": 9_000, "png": 1_000}))]
    return make_estimate(Survey(held, 0, read, images.scaled(1 + bad), images), machine, gpus, DEFAULTS)


def test_the_bytes_of_every_encoder_count(tmp_path: Path) -> None:
    model = f"torchscript:{write_model(tmp_path / 'model.pt')}"
    for descriptor, more in {None: 512, "same": 0, "sscd": 512, model: 12, "ViT-B-32/openai": 512}.items():
        assert dim_of(select_models("light", tmp_path, dedup_encoder=descriptor)) == 1280 + more


def test_what_views_cost_is_part_of_the_plan(tmp_path: Path) -> None:
    for descriptor, views, dim in (("same", "mirror", 3 * 1280), ("light-copy", "dihedral", 1280 + 8 * 512)):
        assert dim_of(select_models("light", tmp_path, dedup_encoder=descriptor, dedup_views=views)) == dim
    one, eight = (planned(8, [1], Machine(None, 512, cores=8, views=views)) for views in (1, 8))
    assert eight.times[0].dedup.value == pytest.approx(15 * one.times[0].dedup.value)
    assert eight.disk.dedup.value == pytest.approx(8**1.45 * one.disk.dedup.value)


def test_what_a_trial_measured_is_part_of_the_plan() -> None:
    tables = {"samples": 100.0, "scores": 20.0}
    trial = Trial("cpu", 99, (200.0, 300.0), 1.0, 0.5, 10.0, 2.0, 1e-3, 1e8, 512, tables, 0, None, {}, {})
    plan = planned(8, [1, 4], Machine.of(trial, 8, 1, 0.95), bad=0.5)  # two EMBED tasks, six tasks of WRITE
    one, four = plan.times
    assert one.embed.value == pytest.approx(2 * 10 + 80_000 / 250) and plan.tasks.seconds == pytest.approx(10 + 160)
    assert (one.embed.low, one.embed.high) == pytest.approx((2 * 10 + 72_000 / 300, 2 * 10 + 88_000 / 200))
    assert one.score.value == pytest.approx(2 * 2 + 80) and four.score.value == pytest.approx(2 + 40)
    assert one.write.value == pytest.approx(6 * 0.5 + 80) and four.write.value == pytest.approx(2 * (0.5 + 80 / 6))
    # A search among so few is one task, however many GPUs there are.
    assert one.dedup.value == four.dedup.value == pytest.approx(1 + 80_000 * dedup_seconds(80_000, 0.95) / 8)
    parts = (one.embed, one.score, one.dedup, one.write)
    assert one.all.value == pytest.approx(sum(part.value for part in parts)) and one.complete
    assert plan.disk.tables.value == pytest.approx(120_000 * 120)
    assert not planned(8, [1], Machine(Interval(250, 200, 300), 512, cores=8)).times[0].complete


def test_a_plan_adds_up() -> None:
    plan = planned(800, [1, 8, 1000], Machine(Interval(500, 400, 600), 512, cores=8))
    assert (plan.tasks.count, plan.tasks.images, plan.tasks.seconds) == (200, 40_000, 80)
    assert plan.minutes_tasks.count == 5  # of 1,800,000 images, thus 180 shards
    one, eight, many = plan.times
    assert (one.embed.value, one.embed.low, one.embed.high) == pytest.approx((16_000, 12_000, 22_000))
    assert eight.embed.value == pytest.approx(2_000)
    assert many.embed.value == pytest.approx(80)  # no more GPUs than tasks
    assert one.dedup.value == pytest.approx(8e6 * dedup_seconds(8e6, 0.95) / 8)
    assert eight.dedup.value == pytest.approx(one.dedup.value / 8)
    assert one.all.value == pytest.approx(one.embed.value + one.dedup.value)
    assert (one.score, one.write) == (None, None)  # nothing was measured
    embeddings = plan.disk.embeddings
    assert (embeddings.value, embeddings.low, embeddings.high) == pytest.approx(
        (8e6 * 1024, 7.2e6 * 1024, 8.8e6 * 1024)
    )
    assert plan.disk.output == 800e9
    assert plan.formats == {"jpeg": 0.9, "png": 0.1}


def test_the_search_takes_longer_per_image_until_it_is_fast() -> None:
    for threshold, least in ((0.95, 0.9), (0.9, 0.9), (0.5, 0.0), (0.0, 0.0)):
        last = MOST_COST * 1e-9 / DEDUP_GROWTH[least]
        each = [dedup_seconds(vectors, threshold) for vectors in (1e4, last / 2, last, last * 1.1, 1e9)]
        most = MOST_COST * 1e-9
        assert each == pytest.approx([DEDUP_SECONDS, most / 2, most, DEDUP_SECONDS, DEDUP_SECONDS])


def test_the_figures_of_the_search_are_those_of_its_document(root: Path) -> None:
    text = (root / "docs" / "dedup.md").read_text()
    measured = re.search(r"^\| 0\.95 \|.*? ([\d.]+) cpu-s", text, re.M)
    hours = re.search(r"20 core hours.*?50 core hours", text, re.S)
    assert measured and hours
    assert float(measured[1]) / 200_000 == pytest.approx(DEDUP_SECONDS, rel=0.05)
    assert pytest.approx(DEDUP_SECONDS, rel=0.05) == 70 * 3600 / 1e9
    assert f"| 16.0 | {DEDUP_BYTES} |" in text
    least, most = (f"{DEDUP_GROWTH[threshold] * 1e9:.1f}" for threshold in (0.9, 0.0))
    assert f"about {least} ms per vector for each million" in text.replace("\n", " ")
    assert f"at 0.50, {most} ms" in text.replace("\n", " ")


def test_the_figures_of_hashes_and_evaluation_sets_are_those_of_their_documents(root: Path) -> None:
    leakage = re.search(r"(\d+) cpu-s per thousand million\s+pairs", (root / "docs" / "leakage.md").read_text())
    pdq = re.search(r"^\| PDQ \| ([\d.]+) ms per photograph", (root / "docs" / "blocklists.md").read_text(), re.M)
    assert leakage and float(leakage[1]) / 1e9 == pytest.approx(LEAKAGE_SECONDS)
    assert pdq and float(pdq[1]) / 1e3 == pytest.approx(PDQ_SECONDS)
