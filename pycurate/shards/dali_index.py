"""The index of a tar shard that NVIDIA DALI's reader takes (`fn.readers.webdataset(paths=..., index_paths=...)`).

With it the reader need not walk through the tar before the first sample. The format is that of DALI's own tool wds2idx,
version 1.2: a line `v1.2 SAMPLES`, then a line per sample with `EXTENSION OFFSET SIZE NAME` for each of its members.
The files are those of wds2idx, byte for byte, but for what that tool gets wrong: it gives a member with a GNU long name
the offset of its name, writes white space in names where DALI expects none, makes a sample of a member whose name has
no dot, and takes backslashes and what is not UTF-8 as tar prints them.
"""

import re
from pathlib import Path

from pycurate.files import atomic
from pycurate.shards.tar import Damage, walk_tar

BLANK = re.compile(r"[ \t-\r]")  # what ends a field or a line of the index


def index_path(tar: Path) -> Path:
    """Where the index of a tar lies: beside it, as .idx."""
    return tar.with_suffix(".idx")


def write_index(tar: Path) -> None:
    """Write the index of a finished tar beside it."""
    with atomic(index_path(tar)) as temporary:
        temporary.write_text(index_of(tar), encoding="utf-8", errors="surrogateescape")


def index_of(tar: Path) -> str:
    """The index of a tar, from its headers. Names that are not UTF-8 come with surrogates (PEP 383).

    White space in a name becomes `_`: DALI divides the line at it, and uses the name in messages only.
    """
    samples: list[tuple[str, list[str]]] = []
    with open(tar, "rb") as file:
        for member in walk_tar(file):
            if isinstance(member, Damage) or not member.regular or member.sparse:
                continue
            base, dot, extension = split_name(member.name)
            if not dot or not base or base.endswith("/"):
                continue  # no sample's: webdataset and DALI pass over hidden files, too
            if not samples or samples[-1][0] != base:
                samples.append((base, []))
            name, extension = (BLANK.sub("_", text) for text in (member.name, extension))
            samples[-1][1].append(f"{extension} {member.data} {member.size} {name}")
    return "".join(f"{line}\n" for line in [f"v1.2 {len(samples)}", *(" ".join(parts) for _, parts in samples)])


def split_name(name: str) -> tuple[str, str, str]:
    """A member's name, cut at the first dot of its last part: the sample's key, the dot (if any) and the extension."""
    folder, slash, last = name.rpartition("/")
    stem, dot, extension = last.partition(".")
    return f"{folder}{slash}{stem}", dot, extension
