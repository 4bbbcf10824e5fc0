"""What an input holds, from the headers of its shards: nothing is decoded, and of each member a kilobyte is read."""

import hashlib
import heapq
import logging
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TypeVar

import numpy as np

from pycurate.choice import cores
from pycurate.errors import ShardError
from pycurate.images import DECODED, sniff
from pycurate.partition import Shard
from pycurate.sampling import Interval, Stratum, total
from pycurate.shards import Sample, read_samples
from pycurate.tarwalk import begins_like_tar

log = logging.getLogger(__name__)

T = TypeVar("T")

HEAD = 1024  # bytes of a member by which its format is told; they come with the block that holds its header
SKETCH = 256  # samples of a shard whose keys and places are kept: those of the smallest hashes, so a random choice
HUGE = 64_000_000  # bytes of a sample that is worth a word
UNREADABLE = "unreadable_shard"  # beside the error codes of samples: the shard's file cannot be read

FORMATS = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), "jpeg"),
    **dict.fromkeys(("bmp", "dib"), "bmp"),
    **dict.fromkeys(("tif", "tiff"), "tiff"),
    **dict.fromkeys(("heic", "heif"), "heic"),
    **dict.fromkeys(("jp2", "j2k"), "jp2"),
    **dict.fromkeys(("ppm", "pgm", "pbm", "pnm"), "ppm"),
}  # extension -> format, where the two have different names


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


@dataclass(frozen=True)
class Survey:
    """What an input holds: `samples` and `images` as in ShardCount, of all shards.

    `not_tars` counts the shards, of all, that are not empty and do not begin like a tar; `counts` are of those read.
    """

    shards: Sequence[Shard]
    not_tars: int
    counts: Sequence[ShardCount]
    samples: Interval
    images: Interval

    @property
    def bytes(self) -> int:
        return sum(shard.bytes for shard in self.shards)


def survey(shards: Sequence[Shard], most: int | None) -> Survey:
    """Count the samples of the shards: of all where `most` is None or they are no more, else of a random sample.

    The first header of every shard is looked at. Those that begin like a tar and those that do not are strata of the
    estimate, of each of which `most` shards are read; empty files need no reading. The choice is the same at each call.
    """
    full = [shard for shard in shards if shard.bytes]
    with _workers() as pool:
        sound = list(pool.map(_begins_like_tar, full, chunksize=64))
        groups = [
            [shard for shard, is_tar in zip(full, sound, strict=True) if is_tar],
            [shard for shard, is_tar in zip(full, sound, strict=True) if not is_tar],
            [shard for shard in shards if not shard.bytes],
        ]
        chosen = [choose(group, most) for group in groups[:2]] + [groups[2]]
        log.info("reading the headers of %d of %d shards", sum(map(len, chosen)), len(shards))
        counts = [list(pool.map(count, group)) for group in chosen]

    def of_all(name: str) -> Interval:
        return total([stratum(group, read, name) for group, read in zip(groups, counts, strict=True)])

    return Survey(shards, len(groups[1]), [one for read in counts for one in read], of_all("samples"), of_all("images"))


def choose(items: Sequence[T], most: int | None) -> list[T]:
    """At most so many of the items, chosen at random but always the same, in their order; None: all."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[at] for at in sorted(random.Random(0).sample(range(len(items)), most))]


def stratum(group: Sequence[Shard], read: Sequence[ShardCount], name: str) -> Stratum:
    """The group as a stratum of an estimate of the total of `name`, a count of ShardCount."""
    sizes = np.array([one.shard.bytes for one in read], np.int64)
    counts = np.array([getattr(one, name) for one in read], np.int64)
    return Stratum(len(group), sum(shard.bytes for shard in group), sizes, counts)


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
        extension = sample.ext.rpartition(".")[2]
        counted.renamed += name != FORMATS.get(extension, extension)
    else:
        counted.errors[sample.error] += 1


def _begins_like_tar(shard: Shard) -> bool:
    try:
        with open(shard.path, "rb") as file:
            return begins_like_tar(file)
    except OSError:
        return True  # `count` will meet the same error, and says so


def _workers() -> ProcessPoolExecutor:
    """A process for each core. They are quiet: what they would warn of is counted."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # it imports torch, which takes seconds, once for all
    return ProcessPoolExecutor(cores(), context, initializer=logging.disable, initargs=(logging.CRITICAL,))
