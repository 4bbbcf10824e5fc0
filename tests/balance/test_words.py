"""Captions match entries as MetaCLIP's rule says, and are taken with its probabilities."""

import codecs
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycurate.balance.words import Words, read_words
from pycurate.errors import UsageError

PIECES = st.sampled_from(["dog", "Dog", "red", "a", "St", ".", ",", "!", "`", " ", "  ", "\t", "\n", "é", "dogs"])
ENTRIES = ["dog", "red dog", "a", "a  dog", "St .", "St. a", "é", "red", "dogs dog a"]


def plain(caption: str, entries: list[str]) -> list[int]:
    """The same by searching for each entry in the text."""
    text = f" {caption} "
    for sign in ",.;:?!`":
        text = text.replace(sign, f" {sign} ")
    for sign in "\t\n\r":
        text = text.replace(sign, " ")
    return [at for at, entry in enumerate(entries) if f" {entry} " in text]


@given(pieces=st.lists(st.tuples(PIECES, st.sampled_from(["", " "])), max_size=12))
def test_entries_are_those_that_searching_the_text_finds(pieces: list[tuple[str, str]]) -> None:
    caption = "".join(text + space for text, space in pieces)
    assert Words(ENTRIES).matched(caption) == plain(caption, ENTRIES)


def test_frequent_entries_are_sampled_down_and_rare_ones_taken_whole() -> None:
    n, cap = 60_000, 600
    captions: list[str | None] = ["a photo of a dog", "a photo of a cat", "dog and cat", "nothing", None, ""] * (n // 6)
    captions[5] = "a rare bird"
    uids = np.random.default_rng(0).integers(0, 2**63, (n, 2)).astype(np.uint64)
    words = Words(["dog", "cat", "bird", "never"])
    counts = words.counts(captions)
    assert counts.tolist() == [n // 3, n // 3, 1, 0]
    taken = words.taken(captions, uids, counts, cap, 0)
    share = cap / (n // 3)
    expected = [share, share, 1 - (1 - share) ** 2, 0, 0]  # of both, either is enough
    for kind, chance in enumerate(expected):
        here = taken[kind::6]
        assert abs(here.mean() - chance) <= 5 * np.sqrt(chance * (1 - chance) / len(here))
    assert taken[5] and not taken[11::6].any()
    # The same for any split, and for any order of the list; other samples with another seed.
    halves = [words.taken(captions[part], uids[part], counts, cap, 0) for part in (slice(0, 777), slice(777, n))]
    assert np.array_equal(np.concatenate(halves), taken)
    again = Words(["bird", "cat", "dog"]).taken(captions, uids, np.array([1, n // 3, n // 3]), cap, 0)
    assert np.array_equal(again, taken)
    other = words.taken(captions, uids, counts, cap, 1)
    assert 0 < (other & taken).sum() < taken.sum() / 10
    assert words.taken([], uids[:0], counts, cap, 0).tolist() == []


def test_lists_of_words(tmp_path: Path) -> None:
    path = tmp_path / "words"
    for text in (json.dumps(["dog", "red dog", "dog", " "]), "dog\n\nred dog\r\n dog \n"):
        path.write_text(text)
        assert read_words(path).entries == ["dog", "red dog"]
        path.write_bytes(codecs.BOM_UTF8 + text.encode())  # as editors on Windows save it
        assert read_words(path).entries == ["dog", "red dog"]
    for text, cause in (("", "lists no words"), ("[1]", "what is no text"), ("[", "cannot be read")):
        path.write_text(text)
        with pytest.raises(UsageError, match=cause):
            read_words(path)
    with pytest.raises(UsageError, match="cannot be read as a list of words"):
        read_words(tmp_path / "none")
