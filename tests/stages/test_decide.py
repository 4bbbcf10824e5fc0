"""What DECIDE promises: each filter is asked once about a sample, and what decided is written down."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from operator import ge, gt, le, lt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from coin import Coin
from curated import decide
from dedup_sets import Samples, brute_force, chains, clustered, decided, set_columns, stars, write_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.dedup.brute_force import check_decisions
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.errors import TableError, UsageError
from pycurate.filters.filtering import FILTERS, Filtering
from pycurate.results import buckets, tables
from pycurate.results.criteria import Criteria, Side, read_criteria
from pycurate.results.layout import path_of, paths_of
from pycurate.results.plan import Layout
from pycurate.results.tables import read_table, write_table
from pycurate.stages.dedup import find_pairs
from scripts import said


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from([clustered, chains, stars]),
    n=st.integers(1, 200),
    share=st.sampled_from([0.05, 0.5, 0.9]),
    parts=st.integers(1, 3),
    referred=st.sampled_from([0, 0.3]),
)
def test_a_filter_that_draws_at_random_loses_no_image(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: object, n: int, share: float, parts: int, referred: float
) -> None:
    samples = Samples.of(kind(n, 8, seed), seed)  # type: ignore[operator]
    folder, first = tmp_path_factory.mktemp("set"), int(referred * n)
    references = [write_set(folder / "old", samples, [np.arange(first)])] if first else []
    results = write_set(folder / "new", samples, np.array_split(np.arange(first, n), parts))
    sources = sources_of(results, references)
    find_pairs(results, sources, Settings(0.9, cells=4, exact=True))
    Coin.asked.clear()
    decisions = decide(results, sources, Filtering(filter=[f"coin:Coin={share}"]), Layout(), dedup=True)
    assert Coin.asked == Counter(samples.uid(i) for i in range(first, n))
    check_decisions(sources, decisions, 0.9)  # no two kept ones are duplicates, each dropped one names one that is kept
    kept = set(decisions.filter(decisions["kept"])["uid"].to_pylist())
    groups = read_table(results / "duplicates.parquet").to_pylist()
    named = {row["uid"] for row in groups if row["kept"]}
    assert named <= kept | {samples.uid(i) for i in range(first)}
    assert {row["uid"] for row in groups if not row["kept"]}.isdisjoint(kept)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from([clustered, chains, stars]),
    n=st.integers(1, 150),
    parts=st.integers(2, 40),
    layout=st.builds(Layout, st.integers(1, 30), st.integers(1, 4)),
    group=st.integers(1, 60),
)
def test_any_split_gives_the_same_decisions_plan_and_uids(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: object, n: int, parts: int, layout: Layout, group: int
) -> None:
    samples = Samples.of(kind(n, 8, seed), seed)  # type: ignore[operator]
    chosen = Filtering(aesthetic_threshold=0.2, score=(FORMULA,), keep_top=("mix=0.7",))
    left = []
    for count in (1, parts):
        results = write_set(tmp_path_factory.mktemp("set"), samples, np.array_split(np.arange(n), count))
        sources = sources_of(results)
        find_pairs(results, sources, Settings(0.9, cells=4, exact=True))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tables, "GROUP", group if count > 1 else n + 1)
            patch.setattr(buckets, "ROWS", group if count > 1 else n + 1)
            decisions = decide(results, sources, chosen, layout, dedup=True)
        # One sample in each partition is unreadable, and so a row that the other split does not have.
        readable = decisions.filter(pc.not_equal(decisions["reason"], "unreadable"))
        plans = {path.name: read_table(path) for path in results.glob("plan/*.parquet")}
        names = {path.name: path.read_text() for path in results.glob("plan/*.tsv")}
        kept = readable.filter(readable["kept"])
        uids, others = (np.load(results / f"uids_{name}.npy").tolist() for name in ("kept", "dropped"))
        assert uids == sorted(uids) and others == sorted(others)
        assert len(uids) == kept.num_rows and len(uids) + len(others) == decisions.num_rows
        left.append((readable, read_table(results / "duplicates.parquet"), plans, names, uids))
        whole = pa.concat_tables([plans[name] for name in sorted(plans)])
        assert whole.select(["uid", "output_shard", "mix"]).equals(kept.select(["uid", "output_shard", "mix"]))
    assert left[0] == left[1]


ALL = Filtering(
    aesthetic_threshold=0.25,
    nsfw_threshold=0.75,
    min_score=("nsfw=0.01", "aesthetic=0.125"),
    missing_caption="keep",
    min_side=1,
    max_aspect=300.0,
    filter=("coin:Coin=0.875", "coin:Coin"),
)


def test_what_decided_is_written_down(tmp_path: Path) -> None:
    samples = Samples.of(clustered(120, 16, seed=5))
    reference = write_set(tmp_path / "old", samples, [np.arange(30)])
    results = write_set(tmp_path / "new", samples, [np.arange(30, 120)])
    sources = sources_of(results, [reference])
    find_pairs(results, sources, Settings(0.9, "largest", cells=4, exact=False, buckets=2))
    decide(results, sources, ALL, Layout(7, 3), dedup=True)
    said = json.loads((results / "decisions.json").read_text())
    asked = [
        (rule["reason"], rule["column"], rule["keeps"], rule["threshold"], rule["filter"]) for rule in said["filters"]
    ]
    assert asked == [
        ("aesthetic", "aesthetic", "at least", 0.25, None),
        ("nsfw", "nsfw", "below", 0.75, None),
        ("nsfw", "nsfw", "at least", 0.01, None),
        ("aesthetic", "aesthetic", "at least", 0.125, None),
        ("min_side", None, "at least", 1, None),
        ("max_aspect", None, "at most", 300.0, None),
        ("coin", None, None, None, "coin:Coin=0.875"),
        ("coin", None, None, None, "coin:Coin"),
    ]
    assert said["search"].items() >= {"threshold": 0.9, "keep": "largest", "recall": "fast"}.items()
    assert said["references"] == [str(reference)] and said["layout"] == {"images_per_tar": 7, "tars_per_task": 3}
    found = read_criteria(results)
    assert Filtering.of_criteria(found) == ALL
    assert found.thresholds() == {"aesthetic": 0.25, "nsfw": 0.75, "dedup": 0.9}

    # A call that is refused changes nothing; without duplicates nothing is left of the search.
    left = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    for wrong in (Filtering(min_score=["beauty=1"]), Filtering(filter=["coin:Nickel"])):
        with pytest.raises(UsageError):
            decide(results, sources, wrong, Layout(), dedup=True)
        assert left == {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    decide(results, sources, Filtering(), None, dedup=False)
    assert read_criteria(results) == Criteria()
    for kind in ("dedup", "duplicates", "plan", "plan_shards"):
        assert not paths_of(results, kind)


def test_a_decision_that_fails_half_way_is_not_described_by_an_earlier_one(tmp_path: Path) -> None:
    samples = Samples.of(clustered(20, 16, seed=5))
    write_set(tmp_path, samples, [np.arange(10), np.arange(10, 20)])
    before = decide(tmp_path, sources_of(tmp_path), Filtering(), None, dedup=False)
    path = path_of(tmp_path, "samples", "00001")
    set_columns(path, row=[*read_table(path)["row"].to_pylist()[:-1], None])
    with pytest.raises(TableError, match="00001 has readable samples without an embedding; embed it again"):
        decide(tmp_path, sources_of(tmp_path), Filtering(0.5), None, dedup=False)
    assert not path_of(tmp_path, "criteria").exists()
    assert read_table(path_of(tmp_path, "decisions")).equals(before)


def test_a_folder_that_is_decided_about_anew_is_no_longer_that_of_a_finished_run(tmp_path: Path) -> None:
    """Its report, tars and sums are still those of the earlier decision."""
    write_set(tmp_path, Samples.of(clustered(20, 16, seed=5)), [np.arange(20)])
    last = [path_of(tmp_path, kind) for kind in ("summary", "manifest")]
    for path in last:
        path.write_text('{"partitions": 1}')
    decide(tmp_path, sources_of(tmp_path), Filtering(), None, dedup=False)
    assert not any(path.exists() for path in last)


@pytest.mark.parametrize("dedup", [False, True])
def test_what_is_blocked_is_neither_among_the_best_nor_any_ones_original(tmp_path: Path, dedup: bool) -> None:
    """Whatever it fails besides, and whether its image can be read or not."""
    n = 200
    samples = Samples.of(clustered(n, 16, seed=4))
    listed = samples.content < 0.2 * n
    for parts in (1, 3):
        results = write_set(tmp_path / str(parts), samples, np.array_split(np.arange(n), parts))
        bad = path_of(results, "samples", "00000")
        set_columns(bad, sha256=["f" * 64, *read_table(bad)["sha256"].to_pylist()[1:]])
        sources = sources_of(results)
        images = pa.concat_tables([source.samples(["uid", "sha256"]) for source in sources])
        known = dict(zip(images["uid"].to_pylist(), images["sha256"].to_pylist(), strict=True))
        hashes = sorted({known[samples.uid(i)] for i in np.flatnonzero(listed).tolist()})
        (tmp_path / "list.txt").write_text("\n".join([*hashes, "f" * 64]))
        find_pairs(results, sources, Settings(0.9, cells=4, exact=True))
        chosen = Filtering(0.25, blocklist=[f"sha256:{tmp_path}/list.txt"], keep_top=["nsfw=0.5"])
        decisions = decide(results, sources, chosen, None, dedup)
        assert decisions["reason"].to_pylist().count("unreadable") == parts - 1
        passes = ~listed & (samples.aesthetic >= 0.25)
        top = numpy_top(samples, samples.nsfw.astype(np.float32), passes, int(passes.sum()) // 2)
        left = brute_force(samples, 0.9, members=np.flatnonzero(top).tolist()) if dedup else {}
        got = decided(decisions)
        for i in range(n):
            due = left.get(samples.uid(i), ("kept", None, None)) if top[i] else ("top_nsfw", None, None)
            due = due if passes[i] else ("aesthetic", None, None)
            assert got[samples.uid(i)] == (("blocked", None, None) if listed[i] else due)
        blocked, top_rule = read_criteria(results).filters[0], read_criteria(results).filters[2]
        assert blocked.hashes == len(hashes) + 1 and (top_rule.among, top_rule.chosen) == (passes.sum(), top.sum())


@pytest.mark.parametrize("name", FILTERS)
def test_the_side_that_stays_is_that_of_the_table(name: str) -> None:
    score, captions = pa.array([0.1, 1.0, 2.0, 3.0, 3.5], pa.float32()), ["", "a", "a b", "a b c", "a b c d"]
    table = pa.table(
        {
            "aesthetic": score,
            "nsfw": score,
            "text_area": score,
            "clip_score": score,
            "caption_count": score,
            "width": [1, 2, 4, 6, 8],
            "height": [2, 2, 2, 2, 2],
            "caption": captions,
        }
    )
    measured: dict[str, list[float]] = {
        "min_side": [1, 2, 2, 2, 2],
        "max_aspect": [2, 1, 2, 3, 4],
        "caption_words": [0, 1, 2, 3, 4],
        "caption_characters": [len(text) for text in captions],
    }
    values = measured.get(name, score.to_pylist())
    holds = {Side.AT_LEAST: ge, Side.MORE_THAN: gt, Side.AT_MOST: le, Side.BELOW: lt}[FILTERS[name].keeps]
    for threshold in sorted(set(values)):
        (one,) = Filtering(**{name: threshold}).filters()
        assert one.passes(table).tolist() == [bool(holds(value, np.float32(threshold))) for value in values]
        (rule,) = Filtering(**{name: threshold}).rules()
        assert (rule.reason, rule.keeps, rule.threshold) == (one.reason, FILTERS[name].keeps, threshold)


def test_decisions_keep_the_order_and_the_scores_of_the_samples(tmp_path: Path) -> None:
    samples = Samples.of(clustered(50, 16, seed=5))
    write_set(tmp_path, samples, np.array_split(np.arange(50), 3))
    decisions = decide(tmp_path, sources_of(tmp_path), Filtering(nsfw_threshold=0.5), None, dedup=False)
    inputs = pa.concat_tables([read_table(path_of(tmp_path, "samples", f"{i:05d}")) for i in range(3)])
    for name in ("uid", "shard", "key"):
        assert decisions[name].equals(inputs[name])
    assert decisions["aesthetic"].null_count == 3  # the unreadable ones
    assert decisions["reason"].to_pylist().count("unreadable") == 3
    values = decisions["nsfw"].drop_null().to_numpy()
    assert ((values < 0.5) == decisions.filter(decisions["nsfw"].is_valid())["kept"].to_numpy()).all()


def test_scores_that_are_missing(tmp_path: Path) -> None:
    samples = Samples.of(np.eye(4, dtype=np.float16))
    samples.aesthetic[:] = [0.2, np.nan, 0.7, 0.9]
    write_set(tmp_path, samples, [np.arange(4)])
    sources = sources_of(tmp_path)
    got = decided(decide(tmp_path, sources, Filtering(0.7), None, dedup=False))
    reasons = [got[samples.uid(i)][0] for i in range(4)]
    assert reasons == ["aesthetic", "aesthetic", "kept", "kept"]  # 0.7 passes 0.7, though float32
    with pytest.raises(UsageError, match="no score beauty"):
        decide(tmp_path, sources, Filtering(min_score=["beauty=0.5"]), None, dedup=False)
    path = path_of(tmp_path, "scores", "00000")
    write_table(path, read_table(path).slice(1))
    with pytest.raises(TableError, match="lacks 1 of the readable samples"):
        decide(tmp_path, sources, Filtering(), None, dedup=False)


FORMULA = "mix=0.6*z(nsfw)-0.4*z(aesthetic)"


def numpy_top(samples: Samples, values: np.ndarray, passes: np.ndarray, count: int) -> np.ndarray:
    """bool (n,): the best `count` of those that pass, by sorting."""
    order = sorted(np.flatnonzero(passes).tolist(), key=lambda i: (-values[i], samples.uid(i)))
    return np.isin(np.arange(len(samples)), order[:count])


def test_the_best_are_those_of_numpy_for_any_split_and_no_two_of_them_are_duplicates(tmp_path: Path) -> None:
    n, options = 1500, ["--nsfw-threshold", "0.8", "--score", FORMULA, "--keep-top", "mix=0.4,aesthetic=200", "--dedup"]
    samples = Samples.of(clustered(n, 16, seed=7), seed=7)
    samples.aesthetic[::11] = np.nan
    made, left = [], []
    for parts in (1, 2, 13):
        results = write_set(tmp_path / str(parts), samples, np.array_split(np.arange(n), parts))
        said("dedup", "pairs", "--results", results, "--dedup-threshold", "0.9")
        said("decide", "--results", results, *options)
        said("dedup", "check", "--results", results)
        made.append(read_table(results / "decisions.parquet"))
        left.append((results / "decisions.json").read_bytes())
    # As text, since a NaN is no other's equal.
    rows = {str(table.filter(pc.not_equal(table["reason"], "unreadable")).to_pylist()) for table in made}
    assert len(rows) == 1 == len(set(left))

    # numpy and Python of the same definition.
    a, b = (values.astype(np.float32).astype(np.float64) for values in (samples.aesthetic, samples.nsfw))
    z_a, z_b = (a - np.nanmean(a)) / np.nanstd(a), (b - b.mean()) / b.std()
    mix = (0.6 * z_b - 0.4 * z_a).astype(np.float32)
    got = decided(made[0])
    stored = dict(zip(made[0]["uid"].to_pylist(), made[0]["mix"].to_pylist(), strict=True))
    exact = np.array([stored[samples.uid(i)] for i in range(n)], np.float32)  # the last bit may be another
    np.testing.assert_allclose(exact, mix, atol=1e-6)
    passes = b < np.float32(0.8)
    scored = passes & ~np.isnan(exact)
    first = numpy_top(samples, exact, scored, int(scored.sum() * 4 // 10))
    second = numpy_top(samples, a, first, 200)
    assert (second & (a == a[second].min())).sum() < (first & (a == a[second].min())).sum()  # ties at the end
    for i in range(n):
        reason = got[samples.uid(i)][0]
        assert (reason == "nsfw") == (not passes[i])
        assert (reason == "top_mix") == (passes[i] and not first[i])
        assert (reason == "top_aesthetic") == (first[i] and not second[i])
    reasons = Counter(reason for reason, *_ in got.values())
    assert reasons["kept"] + reasons["duplicate_near"] + reasons["duplicate_exact"] == 200 > reasons["kept"]

    criteria = read_criteria(tmp_path / "1")
    nsfw, by_mix, by_aesthetic = criteria.filters
    assert (nsfw.top, by_mix.top, by_aesthetic.top) == (None, "0.4", "200")
    assert (by_mix.among, by_mix.chosen) == (scored.sum(), first.sum())
    assert np.float32(by_mix.threshold or 0) == exact[first].min() and by_aesthetic.threshold == a[second].min()
    assert criteria.thresholds() == {
        "nsfw": 0.8,
        "mix": by_mix.threshold,
        "aesthetic": by_aesthetic.threshold,
        "dedup": 0.9,
    }
    assert Filtering.of_criteria(criteria) == Filtering(
        nsfw_threshold=0.8, score=(FORMULA,), keep_top=("mix=0.4", "aesthetic=200")
    )


def test_the_best_of_nothing_and_of_a_score_that_is_not_there(tmp_path: Path) -> None:
    samples = Samples.of(np.eye(6, dtype=np.float16))
    samples.aesthetic[:] = np.nan
    results = write_set(tmp_path, samples, [np.arange(6)])
    decisions = decide(results, sources_of(results), Filtering(keep_top=["aesthetic=0.5"]), None, dedup=False)
    assert {reason for reason, *_ in decided(decisions).values()} == {"top_aesthetic"}
    (rule,) = read_criteria(results).filters
    assert (rule.among, rule.chosen, rule.threshold) == (0, 0, None)
    for words, sentence in (
        (["--keep-top", "beauty=3"], "There is no score beauty"),
        (["--keep-top", "nsfw=half"], "does not say how many to keep"),
        (["--score", "nsfw=1"], "There is a score nsfw already"),
        (["--score", "mix=exit(1)"], "is not a formula"),
    ):
        assert sentence in said("decide", "--results", results, *words, code=2)


def test_captions_that_many_samples_have(tmp_path: Path) -> None:
    n = 90
    samples = Samples.of(clustered(n, 16, seed=3, copies=0))
    captions = ["logo", " LOGO ", "a cat", None, "a dog", "  ", *[f"number {i}" for i in range(9)]]
    said_of = {samples.uid(i): captions[i % 15] if i % 15 < 6 else f"{captions[i % 15]} {i}" for i in range(n)}
    made = []
    for parts in (1, 4):
        results = write_set(tmp_path / str(parts), samples, np.array_split(np.arange(n), parts))
        for number in range(parts):
            path = path_of(results, "samples", f"{number:05d}")
            set_columns(path, caption=[said_of.get(uid, "logo") for uid in read_table(path)["uid"].to_pylist()])
        words = ["--max-caption-count", 11, "--score", "rare=-1*caption_count", "--keep-top", "rare=70", "--no-dedup"]
        said("decide", "--results", results, *words)
        made.append(read_table(results / "decisions.parquet").filter(pc.field("reason") != "unreadable"))
        assert Filtering.of_criteria(read_criteria(results)) == Filtering(
            max_caption_count=11, score=("rare=-1*caption_count",), keep_top=("rare=70",)
        )
    assert str(made[0].to_pylist()) == str(made[1].to_pylist())
    # 12 are called logo, which broken samples of this caption do not change; 6 each a cat and a dog.
    rows = {row["uid"]: row for row in made[0].to_pylist()}
    for uid, caption in said_of.items():
        count = {"logo": 12, " LOGO ": 12, "a cat": 6, "a dog": 6, None: None, "  ": None}.get(caption, 1)
        assert rows[uid]["caption_count"] == count or (count is None and np.isnan(rows[uid]["caption_count"]))
        due = {12: {"max_caption_count"}, 6: {"kept"}, 1: {"kept"}, None: {"top_rare"}}[count]
        assert rows[uid]["reason"] in due


@pytest.mark.parametrize("steps", [("pairs",), ("train", "assign", "match")])
def test_pairs_of_a_search_with_other_references_are_refused(tmp_path: Path, steps: tuple[str, ...]) -> None:
    samples = Samples.of(clustered(180, 16, seed=6))
    new = write_set(tmp_path / "new", samples, np.array_split(np.arange(60), 2))
    old, older = (
        write_set(tmp_path / name, samples, [part + 60])
        for name, part in (("a", np.arange(60)), ("b", np.arange(60, 120)))
    )

    def search(*references: Path) -> None:
        for step in steps:
            choice = () if step in ("assign", "match") else ("--dedup-threshold", "0.9", "--dedup-cells", "4")
            said("dedup", step, "--results", new, *choice, *named(references))

    def named(references: Sequence[Path]) -> list[object]:
        return [word for folder in references for word in ("--reference", folder)]

    remedy = "; give every step of dedup.py and decide.py the same --reference in the same order, and search again if"
    for searched, others, sentence in (
        ((), (old,), "with no reference set, but --reference names 1"),
        ((old,), (), "with 1 reference set, but --reference names none"),
        ((old, older), (old,), "with 2 reference sets, but --reference names 1"),
        ((old, older), (older, old), "with the reference sets in another order than --reference names"),
        ((old,), (older,), "with other reference sets than --reference names"),
    ):
        search(*searched)
        said("decide", "--results", new, *named(searched))
        left = {path: path.read_bytes() for path in new.rglob("*") if path.is_file()}
        refused = said("decide", "--results", new, *named(others), code=1)
        assert f"Duplicates in {new} were sought {sentence}{remedy}" in refused, refused
        assert {path: path.read_bytes() for path in new.rglob("*") if path.is_file()} == left
        said("decide", "--results", new, "--no-dedup", *named(others))

    # The folder may have another name.
    shutil.copytree(old, tmp_path / "references" / "1")
    search(old)
    said("decide", "--results", new, "--reference", tmp_path / "references" / "1")
    assert "duplicate_reference" in read_table(new / "decisions.parquet")["reason"].to_pylist()


def test_a_reference_that_is_named_twice_is_recorded_twice(tmp_path: Path) -> None:
    samples = Samples.of(clustered(90, 16, seed=7))
    old = write_set(tmp_path / "old", samples, [np.arange(40)])
    new = write_set(tmp_path / "new", samples, [np.arange(40, 90)])
    twice = ("--results", new, "--reference", old, "--reference", old)
    said("dedup", "pairs", "--dedup-threshold", "0.9", *twice)
    said("decide", *twice)
    assert read_criteria(new).references == (str(old), str(old))
