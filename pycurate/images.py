"""What an image file is: its format, its upright size and whether it can be read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageInfo:
    """What is known of an image file.

    `width` and `height` are in pixels of the upright image (EXIF orientation applied), 0 where unknown. `format` is a
    lower-case name such as `jpeg`, empty where unknown. `error` is None for a readable image, else a short code
    (see CODES), and `message` then says in one sentence what is wrong.
    """

    width: int
    height: int
    format: str
    error: str | None = None
    message: str | None = None
