"""The page on which a sheet is answered: one file, with its pictures, that works without a server."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import PycurateError, ShardError, StoreError, TableError
from pycurate.report.page import VEILED, rendered
from pycurate.report.thumbnails import data_uri
from pycurate.results.criteria import read_criteria
from pycurate.results.layout import path_of, paths_of
from pycurate.results.partitions import read_all
from pycurate.results.tables import score_columns, stream, stream_all
from pycurate.review.calibration.answers import to_json
from pycurate.review.calibration.sheet import Sheet
from pycurate.shards.intact import ImagePlace
from pycurate.shards.listing import Shard, check_size, read_image
from pycurate.text import number

log = logging.getLogger(__name__)

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


@dataclass(frozen=True)
class Page:
    """The page as HTML, and how many questions it asks."""

    html: str
    asked: int


@dataclass
class _Pictures:
    """By uid, the images that can be shown; those that cannot be read, with the cause; whether the page is full."""

    shown: dict[str, Picture] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    full: bool = False


def render(results: Path, sheet: Sheet) -> Page:
    """The page. A question with an image that cannot be read is left out, and so without an answer; a warning says so.

    Raises ShardError if a shard is gone or has another size, or its store cannot be read, TableError if no image can be
    read.
    """
    pictures = _pictures(results, sheet)
    shown = [
        (at, [pictures.shown[uid] for uid in item.uids])
        for at, item in enumerate(sheet.items)
        if all(uid in pictures.shown for uid in item.uids)
    ]
    if not shown:
        raise TableError(f"None of the images can be read from the shards of {results}; put these back in their place.")
    _warn(sheet, pictures, len(shown))
    html = rendered(
        Path(__file__).parent / "template" / "calibrate.html",
        score=sheet.score,
        shown=shown,
        veiled=any(picture.veiled for _, row in shown for picture in row),
        sheet=to_json(sheet),
    )
    return Page(html, len(shown))


def _warn(sheet: Sheet, pictures: _Pictures, asked: int) -> None:
    """Say how many questions are left out, and why."""
    kind = "images" if sheet.score else "pairs"
    unread = sum(any(uid in pictures.unread for uid in item.uids) for item in sheet.items)
    if unread:
        cause = next(iter(pictures.unread.values())).rstrip(".")
        log.warning(
            "%s of %s %s are left out, since an image cannot be read; the first cause: %s.",
            *(number(unread), number(len(sheet.items)), kind, cause),
        )
    if pictures.full:
        left = number(len(sheet.items) - unread - asked)
        log.warning("The page reached its size limit; the last %s %s are left out.", left, kind)


def _pictures(results: Path, sheet: Sheet) -> _Pictures:
    """The images of a sheet; veiled like those of the report. Raises ShardError as `render` does."""
    wanted = pa.array(sorted({uid for item in sheet.items for uid in item.uids}))
    rows = {row["uid"]: row for row in _rows(stream_all(results, "samples", COLUMNS), wanted)}
    scores: dict[str, float | None] = {}
    if "nsfw" in score_columns(results):
        found = _rows(stream(path_of(results, "decisions"), ["uid", "nsfw"]), wanted)
        scores = {row["uid"]: row["nsfw"] for row in found}
    veiled_from = min(VEILED, read_criteria(results).thresholds().get("nsfw", VEILED))
    shards = read_all(results) if paths_of(results, "partitions") else {}
    for name in sorted({row["shard"] for row in rows.values()} & shards.keys()):
        check_size(shards[name])  # here, since a shard that is not there is no fault of one image
    pictures = _Pictures()
    left = BUDGET
    for item in sheet.items:
        for uid in item.uids:
            if uid in pictures.shown or uid in pictures.unread:
                continue
            if uid not in rows:
                pictures.unread[uid] = f"the sample {uid} is in no table"
                continue
            row = rows[uid]
            try:
                source = _source(row, shards)
            except StoreError:
                raise
            except (PycurateError, OSError, ValueError) as error:
                pictures.unread[uid] = str(error)
                continue
            left -= len(source)
            if left < 0:
                pictures.full = True
                return pictures
            veiled = (scores.get(uid) or 0.0) >= veiled_from
            pictures.shown[uid] = Picture(source, row["key"], row["width"], row["height"], veiled)
    return pictures


def _source(row: dict[str, Any], shards: dict[str, Shard]) -> str:
    """A data URI of an image. Raises ShardError, OSError or ValueError where it cannot be read."""
    if row["shard"] not in shards:
        raise ShardError(f"Shard {row['shard']} is in no partition of the results.")
    image = ImagePlace(row["key"], row["offset"], row["size"], row["sha256"])
    return data_uri(read_image(shards[row["shard"]], image), SIDE, SIDE, QUALITY)


def _rows(batches: Any, wanted: pa.Array) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.filter(pc.is_in(batch["uid"], wanted)).to_pylist()]
