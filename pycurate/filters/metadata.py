"""Filters on what is known of a sample beside its scores: size, aspect ratio, caption.

A filter is a small class with a `reason`, the name under which the decisions count what it drops, and `passes`; made
as `Class()` or, named as `module:Class=VALUE`, as `Class(VALUE)` with a float. The values that stand here are those of
the "basic filtering" of the DataComp benchmark (Gadre et al. 2023, section 3.2 and appendix): shorter side at least
200 pixels, aspect ratio at most 3, more than 2 words and more than 5 characters of caption.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class MinSide:
    """Pass an image whose shorter side has at least this many pixels."""

    pixels: float = 200
    reason: ClassVar[str] = "min_side"

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,); reads width and height."""
        return np.minimum(table["width"].to_numpy(), table["height"].to_numpy()) >= self.pixels


@dataclass(frozen=True)
class MaxAspect:
    """Pass an image whose longer side is at most this many times the shorter one."""

    ratio: float = 3
    reason: ClassVar[str] = "max_aspect"

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,); reads width and height."""
        width, height = table["width"].to_numpy(), table["height"].to_numpy()
        # A quotient of whole numbers is rounded as 1.13 is when it is read; 1.13 times 100 is less than 113.
        return np.maximum(width, height) / np.minimum(width, height) <= self.ratio


@dataclass(frozen=True)
class CaptionWords:
    """Pass a sample whose caption has more than this many words, as white space parts them. No caption: no words."""

    more_than: float = 2
    reason: ClassVar[str] = "caption_words"

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,); reads caption."""
        words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(_captions(table))))
        # An empty string splits into one empty word.
        return words.to_numpy() * _written(table) > self.more_than


@dataclass(frozen=True)
class CaptionCharacters:
    """Pass a sample whose caption has more than this many characters, white space at its ends not counted."""

    more_than: float = 5
    reason: ClassVar[str] = "caption_characters"

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,); reads caption."""
        return pc.utf8_length(pc.utf8_trim_whitespace(_captions(table))).to_numpy() > self.more_than


@dataclass(frozen=True)
class HasCaption:
    """Pass a sample that has a caption with something in it."""

    reason: ClassVar[str] = "missing_caption"

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,); reads caption."""
        return _written(table)


def _captions(table: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(table["caption"].cast(pa.string()), "")


def _written(table: pa.Table) -> np.ndarray:
    """bool (n,): whether the caption has anything but white space."""
    return pc.utf8_length(pc.utf8_trim_whitespace(_captions(table))).to_numpy() > 0
