"""How many samples share a caption: a caption that many have describes none of their images.

`caption_count` is the number of readable samples of the whole input whose normalised caption is the same, itself among
them; a sample without a caption has none. To normalise is to apply Unicode's NFKC, to fold case, and to make each run
of white space one space. Captions are compared by 128 bits of BLAKE2b: that any two of a thousand million different
ones agree in these has a chance of 1e-21.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

CAPTION_COUNT = "caption_count"


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
    return " ".join(unicodedata.normalize("NFKC", caption).casefold().split())


def digests(captions: pa.ChunkedArray) -> np.ndarray:
    """uint64 (n, 2): of each normalised caption; 0 of none."""
    rows = (normalised(caption) for caption in captions.fill_null("").to_pylist())
    whole = b"".join(hashlib.blake2b(row.encode(), digest_size=16).digest() if row else bytes(16) for row in rows)
    return np.frombuffer(whole, np.uint64).reshape(-1, 2)


def counts(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """float32 (n,) for each part, of digests of all samples: how many share each; NaN of none."""
    every = np.concatenate([np.zeros((0, 2), np.uint64), *parts])
    pairs = np.ascontiguousarray(every).view([("high", "<u8"), ("low", "<u8")]).reshape(-1)
    _, group, sizes = np.unique(pairs, return_inverse=True, return_counts=True)
    shared = np.where(every.any(axis=1), sizes[group.reshape(-1)], np.nan).astype(np.float32)
    return np.split(shared, np.cumsum([len(part) for part in parts])[:-1]) if len(parts) else []
