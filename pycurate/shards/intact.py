"""Checks by SHA-256 that the images that are read from a shard again are those that were embedded."""

import hashlib
from collections import deque
from dataclasses import dataclass

from pycurate.errors import ShardError


@dataclass(frozen=True)
class ImagePlace:
    """Where a sample's image lies in its shard, and the SHA-256 that its bytes had, in hex."""

    key: str
    offset: int
    size: int
    sha256: str


def check_image(shard: str, image: ImagePlace, sha256: str) -> None:
    """Raise ShardError if `sha256`, that of the shard's bytes at this place, is not the image's."""
    if sha256 != image.sha256:
        raise ShardError(
            f"In shard {shard}, the image of {image.key!r} is not the one that was embedded (its SHA-256 differs); "
            "restore the shard, or `touch` it and run the workflow again with -resume to embed its present images."
        )


class Images:
    """The images of one shard that are to be copied, hashed while their bytes are copied."""

    def __init__(self, shard: str) -> None:
        self._shard = shard
        self._due = deque[ImagePlace]()
        self._digest, self._hashed = hashlib.sha256(), 0  # of the foremost image, and how many of its bytes came

    def expect(self, image: ImagePlace) -> None:
        """Add an image, whose bytes come after those of all images added before."""
        self._due.append(image)

    def came(self, start: int, data: memoryview) -> None:
        """Take in bytes of the shard, from `start` on. Raises ShardError if an image is not the embedded one."""
        stop = start + len(data)
        # Other members of its sample may come first, and the end of another image whose bytes a link to it shares.
        while self._due and start <= (at := self._due[0].offset + self._hashed) < stop:
            image = self._due[0]
            here = data[at - start : image.offset + image.size - start]
            self._digest.update(here)
            self._hashed += len(here)
            if self._hashed < image.size:
                break
            check_image(self._shard, image, self._digest.hexdigest())
            self._due.popleft()
            self._digest, self._hashed = hashlib.sha256(), 0

    def check_all(self) -> None:
        """Raise ShardError if an image is missing, since its sample has other members than before."""
        if self._due:
            check_image(self._shard, self._due[0], "")
