"""A choice that is spread over what captions are about: MetaCLIP's (Xu et al. 2023, "Demystifying CLIP Data").

A caption matches an entry of a list of words if it contains the entry between white space or punctuation, in the same
case. Of an entry that n captions match, each is taken with probability min(1, cap / n). A sample is kept if it is taken
for any entry that its caption matches; one that matches none is not kept. What a sample draws for an entry follows from
its uid, the entry and the seed alone.

To match is what MetaCLIP's code does: spaces are put around `,.;:?!` and the grave accent, tabs and line breaks become
spaces, and ` ENTRY ` is looked for in ` CAPTION `.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pycurate.balance.draw import drawn, shares
from pycurate.errors import UsageError

_SPACED = str.maketrans({sign: f" {sign} " for sign in ",.;:?!`"} | dict.fromkeys("\t\n\r", " "))


class Words:
    """A list of entries, ready to be looked for.

    Attributes:
        entries: each once, in the order of the list.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.entries = list(dict.fromkeys(entries))
        self._place = {entry: at for at, entry in enumerate(self.entries)}
        self._lengths: dict[str, set[int]] = {}  # of entries in words, by their first word
        for entry in self.entries:
            words = entry.split(" ")
            self._lengths.setdefault(words[0], set()).add(len(words))

    def __len__(self) -> int:
        return len(self.entries)

    def matched(self, caption: str) -> list[int]:
        """The positions of the entries that the caption matches, ascending."""
        words = caption.translate(_SPACED).split(" ")
        found = set()
        for start, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                place = self._place.get(" ".join(words[start : start + length]))
                if place is not None:
                    found.add(place)
        return sorted(found)

    def matches(self, captions: Iterable[str | None]) -> Iterator[tuple[int, int]]:
        """(position of a caption, position of an entry that it matches), in order."""
        for at, caption in enumerate(captions):
            for entry in self.matched(caption or ""):
                yield at, entry

    def counts(self, captions: Iterable[str | None]) -> np.ndarray:
        """int64 (entries,): how many of the captions match each entry."""
        found = np.fromiter((entry for _, entry in self.matches(captions)), np.int64)
        return np.bincount(found, minlength=len(self))

    def taken(
        self, captions: Iterable[str | None], uids: np.ndarray, counts: np.ndarray, cap: int, seed: int
    ) -> np.ndarray:
        """bool (n,): which samples are kept.

        Args:
            captions: of each.
            uids: uint64 (n, 2).
            counts: int64 (entries,), how many of all samples match each entry.
            cap: of samples that an entry gives, about; at most so many are sure to be taken.
            seed: of what is drawn.
        """
        pairs = np.array([*self.matches(captions)], np.int64).reshape(-1, 2)
        order = np.argsort(pairs[:, 1], kind="stable")
        samples, entries = pairs[order].T
        result = np.zeros(len(uids), bool)
        edges = np.flatnonzero(np.diff(entries, prepend=-1, append=len(self)))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            here, entry = samples[start:stop], int(entries[start])
            if counts[entry] > cap:
                here = here[shares(drawn(uids[here], seed, _salt(self.entries[entry]))) < cap / counts[entry]]
            result[here] = True
        return result


def read_words(path: Path) -> Words:
    """The entries of a file: a JSON list of strings, such as MetaCLIP's metadata.json, or a text with one per line.

    Raises UsageError if it cannot be read, or names none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # a byte order mark is none of the first entry
        found = json.loads(text) if text.lstrip().startswith("[") else text.splitlines()
        if not all(isinstance(entry, str) for entry in found):
            raise ValueError("it lists what is no text")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read as a list of words ({error}); give a JSON list of strings, or a text file with one "
            "entry per line."
        ) from error
    words = Words(entry.strip() for entry in found if entry.strip())
    if not len(words):
        raise UsageError(f"{path} lists no words; give a JSON list of strings, or a text file with one entry per line.")
    return words


def _salt(entry: str) -> int:
    return int.from_bytes(hashlib.blake2b(entry.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
