"""What a copy of an image has lost, told from its own pixels and header: real detail, compression, sharpening, colour.

All is measured on TILES, so on pixels as they were decoded, of the same parts of the picture in each of its copies.
Its constants were fitted on the photographs of BSDS500 and Kodak's and on camera files, each with a dozen edits; those
of `pycurate.images.softness` have a script of their own.
"""

from dataclasses import dataclass, replace

import numpy as np

from pycurate.images.decode import ImageInfo
from pycurate.images.jpeg import MEAN_STEP, scale_of
from pycurate.images.softness import STEPS, bands, signs, softened
from pycurate.images.traces import histograms, past_quality, recoded_quality
from pycurate.images.views import TILE, TILES_ACROSS, corners

BLOCK = 8  # the side of a DCT block, which JPEG has as well
FLAT = 4  # levels between the darkest and the brightest pixel of a row that belongs to a plain border
UNKNOWN = 75.0  # the JPEG quality that formats count as whose own is not read, and images with a palette's colours
AGAIN = 0.5  # bits that a second compression adds to the coarser of both
DELIVERED, DELIVERY = ("webp", "avif"), 2.5  # formats that no camera writes, and the bits that another file before adds
PALETTE = 256  # colours
FLAT_SHARE = 0.85  # of pixels that equal their neighbour, in graphics, which need no more colours than that
TINT = 12  # levels between the colours of a pixel that is grey, after compression too
LEAST_BORDER = 0.08  # of the area; less is no border but an uneven edge
_SIDE = TILE * TILES_ACROSS
_COUNT = _SIDE // BLOCK

_k = np.arange(BLOCK)
_DCT = np.cos(np.pi * (2 * _k + 1) * _k[:, None] / (2 * BLOCK)) * np.where(_k[:, None], 0.5, np.sqrt(1 / 8))
_DCT = _DCT.astype(np.float32)


@dataclass(frozen=True)
class Evidence:
    """What tells an original from its copies.

    Attributes:
        detail: pixels that hold real detail: those within a plain border, less what enlarging or blurring made of
            them. The same for an image and its compressed copy, smaller for whatever is smaller, cropped or enlarged.
        loss: what was lost of those, the more the higher: bits by which compression is coarser and edges are steeper
            than another's. Only differences between copies of one picture mean anything.
        jpeg_quality: 1-100, of the coarsest JPEG compression that the file's table or its pixels show; None if none.
    """

    detail: float
    loss: float
    jpeg_quality: float | None


@dataclass(frozen=True)
class Seen:
    """What is measured of one image.

    Attributes:
        pixels: those within a plain border.
        levels: float64 (7,), the bands of `pycurate.images.softness` within it.
        signs: its signs of enlarging and blurring.
        past: the JPEG quality that its pixels show, None if none.
        told: the JPEG quality that its file tells of or counts as.
        paletted: whether it is a photograph in a palette's few colours, whose steps and dither look like detail.
    """

    pixels: float
    levels: np.ndarray
    signs: np.ndarray
    past: float | None
    told: float
    paletted: bool

    @property
    def coarsest(self) -> float:
        """1-100, the lower of both qualities."""
        return self.told if self.past is None else min(self.told, self.past)


def evidence(image: tuple[np.ndarray, ImageInfo]) -> Evidence:
    """Measure one image: uint8 (3, 256, 256), RGB, its pixels in the view TILES, and what is known of its file."""
    tiles, info = image
    seen = look(image)
    lossy = seen.told < 100
    again = 0.0
    if seen.past is not None and seen.past < seen.told - 4:  # compressed once more, or kept without loss since
        again = AGAIN if lossy else 0.1
    elif lossy and info.format in DELIVERED:
        again = DELIVERY
    spread = tiles.max(axis=0) - tiles.min(axis=0)
    grey = bool(spread.max() <= TINT)
    loss = _coarseness(seen.coarsest) + again + 6 * float(seen.levels[1] - seen.levels[0]) + 16 * grey
    own = info.quality if info.format == "jpeg" else None
    known = [quality for quality in (seen.past, own) if quality is not None]
    detail = seen.pixels * 2 ** -(STEPS.sum() if seen.paletted else softened(seen.levels, seen.signs))
    return Evidence(detail, loss, min(known, default=None))


