"""Hard links in a tar: the members whose bytes they stand for."""

import hashlib
import os
from dataclasses import replace
from typing import BinaryIO

from pycurate.shards.header import LINK, Member
from pycurate.shards.tar import walk_tar

LINKED_BYTES = (1 << 30, 8)  # links may stand for so many bytes, or so many times the tar's, whichever is more


class Links:
    """The hard links of one tar, each resolved as Python's tarfile does: to the last member of that name before it.

    A link whose last such member is no file, or is damaged, stands for nothing.

    Nothing is read until the first link is asked for; then the headers up to it are, each once. Links that would
    together stand for more than LINKED_BYTES stand for nothing, so that a small tar of links to one large image costs
    no days.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._parts = walk_tar(file)
        self._walked = 0  # up to here
        self._files: dict[bytes, Member] = {}  # the last of each name, which is kept as its hash
        self._resolved: dict[int, Member | None] = {}  # by the place of the link
        least, times = LINKED_BYTES
        self._room = max(least, times * file.seek(0, 2))

    def follow(self, link: Member) -> Member | None:
        """The link as a member with the bytes of the file for which it stands; None if there is no such file."""
        while self._walked <= link.start and (part := next(self._parts, None)):
            self._walked = part.end
            if isinstance(part, Member):
                self._note(part)
            elif part.name is not None:  # what is damaged is not what an earlier file of its name was
                self._files.pop(_hash(part.name), None)
        target = self._resolved.get(link.start)
        return replace(link, data=target.data, size=target.size, sparse=target.sparse) if target else None

    def _note(self, member: Member) -> None:
        if member.type == LINK:
            target = self._files.get(_hash(member.target))
            self._room -= target.size if target else 0
            target = target if self._room >= 0 else None
            self._resolved[member.start] = target
        else:
            target = member if member.regular else None
        if target:
            self._files[_hash(member.name)] = target
        else:
            self._files.pop(_hash(member.name), None)


def _hash(name: str) -> bytes:
    return hashlib.blake2b(os.path.normpath(name).encode("utf-8", "surrogateescape"), digest_size=16).digest()
