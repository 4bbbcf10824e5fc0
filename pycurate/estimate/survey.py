"""What an input holds, from the headers of its shards: nothing is decoded, and of each member a kilobyte is read."""

import logging
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import numpy as np

from pycurate.errors import ShardError
from pycurate.estimate.sampling import Interval, Stratum, total
from pycurate.hardware import cores
from pycurate.shards.count import ShardCount, count
from pycurate.shards.header import BLOCK
from pycurate.shards.listing import Shard
from pycurate.shards.opening import open_shard
from pycurate.shards.tar import begins_like_tar

log = logging.getLogger(__name__)

T = TypeVar("T")


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
        chosen = [draw(group, most) for group in groups[:2]] + [groups[2]]
        log.info("reading the headers of %d of %d shards", sum(map(len, chosen)), len(shards))
        counts = [list(pool.map(count, group)) for group in chosen]

    def of_all(name: str) -> Interval:
        return total([stratum(group, read, name) for group, read in zip(groups, counts, strict=True)])

    return Survey(shards, len(groups[1]), [one for read in counts for one in read], of_all("samples"), of_all("images"))


def draw(items: Sequence[T], most: int | None) -> list[T]:
    """At most so many of the items, chosen at random but always the same, in their order; None: all."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[at] for at in sorted(random.Random(0).sample(range(len(items)), most))]


def stratum(group: Sequence[Shard], read: Sequence[ShardCount], name: str) -> Stratum:
    """The group as a stratum of an estimate of the total of `name`, a count of ShardCount."""
    sizes = np.array([one.shard.bytes for one in read], np.int64)
    counts = np.array([getattr(one, name) for one in read], np.int64)
    return Stratum(len(group), sum(shard.bytes for shard in group), sizes, counts)


def _begins_like_tar(shard: Shard) -> bool:
    try:
        with open_shard(shard.path, [(0, BLOCK)]) as file:
            return begins_like_tar(file)
    except (OSError, ShardError):
        return True  # `count` will meet the same error, and says so


def _workers() -> ProcessPoolExecutor:
    """A process for each core. They are quiet: what they would warn of is counted."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # what it imports is imported once for all
    return ProcessPoolExecutor(cores(), context, initializer=logging.disable, initargs=(logging.CRITICAL,))
