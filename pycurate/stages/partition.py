"""PARTITION: the input's shards, in groups of about equal bytes and in a stable order."""

from collections.abc import Sequence

from pycurate.errors import UsageError
from pycurate.shards.listing import Shard


def partition(shards: Sequence[Shard], partition_bytes: int) -> list[list[Shard]]:
    """Cut the shards, in their order, into groups that reach `partition_bytes` each; the last may be smaller.

    A group ends where it comes nearest to its size, so shards added behind the last change only the last group.
    """
    groups: list[list[Shard]] = []
    room = 0.0
    for shard in shards:
        if not groups or room < shard.bytes / 2:
            groups.append([])
            room = partition_bytes
        groups[-1].append(shard)
        room -= shard.bytes
    return groups


def bytes_in(minutes: float, images_per_second: float, shards: Sequence[Shard]) -> int:
    """Bytes of shards that a task of this rate embeds in so many minutes.

    The bytes of an image are those of three shards of the input (first, middle, last), whose headers are read.
    Raises UsageError if they hold no image.
    """
    from pycurate.shards.count import count  # here, since it brings torch, which takes seconds

    probes = {shards[at] for at in (0, len(shards) // 2, -1)}
    images = sum(count(shard).images for shard in probes)
    if not images:
        raise UsageError("The first, middle and last shard contain no image; use --partition-bytes instead.")
    return max(1, round(minutes * 60 * images_per_second * sum(shard.bytes for shard in probes) / images))
