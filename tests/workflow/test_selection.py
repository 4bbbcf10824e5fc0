"""Everything that selects, in one run with the preset that needs no network and in the order of docs/selection.md."""

import hashlib
import html
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from flows import Flow, inspected, pycurate
from tars import read_tar, write_tar

from pycurate.images.decode import decode
from pycurate.images.pdq import Pdq, pdq, samples
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table

MOST, TARGET = 6, 8  # of captions that are alike; of samples that are kept


def looks(image: bytes) -> Pdq:
    pixels = decode(image)[1]
    assert pixels is not None
    return pdq(samples(pixels))


@pytest.fixture(scope="module")
def images(shards: Path) -> list[bytes]:
    """The readable images of one of the two shards, each once."""
    members = [data for name, data, _ in read_tar(shards / "00000.tar") if name.endswith((".jpg", ".png"))]
    return [data for data in dict.fromkeys(members) if decode(data)[1] is not None]


@pytest.fixture(scope="module")
def flow(undisturbed: Flow, images: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A finished run. One list has the bytes of the first image, another the looks of the second; few are a target."""
    folder = tmp_path_factory.mktemp("selection")
    (folder / "known.txt").write_text(hashlib.sha1(images[0]).hexdigest())
    (folder / "alike.csv").write_text(f"name,pdq\none,{looks(images[1]).hash}\n")
    few = write_tar(folder / "few" / "0.tar", [(f"{number}.jpg", data) for number, data in enumerate(images[2:8])])
    flow = Flow(folder / "flow", undisturbed.options)
    options = ["--dedup_views", "mirror", "--aesthetic_threshold", "0.1", "--digests", "md5"]
    options += ["--text_area", "true", "--text_area_threshold", "0.1"]
    options += ["--blocklist", f"sha1:{folder}/known.txt,pdq:{folder}/alike.csv"]
    options += [word for name in ("similar", "concept", "leakage") for word in (f"--{name}", f"few={few.parent}")]
    options += ["--recipe", "datacomp-basic", "--language", "en,de", "--max_caption_count", str(MOST)]
    options += ["--score", "mix=z(aesthetic)+0.5*z(norm_sim_inf_few)", "--keep_top", "mix=0.9"]
    options += ["--balance", "cells", "--target", str(TARGET), "--balance_by", "mix"]
    flow.succeed(*options)
    return flow


@pytest.fixture(scope="module")
def rows(flow: Flow) -> list[dict[str, Any]]:
    """The decisions, each with what EMBED found of the sample."""
    found = {row["uid"]: row for path in flow.out.glob("samples/*.parquet") for row in read_table(path).to_pylist()}
    return [found[row["uid"]] | row for row in read_table(path_of(flow.out, "decisions")).to_pylist()]


@pytest.fixture(scope="module")
def listed(shards: Path, images: list[bytes]) -> set[str]:
    """SHA-256 of what the lists name: the bytes of the first image, and what differs from the second by 31 bits."""
    named = int(looks(images[1]).hash, 16)
    found = {hashlib.sha256(images[0]).hexdigest()}
    for shard in shards.iterdir():
        for data in (data for name, data, _ in read_tar(shard) if decode(data)[1] is not None):
            own = looks(data)
            if own.quality >= 50 and (int(own.hash, 16) ^ named).bit_count() <= 31:
                found.add(hashlib.sha256(data).hexdigest())
    return found


def test_every_sample_has_the_first_reason_that_applies(rows: list[dict[str, Any]], listed: set[str]) -> None:
    count = Counter(row["caption"].casefold() for row in rows if row["status"] == "ok" and row["caption"])
    left = []
    for row in rows:
        first = first_of(row, listed, count)
        if first:
            assert row["reason"] == first, row
        else:
            left.append(row)
    assert {row["reason"] for row in rows} >= {"blocked", "unreadable", "aesthetic", "text_area", "max_caption_count"}
    scored = [row for row in rows if row["status"] == "ok"]
    standard = [scipy.stats.zscore([row[name] for row in scored]) for name in ("aesthetic", "norm_sim_inf_few")]
    np.testing.assert_allclose([row["mix"] for row in scored], standard[0] + 0.5 * standard[1], atol=1e-5)
    left.sort(key=lambda row: (-row["mix"], row["uid"]))
    best = len(left) * 9 // 10
    assert {row["reason"] for row in left[best:]} == {"top_mix"}
    reasons = Counter(row["reason"] for row in left[:best])
    assert set(reasons) == {"kept", "balanced", "duplicate_exact", "duplicate_near"} and reasons["kept"] == TARGET
    kept = {row["uid"] for row in rows if row["kept"]}
    assert {row["duplicate_of"] for row in rows if row["reason"].startswith("duplicate")} <= kept


def first_of(row: dict[str, Any], listed: set[str], count: Counter[str]) -> str | None:
    """The first filter that a sample does not pass, in the order in which they are asked."""
    if row["sha256"] in listed:
        return "blocked"
    if row["status"] != "ok":
        return "unreadable"
    short, long = sorted((row["width"], row["height"]))
    caption = (row["caption"] or "").strip()
    fails = {
        "aesthetic": row["aesthetic"] < 0.1,
        "nsfw": row["nsfw"] >= 0.5,
        "text_area": row["text_area"] >= 0.1,
        "language": row["language"] not in ("en", "de", None),
        "min_side": short < 200,
        "max_aspect": long > 3 * short,
        "caption_words": bool(caption) and len(caption.split()) <= 2,
        "caption_characters": bool(caption) and len(caption) <= 5,
        "max_caption_count": count[caption.casefold()] > MOST,
    }
    return next((name for name, is_so in fails.items() if is_so), None)


def test_the_ledger_adds_up_and_every_part_is_told(flow: Flow, rows: list[dict[str, Any]], images: list[bytes]) -> None:
    summary = json.loads((flow.out / "summary.json").read_text())
    assert summary["inputs"] == len(rows) == summary["kept"] + sum(summary["dropped"].values())
    assert Counter(row["reason"] for row in rows) == summary["dropped"] | {"kept": TARGET}
    assert (summary["concepts"][0]["name"], summary["leakage"][0]["set"]) == ("few", "few")
    of = {row["sha256"] for row in rows if row["status"] == "ok"} & {
        hashlib.sha256(data).hexdigest() for data in images[2:8]
    }
    assert [at["leaked"] for at in summary["leakage"][0]["at"]] == [len(of)] * 3 and len(of) > 3
    report = (flow.out / "report.html").read_text()
    assert all(line in flow.text and html.escape(line) in report for line in summary["selection"])
    assert len(summary["selection"]) == 5
    assert "0 samples added, 0 removed" in pycurate("refilter", flow.out).stdout
    assert pycurate("verify", flow.out).returncode == 0
    blocked = next(row for row in rows if row["reason"] == "blocked")
    assert "dropped: blocked" in inspected(flow.out, blocked["uid"])
    assert pycurate("inspect", flow.out, blocked["uid"], "--extract", flow.folder / "blocked").returncode != 0
