"""The text of sidecars: captions, and the record of a .json, whatever bytes they are."""

import codecs
import json
from typing import Any

MAX_CAPTION_BYTES = 1 << 16  # of a longer .txt, or of a longer field of a .json, the beginning counts
MAX_JSON_BYTES = 1 << 22  # a larger .json is not read; it is no record of one image

CAPTION_KEY = "caption"
"""The field of a .json that is a caption, unless another is named."""

_MARKS = (  # byte order marks; that of UTF-32 begins as that of UTF-16 does
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def caption_text(data: bytes) -> str:
    """The text of a .txt member or of its beginning, without white space around it: UTF-8 unless a mark says otherwise.

    Bytes that are no text become U+FFFD; a character that is cut at the end of the data does not count.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    whole = len(data) < MAX_CAPTION_BYTES
    return codecs.getincrementaldecoder(encoding)("replace").decode(data[len(mark) :], whole).strip()


def json_record(data: bytes) -> dict[str, Any]:
    """The object that a .json member is; empty if it is none. Its numbers come as floats, however long they are."""
    try:
        record = json.loads(data.decode(json.detect_encoding(data), "replace"), parse_int=float)
    except (ValueError, RecursionError):  # the sidecar is the user's: that it is no JSON is not the image's fault
        return {}
    return record if isinstance(record, dict) else {}


def chosen_caption(text: str | None, record: dict[str, Any], key: str) -> str | None:
    """The caption of a sample whose .txt holds `text` (None without one) and whose .json is `record`.

    That is the .txt, or else the field `key` of the .json; if another key than CAPTION_KEY is named, the other way
    around. One that is empty counts only if there is no other; None without any.
    """
    ordered = [text, record_caption(record, key)]
    first, second = ordered if key == CAPTION_KEY else reversed(ordered)
    return first or second or (first if second is None else second)


def record_caption(record: dict[str, Any], key: str) -> str | None:
    """The field `key`, stripped of white space and cut to MAX_CAPTION_BYTES of UTF-8; None if it is no text."""
    caption = record.get(key)
    if not isinstance(caption, str):
        return None
    # JSON can hold half of a surrogate pair, which no Unicode text can.
    return caption.strip()[:MAX_CAPTION_BYTES].encode("utf-8", "replace")[:MAX_CAPTION_BYTES].decode("utf-8", "ignore")
