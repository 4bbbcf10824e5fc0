"""What an image file is: its format, its upright size and whether it can be read; and its pixels.

What "the pixels" are, whoever decodes them:

- EXIF orientation is applied, so the image stands upright.
- The first frame or page counts.
- Alpha is dropped, not blended, as `PIL.Image.convert("RGB")` does and with it open_clip's transform. CMYK, palettes
  and grey become RGB by the same call. Grey of 12 or 16 bits keeps its upper 8. 32-bit samples have no agreed range and
  are `unsupported`.
- Only what a decoder wrote counts. libjpeg repairs some damage within a JPEG's image data and gives a warning: such
  pixels are those of Pillow, with which a trainer will read the file. What Pillow refuses is `corrupt`, and a JPEG
  without its end `truncated`.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import simplejpeg
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pycurate.images import exif, jpeg, jpegwalk, limits, png
from pycurate.images.formats import FORMATS, sniff
from pycurate.images.limits import UnreadableError
from pycurate.images.vp8 import webp_quality
from pycurate.parameters import default_of

MAX_PIXELS: int = default_of("max_pixels")
"""The largest image that is decoded where nothing else is asked for: Pillow's own limit, half a gigabyte of RGB."""

CODES = {
    "empty": "the file has no bytes",
    "not_an_image": "the bytes do not begin like any image format",
    "unsupported": "an image format that pycurate does not decode, or an image with implausibly many parts",
    "too_large": "more pixels than allowed, in all or along a side, or too many scans for them; never decoded",
    "truncated": "the file ends before the image does",
    "corrupt": "damaged in a way that the decoder cannot handle",
}
"""Every value of `ImageInfo.error`, with its meaning."""


_UNKNOWN = ("Unsupported BMP", "unknown pixel mode", "cannot handle", "unable to determine J2K", "conversion from")
"""Of Pillow's sentences on images that may be sound, and which it cannot read all the same."""

_CUT = ("truncated", "not enough image data")
"""Of those on files that end before the image does; the latter is on what it decodes in Python."""


@dataclass(frozen=True)
class ImageInfo:
    """What is known of an image file.

    `width` and `height` are in pixels of the upright image (EXIF orientation applied), 0 where unknown. `format` is a
    lower-case name such as `jpeg`, empty where unknown. `error` is None for a readable image, else a short code
    (see CODES), and `message` then says in one sentence what is wrong. `quality`: what the header of a JPEG or of a
    lossy WebP says of its compression, 1 to 100 as libjpeg counts (`pycurate.images.jpeg`, `pycurate.images.vp8`).
    """

    width: int
    height: int
    format: str
    error: str | None = None
    message: str | None = None
    quality: float | None = field(default=None, compare=False)


class _Avif(AvifImagePlugin.AvifImageFile):
    """Pillow's reader, without its refusal of sound pixels beside EXIF that is broken."""

    def _open(self) -> None:
        try:
            super()._open()
        except (SyntaxError, struct.error):
            if not hasattr(self, "_decoder") or not self._size[0]:
                raise
            self.info["exif"] = exif.segment(self._decoder.get_info()[5])[4:]
            self.seek(0)


# Its own reader, of uncompressed ones, leaves black what no strip holds, and takes any plane's samples for 8 bits.
TiffImagePlugin.READ_LIBTIFF = True


class _Tiff(TiffImagePlugin.TiffImageFile):
    """Pillow's reader, without the turn and the reading of further EXIF, which may be broken, behind the pixels."""

    def _setup(self) -> None:
        compression = self.tag_v2.get(TiffImagePlugin.COMPRESSION, 1)
        if isinstance(compression, int) and compression not in TiffImagePlugin.COMPRESSION_INFO:
            raise UnreadableError("unsupported", f"a TIFF of compression {compression}, which Pillow does not read")
        if self.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT) == (2,):
            raise UnreadableError("unsupported", "a TIFF with signed samples, which have no standard range")
        super()._setup()

    def _load_libtiff(self) -> "Image.core.PixelAccess | None":
        assert self.fp is not None
        length = self.fp.seek(0, io.SEEK_END)
        try:
            return super()._load_libtiff()
        except OSError as error:  # which does not tell libtiff's cause
            tags = limits.TIFF_PARTS[::2], limits.TIFF_PARTS[1::2]
            starts, sizes = (self.tag_v2.get(strip, self.tag_v2.get(tile, ())) for strip, tile in tags)
            if any(start + size > length for start, size in zip(starts, sizes, strict=False)):
                raise EOFError("the TIFF ends before its pixels do") from error
            raise

    def load_end(self) -> None:
        self._size = self.im.size


# Of each of DECODED. Pillow's classes are called directly: Image.open would add a limit, global to the process.
_READERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": _Tiff,
    "gif": GifImagePlugin.GifImageFile,
    "avif": _Avif,
    "jp2": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "ppm": PpmImagePlugin.PpmImageFile,
}


