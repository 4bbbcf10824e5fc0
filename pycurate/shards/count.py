"""What the headers of a shard say: nothing is decoded, and of each member a kilobyte is read."""

import hashlib
import heapq
import logging
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from pycurate.errors import ShardError
from pycurate.images.formats import DECODED, EXTENSIONS, sniff
from pycurate.shards.listing import Shard
from pycurate.shards.samples import Sample, read_samples

log = logging.getLogger(__name__)

HEAD = 1024  # bytes of a member by which its format is told; they come with the block that holds its header
SKETCH = 256  # samples of a shard whose keys and places are kept: those of the smallest hashes, so a random choice
HUGE = 64_000_000  # bytes of a sample that is worth a word
UNREADABLE = "unreadable_shard"  # beside the error codes of samples: the shard's file cannot be read


@dataclass
class ShardCount:
    """What the headers of one shard say.

    Attributes:
        samples: rows that EMBED will leave of it, readable or not.
        images: those of them that may be readable: neither headers nor first bytes speak against it.
        errors: how many of the others there are, by their error code.
        formats: of all samples' one image, as its first bytes say; "" where they say nothing.
        renamed: of `images`, those whose extension names another format than their first bytes.
        captioned: of `images`, those with a .txt or .json member.
        huge: samples of more than HUGE bytes.
        keys: uint64 (k,), ascending hashes of the keys of at most SKETCH samples.
        places: int64 (k, 2), offset and bytes of each of these in the shard; 0 bytes where it is none of `images`.
    """

    shard: Shard
    samples: int = 0
    images: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    renamed: int = 0
    captioned: int = 0
    huge: int = 0
    keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    places: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))


def count(shard: Shard) -> ShardCount:
    """Read the headers of one shard. Samples are those that EMBED finds, since the same code tells them."""
    counted = ShardCount(shard)
    sketch: list[tuple[int, int, int]] = []  # a heap; the largest hash, as the smallest negative, comes first
    try:
        for sample in read_samples(shard.path, shard.name, most=HEAD):
            _add(counted, sample)
            if sample.key:
                key = hashlib.blake2b(sample.key.encode(), digest_size=8).digest()
                entry = (-int.from_bytes(key, "big"), sample.tar_offset, 0 if sample.error else sample.tar_size)
                if len(sketch) < SKETCH:
                    heapq.heappush(sketch, entry)
                else:
                    heapq.heappushpop(sketch, entry)
    except (ShardError, OSError) as error:
        log.warning("%s: %s", shard.name, error)
        counted.errors[UNREADABLE] += 1
    sketch.sort(reverse=True)
    counted.keys = np.array([-negative for negative, *_ in sketch], np.uint64)
    counted.places = np.array([place for _, *place in sketch], np.int64).reshape(-1, 2)
    return counted


def _add(counted: ShardCount, sample: Sample) -> None:
    """Count one sample, and fail it if its image's first bytes say that EMBED will."""
    counted.samples += 1
    counted.huge += bool(sample.key) and sample.tar_size > HUGE
    if sample.error is None:
        name = sniff(sample.data)
        counted.formats[name] += 1
        if not sample.size:
            sample.fail("empty", "the file has no bytes")
        elif not name:
            sample.fail("not_an_image", "no image format begins so")
        elif name not in DECODED:
            sample.fail("unsupported", f"{name} is not decoded")
    if sample.error is None:
        counted.images += 1
        counted.captioned += sample.captioned
        counted.renamed += name != EXTENSIONS[sample.ext.rpartition(".")[2]]
    else:
        counted.errors[sample.error] += 1
