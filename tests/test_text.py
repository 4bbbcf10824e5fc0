"""Text of a stranger is escaped, once and on one line, and figures are as people say them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from terminals import ALL, harmless

from pycurate.text import count_of, duration, pad, printable, rate, shortest


def test_every_code_point_that_steers_or_is_not_seen_is_escaped() -> None:
    shown = printable(ALL)
    assert harmless(shown)
    kept = {sign for sign in ALL if printable(sign) == sign}
    assert {sign for sign in ALL if sign.isprintable()} - kept == {
        *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0", *map(chr, range(0xE0100, 0xE01F0))
    }  # fmt: skip
    assert not set(" \\a[ü猫é\u3000\ufe0f") - kept
    assert printable("\x1b\x9b\n\t\u202e\U000e0041\udcff\ud800") == r"\x1b\x9b\n\t\u202e\U000e0041\xff\ud800"


@given(st.text(st.characters(exclude_categories=())))
def test_a_text_is_escaped_once_and_on_one_line(text: str) -> None:
    shown = printable(text)
    assert harmless(shown) and printable(shown) == shown and len(shown.splitlines()) <= 1
    assert cell_len(pad(text, 12)) == max(12, cell_len(shown))


def test_seconds_are_rounded_before_their_unit_is_chosen() -> None:
    spans = {4.24: "4.2 s", 59.94: "59.9 s", 59.96: "1 min 00 s", 119.6: "2 min 00 s", 3599.6: "1 h 00 min"}
    assert {seconds: duration(seconds) for seconds in spans} == spans


def test_one_of_something_is_singular() -> None:
    counts = {(0, "shard"): "0 shards", (1, "shard"): "1 shard", (1234, "file"): "1,234 files", (2, "hash"): "2 hashes"}
    assert {given: count_of(*given) for given in counts} == counts


def test_a_rate_has_no_exponent() -> None:
    rates = {0.0123: "0.0123", 28.51: "28.5", 99.96: "100", 412.3: "412", 4123.4: "4,123", 1234567.8: "1,234,568"}
    assert {each: rate(each) for each in rates} == rates


@given(st.floats(width=32, allow_nan=False))
def test_a_score_is_told_as_itself(score: float) -> None:
    assert np.float32(shortest(np.float32(score))) == np.float32(score)