@dataclass(frozen=True)
class _Opened:
    """An image whose headers are read: its size as stored, what turns it upright, its pixels, bytes for each of them.

    `refusal` says why it is not read all the same. `orientation` is asked again once `read` has been called, for a PNG
    may keep its EXIF behind its pixels.
    """

    width: int
    height: int
    orientation: Callable[[], int]
    read: Callable[[], np.ndarray]
    need: int
    refusal: UnreadableError | None = None
    quality: float | None = None

    @property
    def upright(self) -> tuple[int, int]:
        return (self.height, self.width) if self.orientation() >= 5 else (self.width, self.height)


def decode(
    data: bytes, max_pixels: int = MAX_PIXELS, reserve: Callable[[int], None] | None = None
) -> tuple[ImageInfo, np.ndarray | None]:
    """Decode an image.

    Returns what is known of it and its pixels: uint8 (height, width, 3), RGB, upright, contiguous; None where
    `ImageInfo.error` says why there are none. Images over `max_pixels` are refused before they are decoded. `reserve`
    is told before how many bytes that will take, and may wait (see pycurate.images.budget).
    """
    name = sniff(data)
    width = height = 0
    try:
        canvas = limits.webp_size(data) if name == "webp" else None
        if canvas:
            width, height = canvas
            _allow(data, width, height, name, max_pixels)
        opened = _open(data, name)
        width, height = opened.upright
        _allow(data, width, height, name, max_pixels)
        if opened.refusal:
            raise opened.refusal
        if reserve:
            reserve(opened.need * opened.width * opened.height)
        pixels = _turned(opened.read(), opened.orientation())
    except UnreadableError as error:
        return ImageInfo(width, height, name, error.code, str(error)), None
    except MemoryError:  # this machine's fault, not the image's
        raise
    except EOFError as error:
        return ImageInfo(width, height, name, "truncated", _sentence(error)), None
    except Image.DecompressionBombError as error:
        return ImageInfo(width, height, name, "too_large", _sentence(error)), None
    except Exception as error:  # noqa: BLE001 - on hostile bytes a decoder may raise anything; the row keeps the cause
        message = _sentence(error)
        code = "truncated" if any(words in message.lower() for words in _CUT) else "corrupt"
        if "MAX_TEXT" in message:
            code, message = "unsupported", f"a PNG whose text or colour profile exceeds Pillow's limit ({message})"
        elif any(words in message for words in _UNKNOWN):
            code, message = "unsupported", f"a kind of {name} that Pillow does not read ({message})"
        return ImageInfo(width, height, name, code, message), None
    height, width = pixels.shape[:2]
    return ImageInfo(width, height, name, quality=opened.quality), pixels


def jpeg_header(data: bytes) -> jpeg.JpegHeader | None:
    """The header of a JPEG that any libjpeg reads to its end without an error (`jpegwalk.regular`), else None.

    None, too, if it has more bytes or scans than are read; its pixels are not limited here.
    """
    if sniff(data) != "jpeg" or len(data) > limits.most(data, "jpeg")[1]:
        return None
    try:
        header = jpeg.read_header(data)
    except (EOFError, ValueError):
        return None
    return header if header.scanned <= limits.SCANNED and jpegwalk.regular(data, header) else None


def _allow(data: bytes, width: int, height: int, name: str, max_pixels: int) -> None:
    """Raise UnreadableError for an image over the limits, which are lower for formats that take long."""
    pixels, size = limits.most(data, name)
    limit = min(max_pixels, pixels)
    if width * height > limit:
        slow = f" for {name}" if limit < max_pixels else ""
        raise UnreadableError("too_large", f"{width} x {height} pixels exceed the limit of {limit}{slow}")
    if max(width, height) > limits.LONGEST_SIDE:
        raise UnreadableError(
            "too_large", f"{width} x {height} pixels exceed the limit of {limits.LONGEST_SIDE} a side"
        )
    if len(data) > size:
        raise UnreadableError("too_large", f"{len(data)} bytes exceed the limit of {size} for {name}")


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _open(data: bytes, name: str) -> _Opened:
    """Read the headers: of a JPEG by pycurate.images.jpeg, of all else by Pillow."""
    if not data:
        raise UnreadableError("empty", "the file has no bytes")
    if not name:
        raise UnreadableError("not_an_image", f"no image format begins with {data[:16]!r}")
    if name not in _READERS:
        raise UnreadableError("unsupported", f"{name} is not decoded")
    if name == "jpeg":
        return _open_jpeg(data)
    if name == "png" and data.rfind(b"IEND") < 0:
        raise UnreadableError("truncated", "the PNG ends before its IEND chunk")
    if name == "webp" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise UnreadableError("truncated", "the WebP is shorter than its RIFF header says")
    limits.check(data, name)
    image = _READERS[name](io.BytesIO(data))
    width, height = image.size
    if isinstance(image, _Tiff) and exif.chosen(image.tag_v2.get(exif.ORIENTATION), None) >= 5:
        width, height = height, width  # Pillow says the upright size
    quality = webp_quality(data) if name == "webp" else None
    read = (lambda: _png_pixels(image, data)) if name == "png" else (lambda: _pixels(image))
    return _Opened(width, height, lambda: _orientation(image), read, FORMATS[name].need, quality=quality)


