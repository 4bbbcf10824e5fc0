"""Numbers as people read them."""

import unicodedata
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    import numpy as np

INVISIBLE = (*"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0", *map(chr, range(0xE0100, 0xE01F0)))
"""Letters and marks that show nothing (Default_Ignorable_Code_Point in Unicode's DerivedCoreProperties).

The variation selectors U+FE00 to FE0F are let through: they choose how the sign before them is drawn, as in an emoji.
"""


class _Escapes(dict[int, str]):
    """For str.translate: a code point -> what is shown of it. It remembers those that were asked for."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        seen = sign.isprintable() or unicodedata.category(sign) == "Zs"  # a space of any width is one that is seen
        if not seen and 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is no UTF-8
            sign = f"\\x{code - 0xDC00:02x}"
        elif not seen:
            sign = sign.encode("unicode_escape").decode("ascii")
        self[code] = sign
        return sign


_ESCAPES = _Escapes({ord(sign): sign.encode("unicode_escape").decode("ascii") for sign in INVISIBLE})


def printable(text: str) -> str:
    """The text on one line, as a terminal may be given it: what would steer the terminal or not be seen is escaped.

    That is every code point which Python's `repr` escapes, spaces aside (control characters and line breaks,
    bidirectional and other format characters, surrogates, private and unassigned code points), and INVISIBLE, as
    Python writes them: `\\n`, `\\x1b`, `\\u202e`. A backslash stays one, so that nothing is escaped twice.
    """
    return text.translate(_ESCAPES)


def pad(text: str, width: int) -> str:
    """The printable text with spaces behind it, up to so many columns: a wide sign takes two, a combining one none."""
    shown = printable(text)
    return shown + " " * (width - cell_len(shown))


def number(value: int) -> str:
    """A count, such as 1,234,567."""
    return f"{value:,}"


def count_of(count: int, noun: str) -> str:
    """So many of something, such as 1 shard, 1,234 files or 2 hashes."""
    plural = noun + ("es" if noun.endswith("sh") else "s")
    return f"{count:,} {noun if count == 1 else plural}"


def shortest(score: "np.float32") -> float:
    """The number of fewest digits that is this score when it is rounded to float32."""
    return float(str(score))


def exactly(threshold: float) -> str:
    """A threshold with as many digits as float32 tells apart."""
    return f"{threshold:.9g}"


def share(part: float, whole: float) -> str:
    """A part in per cent, such as 12.5 %; a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def rate(per_second: float) -> str:
    """How many of something a second, such as 4,120, 28.5 or 0.012."""
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def duration(seconds: float) -> str:
    """Seconds as people say them, such as 3 h 05 min, 2 min 10 s or 4.2 s."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def size(count: float) -> str:
    """Bytes as people say them, such as 1.4 GB."""
    units = ["B", "kB", "MB", "GB", "TB", "PB"]
    while count >= 999.5 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:.3g} {units[0]}"
