"""Reading tar shards sample by sample, as webdataset groups them, with the place of each in the shard."""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pycurate.errors import ShardError
from pycurate.images.formats import EXTENSIONS
from pycurate.shards.captions import (
    CAPTION_KEY,
    MAX_CAPTION_BYTES,
    MAX_JSON_BYTES,
    caption_text,
    chosen_caption,
    json_record,
)
from pycurate.shards.grouping import Fault, Group, OpenGroups, belongs, passed_over
from pycurate.shards.header import BLOCK, Member
from pycurate.shards.links import Links
from pycurate.shards.membernames import key_of, readable
from pycurate.shards.opening import open_shard, reading
from pycurate.shards.tar import Damage, walk_tar
from pycurate.stores.store import Object

log = logging.getLogger(__name__)

MAX_IMAGE_BYTES = 1 << 30  # a larger member is not read into memory; no camera writes such a file
MOST_NAMED, LONGEST_NAMED = 10, 40  # extensions in a message, and characters of each
GIVEN_UID = re.compile("[0-9A-Fa-f]{32}")


@dataclass
class Sample:
    """One sample of a shard, readable or not. `data` holds the image's bytes; it is empty if `error` is set."""

    shard: str
    key: str
    uid: str
    tar_offset: int
    tar_size: int = 0
    ext: str = ""
    offset: int = 0
    size: int = 0
    sha256: str = ""
    data: bytes = b""
    caption: str | None = None
    given_uid: str | None = None
    digests: dict[str, str] = field(default_factory=dict)  # of the image's bytes, by hashlib's names, beside SHA-256
    raw_key: str = ""  # with the bytes that are not UTF-8 as surrogates (PEP 383); in `key` they are `\xNN`
    captioned: bool = False  # there is a member from which a caption is taken
    error: str | None = None
    message: str | None = None

    def fail(self, error: str, message: str) -> None:
        """Mark the sample as unreadable. The first cause stays."""
        if self.error is None:
            self.error, self.message = error, message
        self.data = b""


def read_samples(
    path: Path | Object,
    shard: str,
    most: int = MAX_IMAGE_BYTES,
    digests: Sequence[str] = (),
    caption_key: str = CAPTION_KEY,
) -> Iterator[Sample]:
    """Every sample of the tar file at `path`, in its order; `shard` is its name relative to the input root.

    Damage costs only itself. A sample without exactly one image, one that is cut, and each stretch of the file that is
    no tar come out as samples with `error` set, the stretch under the key "". Memory holds one sample at a time.
    Of a member only its first `most` bytes are read: with few of them, to see what a shard holds, `data`, `sha256` and
    `caption` are those of the members' beginnings. `digests` are those of the image's bytes that are computed beside
    SHA-256, by the names of hashlib. `caption_key` is the field of a .json that may be the caption (see
    pycurate.shards.captions.chosen_caption).

    Raises ShardError if the file cannot be opened, or a disk or a store fails while it is read: what the shard holds is
    not known then, and rows that say otherwise would differ at the next try.
    """
    try:
        file = open_shard(path)
    except OSError as error:
        raise ShardError(f"Shard {shard} cannot be opened ({error}); check that it exists and is readable.") from error
    repeats: dict[bytes, int] = {}  # of each key, which is kept as its hash
    with file, reading(shard):
        for sample in _Reader(file, shard, most, digests, caption_key).samples():
            repeat = _counted(repeats, sample.key)
            sample.uid = sample_uid(shard, sample.key, repeat)
            if "\\" in sample.key:  # another key may be written in the same way
                repeat = _counted(repeats, f"\0{sample.raw_key}")
            if repeat and sample.key:
                sample.error = None  # a sidecar that came too late lacks an image too, but this tells more
                sample.fail(
                    "duplicate_key",
                    f"The key {sample.key!r} occurred earlier in the shard; only adjacent members are grouped.",
                )
            yield sample


