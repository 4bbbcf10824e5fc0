"""Scores made of others are what numpy makes of the formula, whatever the split, and nothing else is a formula."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycurate.errors import UsageError
from pycurate.filters.combined import columns_of, combination_of, fitted, moments, with_combined

ATOMS = st.sampled_from(["a", "b", "z(a)", "z(b)", "2", "0.25", "1e-3"])
FORMULAS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map("".join), inner.map("({})".format), inner.map("-{}".format)
    ),
    max_leaves=8,
)


def scores_of(seed: int, n: int) -> pa.Table:
    """float32 scores `a`, and `b` which some rows lack."""
    random = np.random.default_rng(seed)
    b = random.normal(3, 2, n).astype(np.float32)
    b[random.random(n) < 0.2] = np.nan
    return pa.table({"a": random.random(n).astype(np.float32), "b": b})


@given(formula=FORMULAS, seed=st.integers(0, 999), n=st.integers(2, 60))
def test_a_formula_means_what_it_means_in_python(formula: str, seed: int, n: int) -> None:
    scores = scores_of(seed, n)
    a, b = (scores[name].to_numpy().astype(np.float64) for name in "ab")

    def z(x: np.ndarray) -> np.ndarray:
        return (x - np.nanmean(x)) / np.nanstd(x)

    if np.count_nonzero(~np.isnan(b)) < 2:
        return
    expected = np.broadcast_to(eval(formula, {"a": a, "b": b, "z": z}), n)
    (one,) = fitted([combination_of(f"mix={formula}")], lambda: [scores])
    got = with_combined(scores, [one])["mix"]
    assert got.type == pa.float32()
    np.testing.assert_allclose(got.to_numpy(), expected.astype(np.float32), rtol=1e-4, atol=1e-5)


@given(seed=st.integers(0, 999), n=st.integers(1, 300), data=st.data())
def test_neither_split_nor_order_changes_a_bit(seed: int, n: int, data: st.DataObject) -> None:
    scores = scores_of(seed, n)
    wanted = [combination_of("one=0.6*z(a)+0.4*z(b)"), combination_of("two=z(one)-b")]
    order = np.array(data.draw(st.permutations(range(n))))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    parts = [scores.take(pa.array(part, pa.int64())) for part in np.split(order, cuts)]
    whole, split = fitted(wanted, lambda: [scores]), fitted(wanted, lambda: parts)
    assert whole == split
    joined = pa.concat_tables([with_combined(part, split) for part in parts])
    for name in ("one", "two"):
        expected = with_combined(scores, whole)[name].to_numpy()[order]
        assert joined[name].to_numpy().tobytes() == expected.tobytes()


def test_the_longest_formula() -> None:
    table = scores_of(0, 3)
    one = combination_of(f"sum={'a+' * 249}a")
    got = with_combined(table, fitted([one], lambda: [table]))["sum"].to_numpy()
    np.testing.assert_allclose(got, 250 * table["a"].to_numpy(), rtol=1e-6)


def test_moments_are_those_of_numpy() -> None:
    scores = scores_of(1, 10_000)["b"].to_numpy()
    known = scores[~np.isnan(scores)].astype(np.float64)
    assert moments([scores[:17], scores[17:]]) == pytest.approx((known.mean(), known.std()), rel=1e-14)
    assert moments([]) == moments([np.full(3, np.nan, np.float32)]) == (0, 0)


def test_equal_scores_and_results_that_are_no_number() -> None:
    table = pa.table({"a": np.array([2, 2, np.nan], np.float32), "big": np.array([1e38, -1e38, 0], np.float32)})
    wanted = [combination_of(text) for text in ("equal=z(a)+1", "huge=big*big", "sure=1")]
    made = with_combined(table, fitted(wanted, lambda: [table]))
    assert np.array_equal(made["equal"].to_numpy(), [1, 1, np.nan], equal_nan=True)
    assert np.isnan(made["huge"].to_numpy()).tolist() == [True, True, False]
    assert made["sure"].to_pylist() == [1, 1, 1]
    assert with_combined(table.slice(0, 0), fitted(wanted, lambda: [])).num_rows == 0


HOSTILE: list[Any] = [
    *("", "a+", "a b", "a/b", "a**2", "a if a else b", "[a]", "a.b", "a[0]", "'a'", "1j", "True", "a<b", "lambda: a"),
    *("z(1)", "z(a+b)", "z()", "z(a, b)", "z(z(a))", "z(*a)", "abs(a)", "__import__('os').system('true')", "a\0"),
    *(
        "a:=b",
        "(a,b)",
        "f'{a}'",
        "+a",
        "~a",
        "9" * 400 + "*a",
        "(" * 500 + "a" + ")" * 500,
        "-" * 2000 + "a",
        "a+" * 250 + "a",
    ),
]


@pytest.mark.parametrize("formula", HOSTILE)
def test_what_is_no_formula(formula: str) -> None:
    with pytest.raises(UsageError, match="is not a formula"):
        combination_of(f"mix={formula}")


@pytest.mark.parametrize("name", ["", "Mix", "uid", "kept", "dedup", "z", "a b", "2a", "a-b"])
def test_what_cannot_name_a_score(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a score"):
        combination_of(f"{name}=a")


def test_scores_that_are_not_there_or_there_twice() -> None:
    table = scores_of(0, 3)
    one = combination_of("mix = z(a) * -2 + c")
    assert (one.name, one.formula, columns_of(one)) == ("mix", "z(a) * -2 + c", ["a", "c"])
    with pytest.raises(UsageError, match="no score c"):
        with_combined(table, fitted([one], lambda: [table]))
    with pytest.raises(UsageError, match="a score a already"):
        with_combined(table, [replace(one, name="a", formula="b")])
