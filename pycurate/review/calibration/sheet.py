"""A sheet: the pairs or images that a person is asked about, and what each of them stands for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pycurate.results.criteria import Side

SEED = 0
"""Of what is drawn: the same tables give the same sheet."""


@dataclass(frozen=True)
class Band:
    """A part of the images, each of which had the same chance to be drawn.

    Attributes:
        of: images among which those of the band were sought.
        compared: how many of them were looked at, drawn at random; all of them where it equals `of`.
        found: how many of these belong to the band.
    """

    of: int
    compared: int
    found: int

    @property
    def images(self) -> float:
        """How many images belong to the band: counted, or estimated where not all were looked at."""
        return self.of * self.found / self.compared if self.compared else 0.0


@dataclass(frozen=True)
class Item:
    """One question: the uids of a pair, the better one first, or of an image; its similarity or score; its band."""

    uids: tuple[str, ...]
    value: float
    band: int


@dataclass(frozen=True)
class Sheet:
    """What is asked, in the order in which it is.

    Attributes:
        run: identifies the tables that it was drawn from.
        score: whose threshold is in question; None for the duplicate threshold.
        keeps: the side of the threshold that is in question: of pairs, those that count as duplicates.
        threshold: of the run, if it had one.
        bands: parts of what is judged, without overlap.
        items: drawn from the bands.
    """

    run: str
    score: str | None
    keeps: Side
    threshold: float | None
    bands: tuple[Band, ...]
    items: tuple[Item, ...]

    @property
    def values(self) -> np.ndarray:
        """float32 (items,): the similarity or score of each."""
        return np.array([item.value for item in self.items], np.float32)

    def inside(self, threshold: float) -> np.ndarray:
        """bool (items,): which are on the side in question, compared in float32 as by the filters and the search."""
        at = np.float32(threshold)
        return self.values >= at if self.keeps.above else self.values < at


def systematic(values: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """int64 (min(count, n),): positions of a systematic sample of float (n,), evenly spread along the sorted values.

    Every position has the same chance (W. G. Cochran, Sampling Techniques, chapter 8), and each `count`-th part of the
    sorted values gives one.
    """
    count = min(count, len(values))
    if not count:
        return np.zeros(0, np.int64)
    places = (np.arange(count) + random.random()) * len(values) / count
    return np.argsort(values, kind="stable")[places.astype(np.int64).clip(max=len(values) - 1)]


def shuffled(items: Sequence[Item], random: np.random.Generator) -> tuple[Item, ...]:
    """The items in random order, so that whoever stops early has answered a fair part of every band."""
    return tuple(items[place] for place in random.permutation(len(items)))
