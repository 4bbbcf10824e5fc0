"""Real photographs as image files of every kind, whole and broken."""

import io
import struct
import tarfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / "shared" / "images"


@cache
def photographs() -> dict[str, bytes]:
    """A dozen photographs as JPEG: those that lie beside the project, else scikit-image's packaged ones."""
    if SHARED.is_dir():
        with tarfile.open(SHARED / "00000.tar") as tar:
            names = [name for name in tar.getnames() if name.endswith(".jpg")][::4][:12]
            return {name: file.read() for name in names if (file := tar.extractfile(name))}
    folder = Path(skimage.__file__).parent / "data"
    packaged = ("coffee", "astronaut", "chelsea", "motorcycle_left", "rocket", "hubble_deep_field", "ihc", "camera")
    paths = [path for name in packaged for path in folder.glob(f"{name}.*")]
    return {path.name: encode(Image.open(path).convert("RGB"), "JPEG", quality=90) for path in paths}


@cache
def photograph() -> Image.Image:
    """The first of them, decoded."""
    return Image.open(io.BytesIO(next(iter(photographs().values())))).convert("RGB")


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image file of Pillow's format `kind`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int, order: str) -> bytes:
    """An EXIF block that holds an orientation, in byte order `<` or `>`."""
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 1) + entry + b"\0" * 4


def png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """An RGB PNG written by hand: what its header claims, and the filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def transparent() -> Image.Image:
    """The photograph with alpha that grows from left to right."""
    image = photograph().copy()
    image.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, image.width).astype(np.uint8), (image.height, 1))))
    return image


@cache
def kinds() -> dict[str, bytes]:
    """The photograph in every format and mode whose pixels are those of Pillow's convert("RGB")."""
    image = photograph()
    grey, palette = image.convert("L"), image.quantize(64)
    return {
        "jpeg": encode(image, "JPEG", subsampling=0),
        "jpeg 4:2:0": encode(image, "JPEG", subsampling=2),
        "jpeg odd size": encode(image.crop((0, 0, 123, 77)), "JPEG", subsampling=2),
        "jpeg progressive": encode(image, "JPEG", progressive=True),
        "jpeg with restarts": encode(image, "JPEG", restart_marker_blocks=4),
        "jpeg grey": encode(grey, "JPEG"),
        "jpeg cmyk": encode(image.convert("CMYK"), "JPEG"),
        "png": encode(image, "PNG"),
        "png alpha": encode(transparent(), "PNG"),
        "png grey alpha": encode(transparent().convert("LA"), "PNG"),
        "png palette": encode(palette, "PNG"),
        "png palette transparent": encode(palette, "PNG", transparency=3),
        "png grey": encode(grey, "PNG"),
        "png bilevel": encode(image.convert("1"), "PNG"),
        "webp": encode(image, "WEBP"),
        "webp lossless alpha": encode(transparent(), "WEBP", lossless=True),
        "bmp": encode(image, "BMP"),
        "tiff": encode(image, "TIFF"),
        "tiff lzw": encode(image, "TIFF", compression="tiff_lzw"),
        "tiff cmyk": encode(image.convert("CMYK"), "TIFF"),
        "gif": encode(image, "GIF"),
        "avif": encode(image, "AVIF"),
        "jp2": encode(image, "JPEG2000"),
        "ppm": encode(image, "PPM"),
    }


def claiming(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header states another size."""
    at = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


def without_tables(jpeg: bytes) -> bytes:
    """A JPEG that is whole and well-formed, but whose first Huffman table is nonsense: no decoder reads it."""
    at = jpeg.find(b"\xff\xc4") + 5
    return jpeg[:at] + b"\xff" * 16 + jpeg[at + 16 :]


def lacking(jpeg: bytes) -> bytes:
    """A JPEG whose luma names a quantisation table that is not there."""
    at = jpeg.find(b"\xff\xc0") + 12
    return jpeg[:at] + b"\3" + jpeg[at + 1 :]


@cache
def broken() -> dict[str, tuple[bytes, str]]:
    """Files that cannot be read, with the code that each must get."""
    jpeg, image = next(iter(photographs().values())), photograph()
    lossless, webp = encode(image, "PNG"), encode(image, "WEBP")
    thumbnail = encode(image.resize((64, 48)), "JPEG")
    with_thumbnail = encode(image, "JPEG", exif=exif(1, ">") + thumbnail)
    return {
        "no bytes": (b"", "empty"),
        "html": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "not_an_image"),
        "zeros": (b"\0" * 5000, "not_an_image"),
        "one byte": (jpeg[:1], "not_an_image"),
        "jpeg two bytes short": (jpeg[:-2], "truncated"),
        "jpeg half": (jpeg[: len(jpeg) // 2], "truncated"),
        "jpeg header alone": (jpeg[:200], "truncated"),
        "jpeg cut behind a thumbnail": (with_thumbnail[:-300], "truncated"),
        "progressive jpeg cut": (encode(image, "JPEG", progressive=True)[:-5000], "truncated"),
        "jpeg without tables": (without_tables(jpeg), "corrupt"),
        "jpeg of no height": (claiming(jpeg, 500, 0), "corrupt"),
        "jpeg of 65000 x 65000": (claiming(jpeg, 65000, 65000), "too_large"),
        "png half": (lossless[: len(lossless) // 2], "truncated"),
        "png without end": (lossless[:-12], "truncated"),
        "png damaged": (lossless[:5000] + b"\0" * 50 + lossless[5050:], "corrupt"),
        "png of 60000 x 60000": (png(60000, 60000, 8, b""), "too_large"),
        "webp half": (webp[: len(webp) // 2], "truncated"),
        "gif half": (encode(image, "GIF")[:5000], "truncated"),
        "bmp half": (encode(image, "BMP")[:5000], "truncated"),
        "float tiff": (encode(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"), "unsupported"),
        "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99, "unsupported"),
        "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported"),
        "pdf": (b"%PDF-1.7\n", "unsupported"),
    }
