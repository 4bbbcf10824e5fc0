"""Blocklists: hashes of images that must not be in a set, as hotlines and platforms exchange them.

A list is a text file with a hash a line, or a table whose columns are parted by commas or tabs. If its first line names
the kind, it is a heading, and the hashes are in that column; else they are in the first one. Empty lines and what
follows a # are left out. What a list says is never printed: a message names the line.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import TableError, UsageError
from pycurate.filters.hamming import Hashes, bits_of
from pycurate.results.tables import BLOCKED

KINDS = {"md5": 32, "sha1": 40, "sha256": 64, "pdq": 64}
"""How many hex digits a hash of each kind has."""

QUALITY = 50
"""The PDQ quality from which on hashes are compared, as published; the bits of plainer images are chance."""


@dataclass(frozen=True)
class Blocklist:
    """The hashes of one file: lower-case hex digits, sorted, each once. `text` is KIND:FILE with an absolute path."""

    text: str
    kind: str
    hashes: tuple[str, ...]


def named(text: str) -> tuple[str, Path]:
    """The kind and the file that KIND:FILE names. Raises UsageError if it names none."""
    kind, colon, file = text.partition(":")
    if kind not in KINDS or not colon or not file:
        raise UsageError(
            f"--blocklist {text!r} does not say which hashes the file holds; write KIND:FILE with one of "
            f"{', '.join(KINDS)}, such as pdq:hashes.txt."
        )
    return kind, Path(file)


def read_blocklist(text: str) -> Blocklist:
    """The list that KIND:FILE names. Raises UsageError if it cannot be read, or a line of it has no such hash."""
    kind, path = named(text)
    path = path.resolve()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise UsageError(f"The blocklist {path} cannot be read ({cause}); name a file that can, or none.") from error
    column: int | None = None
    hashes = set()
    for number, line in enumerate(lines, 1):
        cells = [cell.strip().strip('"').lower() for cell in re.split("[,;\t]", line.partition("#")[0])]
        if not any(cells):
            continue
        if column is None:
            titles = [re.sub("[^a-z0-9]|hash$", "", cell) for cell in cells]
            column = titles.index(kind) if kind in titles else 0
            if kind in titles:
                continue
        found = cells[column] if column < len(cells) else ""
        if not re.fullmatch(f"[0-9a-f]{{{KINDS[kind]}}}", found):
            raise UsageError(
                f"Line {number} of the blocklist {path} has no {kind} hash of {KINDS[kind]} hex digits in column "
                f"{column + 1}; write one a line, comments behind a #, or name the column {kind} in the first line."
            )
        hashes.add(found)
    if not hashes:
        raise UsageError(f"The blocklist {path} contains no hash; name another file, or none.")
    return Blocklist(f"{kind}:{path}", kind, tuple(sorted(hashes)))


class Blocking:
    """What is on any of several lists."""

    def __init__(self, lists: Sequence[Blocklist]) -> None:
        self.lists = lists
        self.hashes = {
            kind: sorted({one for each in lists if each.kind == kind for one in each.hashes})
            for kind in dict.fromkeys(each.kind for each in lists)
        }
        self.near = Hashes(bits_of(self.hashes["pdq"])) if "pdq" in self.hashes else None

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Blocking":
        """The lists that each KIND:FILE names. Raises UsageError as `read_blocklist`."""
        return cls([read_blocklist(text) for text in texts])

    @property
    def columns(self) -> list[str]:
        """The columns of samples that it compares."""
        return [*self.hashes, *(["pdq_quality"] if self.near else [])]

    def matches(self, samples: pa.Table) -> pa.Table:
        """BLOCKED: a row for each of these samples and each kind of which a list has it, with the nearest hash.

        `samples` has uid, shard, key and what `columns` says. Bytes are the same where their digests are, and images
        where at most 31 bits of their PDQ hashes differ. Raises TableError if a column is missing.
        """
        for name in self.columns:
            if name not in samples.column_names:
                raise TableError(
                    f"The samples have no {name}, by which a blocklist is to be compared; "
                    f"run the workflow with --digests {name.partition('_')[0]}."
                )
        found = [self._equal(samples, kind) for kind in self.hashes if kind != "pdq"]
        if self.near:
            found.append(self._alike(samples, self.near))
        return pa.concat_tables(found).cast(BLOCKED)

    def _equal(self, samples: pa.Table, kind: str) -> pa.Table:
        place = pc.index_in(samples[kind], value_set=pa.array(self.hashes[kind], pa.string()), skip_nulls=True)
        found = samples.filter(pc.is_valid(place))
        return _rows(found, kind, found[kind], np.zeros(found.num_rows))

    def _alike(self, samples: pa.Table, near: Hashes) -> pa.Table:
        samples = samples.filter(pc.fill_null(pc.greater_equal(samples["pdq_quality"], QUALITY), False))
        place, distance = near.nearest(bits_of(samples["pdq"].to_pylist()))
        hit = place >= 0
        hashes = pa.array([self.hashes["pdq"][at] for at in place[hit].tolist()], pa.string())
        return _rows(samples.filter(pa.array(hit)), "pdq", hashes, distance[hit])


def _rows(samples: pa.Table, kind: str, hashes: pa.Array, distance: np.ndarray) -> pa.Table:
    kinds = pa.array([kind] * samples.num_rows, pa.string())
    columns = [*(samples[name] for name in ("uid", "shard", "key")), kinds, hashes, distance]
    return pa.table(dict(zip(BLOCKED.names, columns, strict=True))).cast(BLOCKED)
