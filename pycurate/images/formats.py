"""The image formats: by what they are told apart, and what becomes of them. The one place that knows them."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: lower-case, as `ImageInfo.format` gives it.
        magic: regular expression that the first bytes match; None where another sign tells it.
        brands: of an ISO base media file, whose `ftyp` box lists them; any of these makes it one of this format.
        extensions: by which a member of a shard is taken for an image. A format without any is recognised only to be
            named: beside an image such a file is a sidecar.
        need: bytes that a pixel takes at most while it is decoded: in the decoder, in Pillow's own image, and as RGB.
            0 where it is not decoded. Of a CMYK JPEG it is more (`pycurate.images.decode`).
        most_pixels: where a larger one would hold a thread for more than five seconds; of WebP, lossless ones.
        most_bytes: likewise: a byte takes 150 ns in JPEG 2000, 60 in AVIF, 45 in lossy WebP, 20 in progressive JPEG.
    """

    name: str
    magic: bytes | None = None
    brands: frozenset[bytes] = frozenset()
    extensions: tuple[str, ...] = ()
    need: int = 0
    most_pixels: int | None = None
    most_bytes: int | None = None


FORMATS = {
    format.name: format
    for format in (
        Format("jpeg", rb"\xff\xd8\xff", extensions=("jpg", "jpeg", "jpe", "jfif"), need=10, most_bytes=224 << 20),
        Format("png", rb"\x89PNG\r\n\x1a\n", extensions=("png",), need=8),
        Format("webp", rb"RIFF.{4}WEBP", extensions=("webp",), need=16, most_pixels=90_000_000, most_bytes=64 << 20),
        Format("bmp", rb"BM", extensions=("bmp", "dib"), need=8),
        Format("tiff", rb"II\*\0|MM\0\*", extensions=("tif", "tiff"), need=12),
        Format("gif", rb"GIF8[79]a", extensions=("gif",), need=8),
        Format("avif", brands=frozenset({b"avif", b"avis"}), extensions=("avif",), need=14, most_bytes=64 << 20),
        Format(
            "jp2",
            rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
            extensions=("jp2", "j2k"),
            need=24,
            most_pixels=50_000_000,
            most_bytes=24 << 20,
        ),
        Format("ppm", rb"P[1-6]\s", extensions=("ppm", "pgm", "pbm", "pnm"), need=8),
        # Not decoded.
        Format(
            "heic",
            brands=frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}),
            extensions=("heic", "heif"),
        ),
        Format("bigtiff", rb"II\+\0|MM\0\+"),
        Format("jxl", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", extensions=("jxl",)),
        Format("ico", rb"\0\0\x01\0", extensions=("ico",)),
        Format("tga", extensions=("tga",)),  # whose first bytes are no sign
        Format("psd", rb"8BPS"),
        Format("exr", rb"v/1\x01"),
        Format("hdr", rb"\#\?RADIANCE"),
        Format("pdf", rb"%PDF-"),
        Format("eps", rb"%!PS"),
        Format("svg", rb"(?=.{0,1020}<svg)[\xef\xbb\xbf \t\r\n]*+(?:<svg|<\?xm|<!--|<!DO)"),
    )
}

DECODED = frozenset(name for name, format in FORMATS.items() if format.need)
"""The names of those that are decoded."""

EXTENSIONS = {extension: name for name, format in FORMATS.items() for extension in format.extensions}
"""{extension: format} of the members that are taken for images, in lower case."""

_MAGIC = [(re.compile(format.magic, re.DOTALL), name) for name, format in FORMATS.items() if format.magic]
_BRANDED = [format for format in FORMATS.values() if format.brands]


def sniff(data: bytes) -> str:
    """The format that the first bytes announce, such as `jpeg`, `avif` or `heic`; empty where they announce none."""
    for magic, name in _MAGIC:
        if magic.match(data):
            return name
    if data[4:8] == b"ftyp":  # ISO base media: the brands, major and compatible, name the codec
        box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        brands = {box[at : at + 4] for at in range(0, len(box), 4)}
        return next((format.name for format in _BRANDED if format.brands & brands), "")
    return ""
