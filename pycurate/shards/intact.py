"""Whether the images that are read from a shard again are those that were embedded, by their SHA-256."""

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
    """Raise ShardError if the shard's bytes there, which have this SHA-256, are not the image's."""
    if sha256 != image.sha256:
        raise ShardError(
            f"Shard {shard} holds another image of {image.key!r} than the one that was embedded (its SHA-256 differs); "
            "bring the shard back as it was, or `touch` it and run the workflow again with -resume, which embeds what "
            "it holds now."
        )


class Images:
    """The images of one shard on their way to a copy, hashed as the bytes that hold them come by."""

    def __init__(self, shard: str) -> None:
        self._shard = shard
        self._due = deque[ImagePlace]()
        self._digest = hashlib.sha256()

    def expect(self, image: ImagePlace) -> None:
        """An image whose bytes come after those of all that were expected before."""
        self._due.append(image)

    def came(self, start: int, data: memoryview) -> None:
        """Bytes of the shard that are copied, from `start` on. Raises ShardError where an image is another."""
        stop = start + len(data)
        while self._due and self._due[0].offset < stop:
            image = self._due[0]
            end = image.offset + image.size
            if end <= start:
                break  # another member of its sample comes first
            self._digest.update(data[max(0, image.offset - start) : end - start])
            if end > stop:
                break
            check_image(self._shard, image, self._digest.hexdigest())
            self._due.popleft()
            self._digest = hashlib.sha256()

    def check_all(self) -> None:
        """Raise ShardError if an image has not come, since its sample holds other members than it did."""
        if self._due:
            check_image(self._shard, self._due[0], "")