class _Reader:
    def __init__(self, file: BinaryIO, shard: str, most: int, digests: Sequence[str], caption_key: str) -> None:
        self.file = file
        self.shard = shard
        self.most = most
        self.digests = digests
        self.caption_key = caption_key
        self.length = file.seek(0, 2)
        self.links = Links(file)
        self.noted = Counter[str]()  # what is said of the shard once, with how often it was met

    def samples(self) -> Iterator[Sample]:
        opened = OpenGroups()
        place = 0  # behind the last member
        apart = False  # an end mark stands before it
        found = 0
        for part in self._parts():
            apart, place = apart or part.start != place, part.end
            last = isinstance(part, Damage) and place == self.length  # more may be lost than its beginning tells
            if (metadata := passed_over(part)) and not last:
                self.noted[f"{metadata} are skipped."] += 1
                continue
            split = key_of(part.name) if part.name is not None else None
            if isinstance(part, Damage) and split is None:
                found += 1
                # What was lost may have held more members of a sample.
                lost = self._damage(part) if part.name is None and not part.ended else None
                yield from self._ended(opened, lost)
                yield self._lost(part.start, part.end, *self._damage(part))
                opened.torn, apart = opened.torn or part.torn, False
                continue
            if split is None or (isinstance(part, Member) and not belongs(part)):
                continue  # webdataset passes over it too
            found += 1
            key, ext = split
            # A sample is copied in one piece, which must not hold the end mark of two tars that were joined.
            if apart:
                yield from self._ended(opened)
            file = isinstance(part, Damage) or part.regular
            for group in opened.closed_by(key, file):
                yield self._sample(group)
            group, apart = opened.take(key, part, file), False
            if isinstance(part, Damage):
                group.lose(part, self._damage(part))
            else:
                group.add(ext.lower(), part, self.links)
        # Without the empty block behind the last member nobody knows what is missing.
        cut = ("shard_truncated", "The shard ends inside this sample.") if place >= self.length else None
        yield from self._ended(opened, cut)
        if not found:
            yield self._lost(0, self.length, "no_samples", "The shard is a tar file without samples.")
        for what, count in self.noted.items():
            log.warning("%s: %d %s", self.shard, count, what)

    def _parts(self) -> Iterator[Member | Damage]:
        """The walk through the shard; a file too short for a header is damage from its first byte."""
        return walk_tar(self.file) if self.length >= BLOCK else iter([Damage(0, self.length)])

    def _damage(self, part: Damage) -> tuple[str, str]:
        if part.start == 0 and part.name is None:
            self.file.seek(0)
            packed = self.file.read(2) in (b"\x1f\x8b", b"BZ", b"\xfd7", b"\x28\xb5")
            hint = "it looks compressed: decompress it" if packed else "check where it came from"
            return "not_a_tar", f"The shard does not begin like a tar file; {hint}."
        if part.end == self.length:
            return "shard_truncated", f"The shard is truncated or damaged from byte {part.start} to its end."
        return "shard_corrupt", f"Bytes {part.start} to {part.end} of the shard are damaged."

    def _lost(self, start: int, end: int, code: str, message: str) -> Sample:
        """A row for a part of the shard that holds no sample which could be named."""
        log.warning("%s: %s", self.shard, message)
        sample = Sample(self.shard, "", "", start, end - start)
        sample.fail(code, message)
        return sample

    def _ended(self, opened: OpenGroups, fault: Fault | None = None) -> Iterator[Sample]:
        """The samples of all groups that are open; those that could have gone on have this fault, if any."""
        going_on = opened.going_on()
        for group in opened.close():
            yield self._failed(group, *fault) if fault and group in going_on else self._sample(group)

    def _failed(self, group: Group, error: str, message: str) -> Sample:
        sample = self._placed(group, self._record(group))
        sample.fail(error, message)
        return sample

    def _placed(self, group: Group, record: dict[str, Any]) -> Sample:
        size = min(group.end, self.length) - group.start
        given = record.get("uid")
        given = given.lower() if isinstance(given, str) and GIVEN_UID.fullmatch(given) else None
        return Sample(self.shard, readable(group.key), "", group.start, size, given_uid=given, raw_key=group.key)

    def _sample(self, group: Group) -> Sample:
        if group.uncertain:
            return self._failed(
                group, "shard_corrupt", "Damage before this sample may have destroyed some of its members."
            )
        if group.fault:
            return self._failed(group, *group.fault)
        # `a.jpg` before `a.crop.jpg`: the plain extension is the image, the longer one a sidecar.
        images = [ext for ext in group.members if ext in EXTENSIONS] or [
            ext for ext in group.members if ext.rpartition(".")[2] in EXTENSIONS
        ]
        if not images:
            held = _listed(sorted(group.members))
            return self._failed(group, "no_image", f"The sample contains no image, only {held}.")
        if len(images) > 1:
            return self._failed(group, "duplicate_key", f"The sample contains several images: {_listed(images)}.")
        member = group.members[images[0]]
        record = self._record(group)
        sample = self._placed(group, record)
        sample.ext, sample.offset, sample.size = readable(images[0]), member.data, member.size
        if member.sparse:
            sample.fail("unsupported", "The image is stored as a sparse file in the tar.")
            return sample
        if member.size > MAX_IMAGE_BYTES:
            sample.fail("too_large", f"The image has {member.size} bytes, over the limit of {MAX_IMAGE_BYTES}.")
            return sample
        sample.data = self._read(member)
        sample.sha256 = hashlib.sha256(sample.data).hexdigest()
        for name in self.digests:
            sample.digests[name] = hashlib.new(name, sample.data, usedforsecurity=False).hexdigest()
        sample.caption = self._caption(group, record)
        sample.captioned = "txt" in group.members or "json" in group.members
        return sample

    def _caption(self, group: Group, record: dict[str, Any]) -> str | None:
        """The caption that the .txt and .json sidecars give; None without any."""
        member = group.members.get("txt")
        text = caption_text(self._read(member, MAX_CAPTION_BYTES)) if member else None
        if member and member.size > MAX_CAPTION_BYTES:
            self.noted[f"captions of more than {MAX_CAPTION_BYTES} bytes are truncated."] += 1
        return chosen_caption(text, record, self.caption_key)

    def _record(self, group: Group) -> dict[str, Any]:
        """The object of the .json sidecar; empty if there is none, or no such thing in it."""
        member = group.members.get("json")
        if member is None or member.sparse:
            return {}
        if member.size > MAX_JSON_BYTES:
            self.noted[f".json members of more than {MAX_JSON_BYTES} bytes are ignored."] += 1
            return {}
        return json_record(self._read(member))

    def _read(self, member: Member, most: int = MAX_IMAGE_BYTES) -> bytes:
        self.file.seek(member.data)
        return self.file.read(min(member.size, self.most, most))


def _counted(repeats: dict[bytes, int], key: str) -> int:
    """How often a key came before; it is counted."""
    name = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    repeats[name] = repeats.get(name, 0) + 1
    return repeats[name] - 1


def _listed(extensions: Sequence[str]) -> str:
    """The first few of these, none of them long: a shard may give one sample any number of members."""
    named = [readable(ext if len(ext) <= LONGEST_NAMED else f"{ext[:LONGEST_NAMED]}...") for ext in extensions]
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def sample_uid(shard: str, key: str, repeat: int = 0) -> str:
    """32 hex digits naming a sample: BLAKE2b-128 of its shard (relative to the input root) and key.

    `repeat` counts earlier samples of the same key in the same shard, so that each has a name of its own.
    """
    text = f"{shard}\0{key}" + (f"\0{repeat}" if repeat else "")
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()
