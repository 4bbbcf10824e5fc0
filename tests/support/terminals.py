"""Names that would steer a terminal, and whether a terminal was steered."""

import re
import sys
import unicodedata
from pathlib import Path

ALL = "".join(map(chr, range(sys.maxunicode + 1)))
SHARD = "\x1b[2J\x9b31m\u202e[red]:smile:.tar"
KEY = "\x1b]0;title\x07k\u2028y\u200f"
NASTY = "\x1b[2J\x1b]0;title\x07\x9b31m\u202edesrever\u2066\r\n\x7f\x00[red]:smile:\u200b\u061c\ud800\udcff"
# What no terminal is to be given of a stranger's: controls (C0, DEL, C1), formats, surrogates, separators of lines.
FORBIDDEN = {sign for sign in ALL if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def harmless(text: str, but: str = "") -> bool:
    """Whether none of them but those of `but` is in a text."""
    return not FORBIDDEN & set(text) - set(but)


OWN = r"\x1b\[[0-9;?]*[mhlAK]"  # what the live view needs: colours, the cursor, a line up, a line erased


def only_data(shown: str) -> bool:
    """Whether nothing of the set reached the terminal but text: of sequences, those of a live view alone."""
    return harmless(re.sub(OWN, "", shown.replace("\r\n", "\n")).replace("\r", ""), but="\n")


def command(*words: object) -> list[str]:
    """A call of `pycurate` as words."""
    return [str(Path(sys.executable).parent / "pycurate"), *map(str, words)]