def look(image: tuple[np.ndarray, ImageInfo]) -> Seen:
    """What `evidence` goes by, but for colour."""
    tiles, info = image
    width, height = info.width, info.height
    red, green, blue = tiles.astype(np.uint16)
    luminance = ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8)
    rows, columns = _content(luminance[:, _shown(width)], height), _content(luminance[_shown(height)].T, width)
    coefficients = _transformed(luminance)
    down, across = _inside(rows, height), _inside(columns, width)
    if not (down.all() and across.all()):
        coefficients = coefficients[down][:, :, across]
    share = (rows[1] - rows[0]) * (columns[1] - columns[0]) / (width * height)
    # In eighths, and one less, so that what compression blurs of a border's edge does not matter.
    share = max(1, int(8 * share) - 1) / 8 if share < 1 - LEAST_BORDER else 1.0

    energy = _energy(coefficients)
    levels = bands(energy)
    counts = histograms(coefficients)
    past = past_quality(counts)
    paletted = _paletted(tiles)
    told = info.quality or (UNKNOWN if paletted or info.format in ("avif", "jp2") else 100.0)
    seen = Seen(width * height * share, levels, np.zeros(0), past, told, paletted)
    compression = (_coarseness(seen.coarsest), _coarseness(told), float(past is not None))
    seen = replace(seen, signs=signs(energy, levels, luminance, compression))  # fitted without what follows
    recoded = recoded_quality(counts, told) if info.format == "jpeg" else None
    return seen if recoded is None or recoded >= seen.coarsest else replace(seen, past=recoded)


def _paletted(tiles: np.ndarray) -> bool:
    """Whether uint8 (3, 256, 256) has at most PALETTE colours, neither grey nor flat as drawn graphics are."""
    if _distinct(_colours(tiles.reshape(3, -1)[:, ::61])) > PALETTE:  # as in nearly all photographs
        return False
    if (tiles[0] == tiles[1]).all() and (tiles[1] == tiles[2]).all():
        return False
    colours = _colours(tiles)
    return _distinct(colours) <= PALETTE and (colours[:, 1:] == colours[:, :-1]).mean() < FLAT_SHARE


def _distinct(numbers: np.ndarray) -> int:
    """How many different numbers there are: by sorting, a fifth of the time of np.unique."""
    ordered = np.sort(numbers, axis=None)
    return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def _colours(pixels: np.ndarray) -> np.ndarray:
    """uint8 (3, ...) -> uint32 (...): a number for each colour."""
    red, green, blue = pixels.astype(np.uint32)
    return red << 16 | green << 8 | blue


def _coarseness(quality: float) -> float:
    """In bits, of JPEG's quantisation at this quality."""
    return float(np.log2(max(5.8, MEAN_STEP * scale_of(quality) / 100)))  # finer ones leave no trace


def _transformed(luminance: np.ndarray) -> np.ndarray:
    """uint8 (256, 256) -> float32 (32, 8, 32, 8): block row, u, block column, v."""
    down = np.matmul(_DCT, luminance.reshape(_COUNT, BLOCK, _SIDE).astype(np.float32))
    # In products so small that no library takes threads of its own for them.
    return np.matmul(down.reshape(_COUNT, -1, BLOCK), _DCT.T).reshape(_COUNT, BLOCK, _COUNT, BLOCK)


def _content(luminance: np.ndarray, length: int) -> tuple[int, int]:
    """The first row of the image that is no plain border, and the one behind the last; all rows if all are plain."""
    end = _SIDE - max(TILE - length, 0)
    if not _plain(luminance[[0, end - 1]]).any():
        return 0, length
    at = np.add.outer(corners(length), np.arange(min(TILE, length))).ravel()
    rich = np.flatnonzero(~_plain(luminance[_shown(length)]))
    if not len(rich):
        return 0, length
    first, last = rich[0], rich[-1]
    return int(at[first]) if first else 0, int(at[last]) + 1 if last < len(at) - 1 else length


def _shown(length: int) -> np.ndarray:
    """int64 (n,): which places of TILES hold pixels of an image that is `length` pixels wide or high."""
    return np.add.outer(TILE * np.arange(TILES_ACROSS), np.arange(min(TILE, length))).ravel()


def _plain(lines: np.ndarray) -> np.ndarray:
    """uint8 (n, places) -> bool (n,)"""
    return lines.max(axis=1) - lines.min(axis=1) <= FLAT


def _inside(content: tuple[int, int], length: int) -> np.ndarray:
    """bool (32,): which blocks lie whole in the image and, where there is a border, a block's side within it."""
    if content == (0, length) and length >= TILE:
        return np.ones(_COUNT, bool)
    at = np.add.outer(corners(length), BLOCK * np.arange(TILE // BLOCK)).ravel()
    low = content[0] + BLOCK if content[0] else 0
    high = content[1] - BLOCK if content[1] < length else length
    within = (at >= low) & (at + BLOCK <= high)
    return within if within.sum() > 1 else np.ones(_COUNT, bool)


def _energy(coefficients: np.ndarray) -> np.ndarray:
    """float32 (8, 8): the mean energy of each coefficient, in levels squared."""
    count = len(coefficients) * coefficients.shape[2]
    return (coefficients * coefficients).sum(axis=0).sum(axis=1) / count
