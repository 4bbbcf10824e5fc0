"""How many samples share a caption: a caption that many have describes none of their images.

`caption_count` is the number of readable samples of the whole input whose normalised caption is the same, itself among
them; a sample without a caption has none. To normalise is to apply Unicode's NFKC, to fold case, and to make each run
of white space one space. Captions are compared by 128 bits of BLAKE2b: that any two of a thousand million different
ones agree in these has a chance of 1e-21.
"""

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from pycurate.results.buckets import buckets

CAPTION_COUNT = "caption_count"
LONG = 1000  # characters, from which on marks are put in order here


@dataclass(frozen=True)
class MaxCaptionCount:
    """Pass a sample whose caption at most this many samples have, and one that has no caption."""

    most: float
    reason: ClassVar[str] = "max_caption_count"

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,); reads caption_count."""
        return ~(table[CAPTION_COUNT].to_numpy() > self.most)


def normalised(caption: str) -> str:
    """What of a caption is compared; empty if it is none."""
    return " ".join(_compatible(caption).casefold().split())


def _compatible(text: str) -> str:
    """The text in NFKC. Python takes time that grows with the square of a run of marks, so it gets them in order."""
    if len(text) > LONG:
        signs = "".join(unicodedata.normalize("NFKD", sign) for sign in text)
        runs = groupby(signs, lambda sign: unicodedata.combining(sign) > 0)
        text = "".join("".join(sorted(run, key=unicodedata.combining) if marks else run) for marks, run in runs)
    return unicodedata.normalize("NFKC", text)


def digests(captions: pa.ChunkedArray) -> np.ndarray:
    """uint64 (n, 2): of each normalised caption; 0 of none."""
    rows = (normalised(caption) for caption in captions.fill_null("").to_pylist())
    whole = b"".join(hashlib.blake2b(row.encode(), digest_size=16).digest() if row else bytes(16) for row in rows)
    return np.frombuffer(whole, np.uint64).reshape(-1, 2)


def counts(parts: Iterable[np.ndarray], folder: Path, samples: int) -> list[np.ndarray]:
    """float32 (n,) for each part, of digests of all samples: how many share each; NaN of none.

    There are at most `samples` of them; while they are counted they lie in files within `folder`.
    """
    ends = [0]
    with buckets(folder, 3, samples) as digested:
        for part in parts:
            ends.append(ends[-1] + len(part))
            known = np.flatnonzero(part.any(axis=1))
            digested.add(np.column_stack([part[known], (known + ends[-2]).astype(np.uint64)]))
        shared = np.full(ends[-1], np.nan, np.float32)
        for rows in digested:
            rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
            new = np.ones(len(rows), bool)
            new[1:] = (rows[1:, :2] != rows[:-1, :2]).any(axis=1)
            sizes = np.diff(np.flatnonzero(new), append=len(rows))
            shared[rows[:, 2].astype(np.int64)] = np.repeat(sizes, sizes)
    return np.split(shared, ends[1:-1]) if len(ends) > 1 else []
