"""Thumbnails are small, upright, and within their budget."""

import base64
import io
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from pycurate.report import thumbnails
from pycurate.report.examples import select_examples
from pycurate.results.partitions import read_all
from pycurate.stages.report import Setup, write_report


def test_the_pictures_have_a_budget(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = select_examples(results)
    shards = read_all(results)
    everything = thumbnails.thumbnails(chosen, shards)
    assert set(everything) == set(chosen["uid"].to_pylist())
    monkeypatch.setattr(thumbnails, "BUDGET", 50_000)
    some = thumbnails.thumbnails(chosen, shards)
    assert 0 < len(some) < len(everything)
    assert sum(map(len, some.values())) <= 50_000


def test_a_thumbnail_is_small_and_upright() -> None:
    picture = Image.fromarray(skimage.data.coffee()).resize((3000, 2000))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif)
    uri = thumbnails.data_uri(file.getvalue())
    head, _, data = uri.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as thumbnail:
        assert head == "data:image/jpeg;base64" and thumbnail.size == (96, 144)
    with pytest.raises(ValueError, match="format"):
        thumbnails.data_uri(b"<html>")


def test_a_shard_that_changed_costs_its_pictures_only(results: Path) -> None:
    select_examples(results)
    shard = Path(str(read_all(results)["00001.tar"].path))
    shard.write_bytes(shard.read_bytes() + bytes(512))
    write_report(results, Setup())
    page = (results / "report.html").read_text()
    assert "no image" in page and "data:image/jpeg" in page
