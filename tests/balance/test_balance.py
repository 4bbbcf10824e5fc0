"""A set that is balanced when all else is decided: as many as were asked for, the same for any split."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from curated import decide
from dedup_sets import Samples, chains, clustered, decided, set_columns, stars, write_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.balance import balance, cells
from pycurate.balance.balance import balanced
from pycurate.dedup.brute_force import check_decisions
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.filters.filtering import Filtering
from pycurate.results.criteria import Balance, read_criteria
from pycurate.results.layout import path_of
from pycurate.results.plan import Layout
from pycurate.results.tables import read_table, write_array
from pycurate.stages.dedup import find_pairs
from scripts import said


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from([clustered, chains, stars]),
    n=st.integers(1, 300),
    target=st.sampled_from([1, 7, 40, 1000]),
    by=st.sampled_from([None, "nsfw"]),
    referred=st.sampled_from([0, 0.3]),
)
def test_as_many_as_the_target_are_kept_and_they_are_the_same_for_any_split(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    kind: object,
    n: int,
    target: int,
    by: str | None,
    referred: float,
) -> None:
    samples = Samples.of(kind(n, 8, seed), seed)  # type: ignore[operator]
    folder, first = tmp_path_factory.mktemp("set"), int(referred * n)
    references = [write_set(folder / "old", samples, [np.arange(first)])] if first else []
    plain = Filtering(aesthetic_threshold=0.25)
    balance = replace(plain, balance="cells", target=target, balance_by=by, balance_seed=seed)
    made = []
    for parts in (1, 2, 5):
        results = write_set(folder / str(parts), samples, np.array_split(np.arange(first, n), parts))
        sources = sources_of(results, references)
        find_pairs(results, sources, Settings(0.9, cells=4, exact=True))
        before = decided(decide(results, sources, plain, Layout(), dedup=True))
        decisions = decide(results, sources, balance, Layout(), dedup=True)
        check_decisions(sources, decisions, 0.9)
        made.append(decided(decisions))
        # The decisions without a balance, but for what was chosen: who duplicates what is not kept goes with it.
        kept = {uid for uid, (reason, *_) in made[-1].items() if reason == "kept"}
        candidates = {uid for uid, (reason, *_) in before.items() if reason == "kept"}
        assert kept <= candidates and len(kept) == min(target, len(candidates))
        for uid, decision in before.items():
            gone = uid in candidates - kept or (
                decision[1] in candidates - kept and decision[0] != "duplicate_reference"
            )
            assert made[-1][uid] == (("balanced", None, None) if gone else decision)
        groups = read_table(results / "duplicates.parquet").to_pylist()
        assert {row["uid"] for row in groups if row["kept"]} <= kept | {samples.uid(i) for i in range(first)}
        criteria = read_criteria(results)
        assert criteria.balance and (criteria.balance.among, criteria.balance.chosen) == (len(candidates), len(kept))
        assert Filtering.of_criteria(criteria) == balance
    assert made[0] == made[1] == made[2]


def test_any_split_gives_the_same_where_not_all_is_learnt_from_nor_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, target = 1000, 200
    monkeypatch.setattr(balance, "BLOCK", 70)
    for name, value in (("MOST_CELLS", 30), ("FEWEST", 4), ("LEARN", 100)):
        monkeypatch.setattr(cells, name, value)
    assert cells.learnt_from(n) < n / 2
    samples = Samples.of(clustered(n, 8, seed=3))
    candidates = np.sort(np.random.default_rng(0).permutation(n)[: n - 100])
    wanted = Balance("cells", target=target, seed=2)

    def kept(parts: int, wanted: Balance) -> set[str]:
        split = np.array_split(np.arange(n), parts)
        results = tmp_path / str(parts)
        sources = sources_of(results if results.exists() else write_set(results, samples, split))
        rows = {one.number: np.flatnonzero(np.isin(part, candidates)) for one, part in zip(sources, split, strict=True)}
        found, chosen = balanced(wanted, sources, rows, lambda *_: np.zeros(0, np.float32))
        assert (found.among, found.chosen) == (n - 100, target) and len(found.levels) > 1
        return {samples.uid(int(part[row])) for at, part in enumerate(split) for row in rows[at][chosen[at]]}

    whole = kept(1, wanted)
    assert len(whole) == target and whole == kept(7, wanted)
    assert len(kept(1, replace(wanted, seed=3)) & whole) < target / 2


def test_of_one_cell_those_of_the_highest_scores_are_kept(tmp_path: Path) -> None:
    samples = Samples.of(np.eye(15, dtype=np.float16))  # so few have one cell
    sources = sources_of(write_set(tmp_path, samples, [np.arange(4), np.arange(4, 15)]))
    for balance_by, scores in (("nsfw", samples.nsfw), ("aesthetic", samples.aesthetic)):
        filtering = Filtering(balance="cells", target=6, balance_by=balance_by)
        found = decided(decide(tmp_path, sources, filtering, None, dedup=False))
        kept = np.array([found[samples.uid(i)][0] == "kept" for i in range(15)])
        assert kept.sum() == 6 and scores[kept].min() >= scores[~kept].max()


def test_captions_are_balanced_after_duplicates_are_removed(tmp_path: Path) -> None:
    n = 3000
    samples = Samples.of(clustered(n, 16, seed=2, copies=0.2))
    random = np.random.default_rng(0)
    kinds = ["a dog", "a dog", "a cat", "a red bird", "IMG", None]
    captions = [kinds[kind] for kind in random.integers(0, len(kinds), n)]
    text = {samples.uid(i): caption for i, caption in enumerate(captions)}
    words = tmp_path / "words.json"
    words.write_text(json.dumps(["dog", "cat", "red bird", "fish"]))
    made = []
    for parts in (1, 3):
        results = write_set(tmp_path / str(parts), samples, np.array_split(np.arange(n), parts))
        for number in range(parts):
            path = path_of(results, "samples", f"{number:05d}")
            set_columns(path, caption=[text.get(uid, "a dog") for uid in read_table(path)["uid"].to_pylist()])
        said("dedup", "pairs", "--results", results, "--dedup-threshold", "0.9")
        more = ["--cap", 100, "--balance-words", words, "--balance-seed", 5, "--dedup"]
        said("decide", "--results", results, "--balance", "captions", *more)
        said("dedup", "check", "--results", results)
        made.append(decided(read_table(results / "decisions.parquet")))
    assert made[0] == made[1]
    said("decide", "--results", results, "--balance", "captions", *more, "--balance-seed", 6)
    assert decided(read_table(results / "decisions.parquet")) != made[1]
    said("decide", "--results", results, "--balance", "captions", *more)
    left = Counter(text[uid] for uid, (reason, *_) in made[0].items() if reason == "kept")
    assert left["IMG"] == left[None] == 0 and set(left) == {"a dog", "a cat", "a red bird"}
    assert all(abs(count - 100) <= 50 for count in left.values())
    balance = read_criteria(results).balance
    assert balance and balance.words == str(words) and balance.chosen == left.total()
    wrong: list[tuple[list[object], str]] = [
        (["--balance", "captions", "--cap", 3], "--balance captions requires --balance_words"),
        (["--balance", "cells"], "--balance cells requires --target"),
        (["--target", 3], "--target has no effect without --balance"),
        (["--balance", "cells", "--target", 3, "--balance-by", "beauty"], "There is no score beauty"),
        (["--balance", "captions", "--cap", 3, "--balance-words", tmp_path], "cannot be read as a list of words"),
    ]
    for options, sentence in wrong:
        assert sentence in said("decide", "--results", results, *options, "--no-dedup", code=2)
    short = path_of(results, "img_emb", "00001")
    write_array(short, np.load(short)[:-1])
    options = ["--balance", "cells", "--target", 3, "--no-dedup"]
    assert "has fewer rows than readable samples" in said("decide", "--results", results, *options, code=1)
