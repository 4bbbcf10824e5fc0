"""Which stretches of a file are fetched, so that what is wanted of it comes in few requests."""

from collections.abc import Iterable

import numpy as np

APART = 1 << 20  # bytes between two stretches from which on they are fetched apart
WASTE = 0.4  # at most so many times the wanted bytes are fetched with them

Span = tuple[int, int]
"""Bytes of a file, from the first number up to the second."""


def joined(spans: Iterable[Span], apart: int = APART, waste: float = WASTE) -> list[Span]:
    """The spans in order, neighbours as one if they are less than `apart` bytes apart.

    Those nearest to each other are joined first, and only as long as the bytes between joined ones are at most `waste`
    times those of all spans. So a tenth of a file's samples, however small they are, takes at most 14 % of its bytes,
    and where most of a file is wanted it comes as a whole.
    """
    wanted = np.array(sorted(span for span in spans if span[0] < span[1]), np.int64).reshape(-1, 2)
    if not len(wanted):
        return []
    starts, stops = wanted[:, 0], np.maximum.accumulate(wanted[:, 1])
    gaps = starts[1:] - stops[:-1]
    total = int((stops - starts).sum() + np.minimum(gaps, 0).sum())
    order = np.argsort(gaps, kind="stable")
    between = np.cumsum(np.maximum(gaps[order], 0))
    close = np.zeros(len(gaps), bool)
    close[order] = (gaps[order] <= 0) | ((gaps[order] < apart) & (between <= waste * total))
    first = np.concatenate([[True], ~close])
    last = np.concatenate([~close, [True]])
    return list(zip(starts[first].tolist(), stops[last].tolist(), strict=True))
