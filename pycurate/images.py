"""What an image file is: its format, its upright size and whether it can be read; and its pixels.

What "the pixels" are, whoever decodes them:

- EXIF orientation is applied, so the image stands upright.
- The first frame or page counts.
- Alpha is dropped, not blended, as `PIL.Image.convert("RGB")` does and with it open_clip's transform. CMYK, palettes
  and grey become RGB by the same call. 16-bit grey keeps its upper 8 bits. 32-bit samples have no agreed range and are
  `unsupported`.
- Only what a decoder wrote counts. libjpeg repairs some damage within a JPEG's image data and gives a warning: such
  pixels are those of Pillow, with which a trainer will read the file. What Pillow refuses is `corrupt`, and a JPEG
  without its end `truncated`.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pycurate import jpeg

MAX_PIXELS = 178_956_970
"""The largest image that is decoded where nothing else is asked for: Pillow's own limit, half a gigabyte of RGB."""

CODES = {
    "empty": "the file has no bytes",
    "not_an_image": "the bytes begin like no image format",
    "unsupported": "an image of a kind that pycurate does not decode",
    "too_large": "more pixels than allowed; never decoded",
    "truncated": "the file ends before the image does",
    "corrupt": "the decoder gave up",
}
"""Every value of `ImageInfo.error`, with its meaning."""


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


# Pillow's classes are called directly: Image.open would add a limit of its own, global to the process.
_READERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "jp2": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "ppm": PpmImagePlugin.PpmImageFile,
}
DECODED = frozenset(_READERS)
"""The formats, as `sniff` names them, that are decoded."""

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    # Images that are recognised only to be named.
    (b"II+\0", "bigtiff"),
    (b"MM\0+", "bigtiff"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"\0\0\1\0", "ico"),
    (b"8BPS", "psd"),
    (b"v/1\1", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"%PDF-", "pdf"),
    (b"%!PS", "eps"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}


def sniff(data: bytes) -> str:
    """The format that the first bytes announce, such as `jpeg`, `avif` or `heic`; empty where they announce none."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":  # ISO base media: the brands, major and compatible, name the codec
        box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        brands = {box[at : at + 4] for at in range(0, len(box), 4)}
        return "avif" if brands & {b"avif", b"avis"} else "heic" if brands & _HEIF_BRANDS else ""
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "ppm"
    if b"<svg" in data[:1024] and data.lstrip(b"\xef\xbb\xbf \t\r\n")[:4] in (b"<svg", b"<?xm", b"<!--", b"<!DO"):
        return "svg"
    return ""


class _UnreadableError(Exception):
    """Ends the reading of one image; never leaves this module."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def inspect(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """What the headers say of an image: nothing is decoded, so a readable verdict is not the last word."""
    return _judge(data, max_pixels, lambda data, _: None)[0]


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[ImageInfo, np.ndarray | None]:
    """Decode an image.

    Returns what is known of it and its pixels: uint8 (height, width, 3), RGB, upright, contiguous; None where
    `ImageInfo.error` says why there are none. Images over `max_pixels` are refused before they are decoded.
    """
    return _judge(data, max_pixels, _pixels)


def jpeg_header(data: bytes) -> jpeg.JpegHeader | None:
    """The header of a JPEG that any libjpeg reads to its end without an error (`jpeg.regular`), else None."""
    if sniff(data) != "jpeg":
        return None
    try:
        header = jpeg.read_header(data)
    except (EOFError, ValueError):
        return None
    return header if jpeg.regular(data, header) else None


_Opened = jpeg.JpegHeader | Image.Image


def _judge(
    data: bytes, max_pixels: int, read: Callable[[bytes, _Opened], np.ndarray | None]
) -> tuple[ImageInfo, np.ndarray | None]:
    """Open `data`, check its size, then `read` it; whatever goes wrong becomes an ImageInfo with an error."""
    name = sniff(data)
    width = height = 0
    try:
        opened = _open(data, name)
        width, height = opened.upright if isinstance(opened, jpeg.JpegHeader) else opened.size
        if width * height > max_pixels:
            raise _UnreadableError("too_large", f"{width} x {height} pixels are more than the {max_pixels} allowed")
        if isinstance(opened, Image.Image):
            width, height = _upright(opened)
        pixels = read(data, opened)
    except _UnreadableError as error:
        return ImageInfo(width, height, name, error.code, str(error)), None
    except MemoryError:  # this machine's fault, not the image's
        raise
    except EOFError as error:
        return ImageInfo(width, height, name, "truncated", _sentence(error)), None
    except Image.DecompressionBombError as error:
        return ImageInfo(width, height, name, "too_large", _sentence(error)), None
    except Exception as error:  # noqa: BLE001 - on hostile bytes a decoder may raise anything; the row keeps the cause
        code = "truncated" if "truncated" in str(error).lower() else "corrupt"
        return ImageInfo(width, height, name, code, _sentence(error)), None
    if pixels is not None:
        height, width = pixels.shape[:2]
    return ImageInfo(width, height, name), pixels


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _open(data: bytes, name: str) -> _Opened:
    """Read the headers: of a plain JPEG by pycurate.jpeg, of all else by Pillow."""
    if not data:
        raise _UnreadableError("empty", "the file has no bytes")
    if not name:
        raise _UnreadableError("not_an_image", f"no image format begins with {data[:16]!r}")
    if name not in _READERS:
        raise _UnreadableError("unsupported", f"{name} is not decoded")
    if name == "jpeg":
        header = jpeg.read_header(data)
        if header.plain:
            return header
        if header.bits != 8 or header.frame not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
            raise _UnreadableError("unsupported", f"JPEG process {header.frame - 0xC0} of {header.bits} bits")
    elif name == "png" and data.rfind(b"IEND") < 0:
        raise _UnreadableError("truncated", "the PNG ends before its IEND chunk")
    elif name == "webp" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise _UnreadableError("truncated", "the WebP is shorter than its RIFF header says")
    return _READERS[name](io.BytesIO(data))


def _upright(image: Image.Image) -> tuple[int, int]:
    """Width and height once EXIF is applied; Pillow's TIFF reader has applied it already.

    Of a PNG that keeps its EXIF behind the pixels, Pillow would decode these to come to it: left to `_pixels`.
    """
    known = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
    turned = known and image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size


def _pixels(data: bytes, opened: _Opened) -> np.ndarray:
    if isinstance(opened, jpeg.JpegHeader):
        return _turned(_jpeg_pixels(data), opened.orientation)
    opened.load()
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise _UnreadableError("unsupported", f"{opened.format} of 32-bit samples, which have no agreed range")
    return np.array(image.convert("RGB"))


def _jpeg_pixels(data: bytes) -> np.ndarray:
    """The pixels of a JPEG as stored.

    `strict` fails on any warning: without it simplejpeg returns memory that nobody wrote where an error follows a
    warning. Pillow tells the two apart; it also knows samplings that libjpeg-turbo's simple interface does not.
    """
    try:
        return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError as error:
        cause = error
    try:
        image: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        if "truncated" in str(error):
            raise
        raise cause from error  # libjpeg's own words; Pillow has one sentence for all


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation: 2-4 mirror or rotate by 180 degrees, 5-8 exchange width and height as well."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    flipped_rows, flipped_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels[:: -1 if flipped_rows else 1, :: -1 if flipped_columns else 1])
