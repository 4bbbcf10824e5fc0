"""What of a shard makes a sample in a new tar: the stretches of bytes to copy, and headers that take others' place.

The members of a sample are copied as they lie in its shard, all headers, data and padding. A hard link becomes a file
with the bytes for which it stands, since a reader of the new tar would not find these. What lies between the members
and is none of them stays behind, as it could change how the sample is read or leave the tar broken: headers of the
whole archive, metadata, links without their targets, devices.
"""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from pycurate.errors import ShardError
from pycurate.shards.grouping import belongs, passed_over
from pycurate.shards.header import BLOCK, EXTENSIONS, LINK, number, padded, records
from pycurate.shards.intact import ImagePlace, Images
from pycurate.shards.links import Links
from pycurate.shards.listing import Shard, check_size
from pycurate.shards.membernames import key_of, readable
from pycurate.shards.opening import open_shard, reading
from pycurate.shards.tar import Damage, walk_tar
from pycurate.stores.file import RemoteFile
from pycurate.stores.spans import Span


class Source:
    """An open shard from which samples are copied; a context manager.

    `file` is its file, for reading in any order; `images` are those of its samples that are to be copied. `wanted` are
    the bytes of the samples, which are fetched ahead if the shard is in a store.

    Its modification time may have changed, since its images are compared with those that were embedded. Raises
    ShardError if the shard is gone or its size has changed; its methods do if a disk fails.
    """

    def __init__(self, shard: Shard, wanted: Iterable[Span]) -> None:
        check_size(shard)
        self.name = shard.name
        with reading(self.name):
            self.file = open_shard(shard.path, wanted)
            self.links = Links(self.file)
        self.images = Images(self.name)

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read_into(self, room: memoryview, start: int) -> int:
        """Fill the room with the shard's bytes from `start` on; how many there are, 0 only at its end."""
        if isinstance(self.file, RemoteFile):
            self.file.seek(start)
            return self.file.readinto(room)
        with reading(self.name):
            return os.preadv(self.file.fileno(), [room], start)

    def pieces(self, start: int, size: int, image: ImagePlace | None) -> Iterator[Span | bytes]:
        """What makes the sample that lies at `start` in so many bytes, in its order.

        Its image, if known, is then expected. Raises ShardError if the headers there are not those of one sample with
        this image's key: the shard has changed.
        """
        key, own = image.key if image else None, None  # as it is written, and as it is
        if image:
            self.images.expect(image)
        at, members = start, 0
        with reading(self.name):
            for part in walk_tar(self.file, start, start + size):
                if part.start != at:
                    break
                at = part.end
                if passed_over(part):
                    continue
                if isinstance(part, Damage):
                    break
                split = key_of(part.name) if belongs(part) else None
                if split is None:
                    continue
                own = split[0] if own is None else own
                key = readable(own) if key is None else key
                if split[0] != own and not part.regular:
                    continue  # a sample of its own
                if split[0] != own or readable(own) != key or not (part.regular or part.type == LINK):
                    break
                members += 1
                if part.type == LINK:
                    target = self.links.follow(part)
                    if target is None:
                        break
                    yield as_file(_read(self.file, part.start, part.data), target.size)
                    yield target.data, target.data + padded(target.size)
                else:
                    yield part.start, part.end
            else:
                if members and at == start + size:
                    return
        raise ShardError(
            f"Shard {self.name} no longer holds the sample {key!r} at byte {start}; it changed: run again."
        )


def as_file(headers: bytes, size: int) -> bytes:
    """The headers of a link, made those of a file of `size` bytes; name, times, owner and all else stay."""
    out = b""
    at = 0
    while (kind := headers[at + 156 : at + 157]) in EXTENSIONS:
        length = number(headers[at + 124 : at + 136])
        assert length is not None  # it was read before
        data, end = at + BLOCK, at + BLOCK + padded(length)
        if EXTENSIONS[kind] == b"pax":
            body = headers[data : data + length]
            kept = b"".join(whole for key, _, whole in records(body) or [] if key not in (b"linkpath", b"size"))
            if kept:
                out += _summed(headers[at:data], 124, b"%011o\0" % len(kept)) + kept.ljust(padded(len(kept)), b"\0")
        elif EXTENSIONS[kind] != b"linkpath":
            out += headers[at:end]
        at = end
    digits = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    return out + _summed(_summed(headers[at : at + BLOCK], 124, digits), 156, b"0" + bytes(100))


def _summed(header: bytes, at: int, value: bytes) -> bytes:
    """The header with this value there, and its checksum."""
    header = header[:at] + value + header[at + len(value) :]
    blank = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(blank) + header[156:]


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
