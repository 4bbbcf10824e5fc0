"""Small pictures for the report, out of the shards."""

import base64
import io
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from PIL import Image

from pycurate.errors import PycurateError
from pycurate.images.decode import decode
from pycurate.shards.intact import ImagePlace
from pycurate.shards.listing import Shard, read_image

log = logging.getLogger(__name__)

HEIGHT, WIDTH = 144, 288  # pixels at most, which is sharp enough for the page's rows of 112
QUALITY = 70
THREADS = 2  # the largest images that are read at all take 2 GB each while they are decoded
BUDGET = 8_000_000  # characters of all pictures together, so that the report stays under 15 MB


def thumbnails(examples: pa.Table, shards: dict[str, Shard]) -> dict[str, str]:
    """{uid: data URI} of the examples whose shards are there, until BUDGET is spent.

    An image that can no longer be read is left out, and the log says why: a picture is no reason to fail a run.
    """
    rows = examples.select(["uid", "shard", "key", "offset", "size", "sha256"]).to_pylist()
    named = {row["uid"]: row for row in rows if row["shard"] in shards}
    with ThreadPoolExecutor(THREADS) as pool:
        found = dict(zip(named, pool.map(lambda row: _picture(row, shards[row["shard"]]), named.values()), strict=True))
    pictures: dict[str, str] = {}
    left = BUDGET
    for uid in (row["uid"] for row in rows):
        picture = found.get(uid)
        if picture is None:
            continue
        left -= len(picture)  # an image that stands in two places of the page is in it twice
        if left < 0:
            log.warning("the report reached its size limit for images; it shows the first %d", len(pictures))
            break
        pictures[uid] = picture
    return pictures


def _picture(row: Mapping[str, Any], shard: Shard) -> str | None:
    image = ImagePlace(row["key"], row["offset"], row["size"], row["sha256"])
    try:
        return data_uri(read_image(shard, image))
    except (PycurateError, OSError, ValueError) as error:
        log.warning("no image of %s in %s: %s", row["uid"], row["shard"], error)
        return None


def data_uri(data: bytes, width: int = WIDTH, height: int = HEIGHT, quality: int = QUALITY) -> str:
    """An image file as an upright JPEG, no larger than this, in a data URI. Raises ValueError if it is none."""
    info, pixels = decode(data)
    if pixels is None:
        raise ValueError(info.message)
    picture = Image.fromarray(pixels)
    picture.thumbnail((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