def _open_jpeg(data: bytes) -> _Opened:
    header = jpeg.read_header(data)
    width, height = header.width, header.height
    if not header.common and (header.bits != 8 or header.frame not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)):
        raise UnreadableError("unsupported", f"JPEG process {header.frame - 0xC0} of {header.bits} bits")
    refusal = None
    if header.scanned > limits.SCANNED:
        most = f"{limits.SCANS}, or than go over {limits.SCANNED} pixels together"
        refusal = UnreadableError(
            "too_large", f"{header.scans} scans of {width} x {height} pixels are more than {most}"
        )
    read = (lambda: _jpeg_pixels(data, header)) if header.common else (lambda: _pillows_jpeg(data, header))
    need = max(FORMATS["jpeg"].need, 3 * header.components)  # a coefficient of two bytes and a sample for each
    return _Opened(width, height, lambda: header.orientation, read, need, refusal, header.quality)


def _orientation(image: Image.Image) -> int:
    """What Pillow would turn by, from wherever the format keeps it (`PIL.Image.Image.getexif`)."""
    block, xmp = image.info.get("exif"), image.info.get("XML:com.adobe.xmp") or image.info.get("xmp")
    if isinstance(image, _Tiff):
        return exif.chosen(image.tag_v2.get(exif.ORIENTATION), xmp)
    profile = image.info.get("Raw profile type exif")  # of a PNG by ImageMagick: EXIF in hexadecimal digits
    if block is None and profile:
        try:
            block = bytes.fromhex("".join(profile.split("\n")[3:]))
        except ValueError:
            return 1
    return exif.orientation(block, xmp)


_BAND = 1 << 22
"""Pixels that become RGB at a time: Pillow and numpy copy them thrice."""


def _pixels(image: Image.Image) -> np.ndarray:
    """uint8 (height, width, 3) of an opened image, as stored."""
    image.load()
    width, height = image.size
    if width * height <= _BAND:
        return _rgb(image, image)
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        pixels[top : top + rows] = _rgb(image.crop((0, top, width, min(top + rows, height))), image)
    return pixels


def _png_pixels(image: Image.Image, data: bytes) -> np.ndarray:
    """The pixels of a PNG. Pillow takes data that ends behind any row for whole, and leaves the rows behind it 0."""
    pixels = _pixels(image)
    last = image.crop((0, image.height - 1, image.width, image.height))
    if (image.info.get("interlace") or not np.asarray(last).any()) and not png.whole(data):
        raise EOFError("the PNG's pixel data ends before its last row")
    return pixels


def _rgb(part: Image.Image, image: Image.Image) -> np.ndarray:
    """Part of an image as RGB."""
    if part.mode.startswith("I;16") or (part.mode == "I" and image.format == "PPM"):  # whose numbers have 16 bits
        bits, inverted = 16, False
        if isinstance(image, _Tiff):  # Pillow neither scales 12 bits nor knows that white may be 0
            bits, inverted = image.tag_v2.get(258, (16,))[0], image.tag_v2.get(262) == 0
        grey = (np.asarray(part).astype(np.uint16) >> max(0, min(bits, 16) - 8)).astype(np.uint8)
        part = Image.fromarray(255 - grey if inverted else grey)
    elif part.mode in ("I", "F"):
        raise UnreadableError("unsupported", f"{image.format} with 32-bit samples, which have no standard range")
    return np.array(part.convert("RGB"))


def _jpeg_pixels(data: bytes, header: jpeg.JpegHeader) -> np.ndarray:
    """The pixels of a plain JPEG, as stored.

    `strict` fails on any warning: without it simplejpeg returns memory that nobody wrote where an error follows a
    warning. Pillow tells the two apart; it also knows samplings that libjpeg-turbo's simple interface does not.
    """
    try:
        return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError as error:  # kept by no other name: it would hold this frame, and that the pixels, in a cycle
        try:
            return _pillows_jpeg(data, header)
        except (OSError, SyntaxError, ValueError) as second:
            if "truncated" in str(second):
                raise
            raise error from second  # libjpeg's own words; Pillow has one sentence for all


def _pillows_jpeg(data: bytes, header: jpeg.JpegHeader) -> np.ndarray:
    return _pixels(JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg.bare(data, header))))


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation: 2-4 mirror or rotate by 180 degrees, 5-8 exchange width and height as well."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    flipped_rows, flipped_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels[:: -1 if flipped_rows else 1, :: -1 if flipped_columns else 1])
