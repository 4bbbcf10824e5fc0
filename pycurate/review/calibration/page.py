"""The page on which a sheet is answered: one file, with its pictures, that works without a server."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import PycurateError, TableError
from pycurate.report.page import VEILED, source_hash
from pycurate.report.thumbnails import data_uri
from pycurate.results.layout import path_of, paths_of
from pycurate.results.partitions import read_all
from pycurate.results.tables import score_columns, stream, stream_all
from pycurate.review.calibration.answers import to_json
from pycurate.review.calibration.sheet import Sheet
from pycurate.review.earlier import criteria_of
from pycurate.shards.intact import ImagePlace
from pycurate.shards.listing import Shard, read_image

log = logging.getLogger(__name__)

TEMPLATE = Path(__file__).parent / "template"
SIDE, QUALITY = 480, 80  # pixels of a picture's longer side at most, and of its JPEG
BUDGET = 200_000_000  # characters of all pictures, which a browser still opens

COLUMNS = ["uid", "shard", "key", "offset", "size", "sha256", "width", "height"]


@dataclass(frozen=True)
class Picture:
    """An image as the page shows it; `source` is a data URI."""

    source: str
    key: str
    width: int
    height: int
    veiled: bool


def render(results: Path, sheet: Sheet) -> str:
    """The page as HTML. A question whose images can no longer be read is left out, and so without an answer.

    Raises TableError if no image can be read.
    """
    pictures = _pictures(results, sheet)
    shown = [
        (number, [pictures[uid] for uid in item.uids])
        for number, item in enumerate(sheet.items)
        if all(uid in pictures for uid in item.uids)
    ]
    if not shown:
        raise TableError(f"None of the images can be read from the shards of {results}; put these back in their place.")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATE)),
        autoescape=True,  # keys are a stranger's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((TEMPLATE / f"calibrate.{kind}").read_text(encoding="utf-8").strip() for kind in ("css", "js"))
    return environment.get_template("calibrate.html").render(
        score=sheet.score,
        shown=shown,
        veiled=any(picture.veiled for _, row in shown for picture in row),
        sheet=to_json(sheet),
        style=style,
        script=script,
        style_hash=source_hash(style),
        script_hash=source_hash(script),
    )


def _pictures(results: Path, sheet: Sheet) -> dict[str, Picture]:
    """By uid, the images that can be read; veiled like those of the report."""
    wanted = pa.array(sorted({uid for item in sheet.items for uid in item.uids}))
    rows = {row["uid"]: row for row in _rows(stream_all(results, "samples", COLUMNS), wanted)}
    scores: dict[str, float | None] = {}
    if "nsfw" in score_columns(results):
        found = _rows(stream(path_of(results, "decisions"), ["uid", "nsfw"]), wanted)
        scores = {row["uid"]: row["nsfw"] for row in found}
    veiled_from = min(VEILED, criteria_of(results).thresholds().get("nsfw", VEILED))
    shards = read_all(results) if paths_of(results, "partitions") else {}
    pictures: dict[str, Picture] = {}
    left = BUDGET
    for item in sheet.items:
        for uid in item.uids:
            if uid in pictures or uid not in rows:
                continue
            source = _source(rows[uid], shards)
            left -= len(source or "")
            if left < 0:
                log.warning("the page reached its size limit; the questions after it are left out")
                return pictures
            if source:
                row = rows[uid]
                veiled = (scores.get(uid) or 0.0) >= veiled_from
                pictures[uid] = Picture(source, row["key"], row["width"], row["height"], veiled)
    return pictures


def _source(row: dict[str, Any], shards: dict[str, Shard]) -> str | None:
    """A data URI of an image, or None, with a warning, where it cannot be read."""
    try:
        if row["shard"] not in shards:
            raise OSError("its shard is in no partition")
        image = ImagePlace(row["key"], row["offset"], row["size"], row["sha256"])
        return data_uri(read_image(shards[row["shard"]], image), SIDE, SIDE, QUALITY)
    except (PycurateError, OSError, ValueError) as error:
        log.warning("no image of %s in %s: %s", row["uid"], row["shard"], error)
        return None


def _rows(batches: Any, wanted: pa.Array) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.filter(pc.is_in(batch["uid"], wanted)).to_pylist()]
