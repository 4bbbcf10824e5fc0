"""The connected regions of a mask, and rectangles around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Region:
    """Pixels of a mask that touch each other, as runs within rows: int64 (n,) each, in the order of the rows.

    A run goes from the column `starts` up to, and without, the column `stops`.
    """

    rows: np.ndarray
    starts: np.ndarray
    stops: np.ndarray

    def corners(self) -> np.ndarray:
        """float64 (4 n, 2): x and y of the corners of its runs, where a pixel is a square of side 1."""
        sides = [(x, y) for x in (self.starts, self.stops) for y in (self.rows, self.rows + 1)]
        return np.concatenate([np.stack(side, axis=1) for side in sides]).astype(np.float64)

    def mean(self, values: np.ndarray) -> float:
        """The mean of float32 (height, width) over its pixels."""
        runs = zip(self.rows, self.starts, self.stops, strict=True)
        total = sum(float(values[row, start:stop].sum(dtype=np.float64)) for row, start, stop in runs)
        return total / int((self.stops - self.starts).sum())


def regions(mask: np.ndarray) -> list[Region]:
    """The regions of bool (height, width), in the order of their first pixels; corners touch, too."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, stops = np.nonzero(edges == -1)
    across = mask.shape[1] + 1
    # A run touches those of the row above that end at its start or later, and start at its end or earlier.
    firsts = np.searchsorted(rows * across + stops, (rows - 1) * across + starts)
    lasts = np.searchsorted(rows * across + starts, (rows - 1) * across + stops, side="right")
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = run = parents[parents[run]]
        return run

    for run, (first, last) in enumerate(zip(firsts.tolist(), lasts.tolist(), strict=True)):
        for above in range(first, last):
            one, other = sorted((root(run), root(above)))
            parents[other] = one
    owners = np.array([root(run) for run in range(len(rows))], np.int64)
    order = np.argsort(owners, kind="stable")
    ends = np.flatnonzero(np.diff(owners[order])) + 1
    parts = (np.split(part[order], ends) for part in (rows, starts, stops))
    return [Region(*region) for region in zip(*parts, strict=True)] if len(rows) else []


def hull(points: np.ndarray) -> np.ndarray:
    """float64 (n, 2), not all on one line -> (m, 2): the corners of their convex hull, in order (Andrew 1979)."""

    def half(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
        chain: list[tuple[float, float]] = []
        for x, y in ordered:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (y - ay) > (by - ay) * (x - ax):
                    break
                chain.pop()
            chain.append((x, y))
        return chain[:-1]

    ordered = [(x, y) for x, y in np.unique(points, axis=0).tolist()]
    return np.array(half(ordered) + half(ordered[::-1]))


@dataclass(frozen=True)
class Rectangle:
    """A rectangle at any angle.

    Attributes:
        centre: x and y.
        axis: the direction of its first side, of length 1; the other side is at a right angle to it.
        sides: the lengths of both.
    """

    centre: tuple[float, float]
    axis: tuple[float, float]
    sides: tuple[float, float]

    @classmethod
    def around(cls, points: np.ndarray) -> Rectangle:
        """The smallest one around float64 (n, 2): one of its sides lies on a side of their hull (Freeman and Shapira,
        1975)."""
        corners = hull(points)
        along = np.roll(corners, -1, axis=0) - corners
        axes = along / np.linalg.norm(along, axis=1, keepdims=True)
        both = np.stack([axes, axes[:, ::-1] * (-1, 1)])  # (2, sides, xy)
        places = both @ corners.T
        low, high = places.min(axis=2), places.max(axis=2)
        best = int(np.argmin((high - low).prod(axis=0)))
        centre = ((low + high)[:, best, None] / 2 * both[:, best]).sum(axis=0)
        return cls(*(tuple(pair.tolist()) for pair in (centre, axes[best], (high - low)[:, best])))

    def grown(self, distance: float) -> Rectangle:
        """The same with each side moved outwards by this distance."""
        return Rectangle(self.centre, self.axis, (self.sides[0] + 2 * distance, self.sides[1] + 2 * distance))

    def corners(self) -> np.ndarray:
        """float64 (4, 2): x and y, in order."""
        first, second = np.array(self.axis), np.array([-self.axis[1], self.axis[0]])
        signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2
        return np.array(self.centre) + (signs * self.sides) @ np.stack([first, second])


def inside(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """bool (height, width): the pixels whose centres lie in a convex polygon, float64 (n, 2) corners in order."""
    found = np.zeros((height, width), bool)
    low = np.floor(polygon.min(axis=0)).astype(int).clip(0, (width, height))
    high = np.ceil(polygon.max(axis=0)).astype(int).clip(0, (width, height))
    x, y = np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1])[:, None] + 0.5
    along = np.roll(polygon, -1, axis=0) - polygon
    sides = [(ax * (y - py) - ay * (x - px)) for (px, py), (ax, ay) in zip(polygon, along, strict=True)]
    left, right = (np.logical_and.reduce([side >= 0 for side in turned]) for turned in (sides, [-s for s in sides]))
    found[low[1] : high[1], low[0] : high[0]] = left | right
    return found
