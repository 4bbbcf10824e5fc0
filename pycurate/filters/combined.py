"""Scores made of other scores by a formula, such as `mix=0.6*z(clip_score)+0.4*z(aesthetic)`.

A formula consists of numbers, columns of scores, `+`, `-`, `*`, parentheses and `z(COLUMN)`, the standard score

    z(x) = (x - mean) / deviation

over all samples that are readable and have the score: of the whole input, not of a partition, and before any filter.
The mean is the correctly rounded sum (`math.fsum`) of the scores divided by their number, the deviation the root of the
correctly rounded sum of the squared differences from it divided by their number. So neither depends on the order of the
samples. Where all are equal, z is 0. Formulas are computed in float64, the result is stored as float32; a sample that
lacks one of the scores has none (NaN), nor has one whose result is infinite.
"""

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from pycurate.errors import UsageError
from pycurate.filters.thresholds import score_of
from pycurate.results.criteria import Combination
from pycurate.results.tables import TAKEN

MOST = 500  # characters of a formula


def combination_of(text: str) -> Combination:
    """What `NAME=FORMULA` names, its moments not yet known. Raises UsageError if it is no formula."""
    name, _, formula = text.partition("=")
    name, formula = name.strip(), formula.strip()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in TAKEN or name == "z":
        raise UsageError(
            f"{name!r} cannot name a score; write NAME=FORMULA with a name of lower-case letters, digits and "
            "underscores that is no column of pycurate's tables."
        )
    _named(formula)
    return Combination(name, formula)


def columns_of(combination: Combination) -> list[str]:
    """The scores that it is made of, in the order of the formula."""
    return list(dict.fromkeys(column for column, _ in _named(combination.formula)))


def fitted(combinations: Sequence[Combination], scores: Callable[[], Iterable[pa.Table]]) -> list[Combination]:
    """These with the moments that their standard scores need; each may name those before it.

    `scores()` gives a table of scores for each partition, a row per readable sample. Raises UsageError for a score that
    is not there, and for a name that one has already.
    """
    done: list[Combination] = []
    for one in combinations:
        names = sorted({column for column, standard in _named(one.formula) if standard})
        parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for table in scores() if names else ():
            table = with_combined(table, done)
            for name in names:
                parts[name].append(score_of(table, name).astype(np.float32))
        done.append(replace(one, moments={name: moments(parts[name]) for name in names}))
    return done


def moments(parts: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean and deviation of float32 (n,) arrays of scores, NaN aside; 0 and 0 of no scores."""
    count = sum(int(np.count_nonzero(~np.isnan(part))) for part in parts)
    if not count:
        return 0.0, 0.0
    mean = _sum(map(_known, parts)) / count
    return mean, math.sqrt(_sum((part - mean) ** 2 for part in map(_known, parts)) / count)


def with_combined(table: pa.Table, combinations: Sequence[Combination]) -> pa.Table:
    """The table and a float32 column for each. Raises UsageError as `fitted` does."""
    for one in combinations:
        if one.name in table.column_names:
            raise UsageError(f"There is a score {one.name} already; give {one.name}={one.formula} another name.")
        with np.errstate(all="ignore"):  # what overflows is no score
            values = np.asarray(_value(_parsed(one.formula), one, table)).astype(np.float32)
        values = np.broadcast_to(np.where(np.isfinite(values), values, np.float32(np.nan)), table.num_rows)
        table = table.append_column(one.name, pa.array(values, pa.float32()))
    return table


def _known(scores: np.ndarray) -> np.ndarray:
    """float64: those that are no NaN."""
    return scores[~np.isnan(scores)].astype(np.float64)


def _sum(parts: Iterable[np.ndarray]) -> float:
    return math.fsum(number for part in parts for number in part.tolist())


def _parsed(formula: str) -> ast.expr:
    """Python's syntax tree, of which `_walk` allows little and nothing is ever run."""
    try:
        if len(formula) > MOST:
            raise ValueError("it is too long")
        return ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _wrong(formula) from error


def _named(formula: str) -> list[tuple[str, bool]]:
    """Each column of a formula, and whether its standard score is meant. Raises UsageError if it is no formula."""
    return list(_walk(_parsed(formula), formula))


def _walk(node: ast.expr, formula: str) -> Iterator[tuple[str, bool]]:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool) and abs(number) < 1e308:
            pass
        case ast.Name(id=column):
            yield column, False
        case ast.Call(func=ast.Name(id="z"), args=[ast.Name(id=column)], keywords=[]):
            yield column, True
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield from _walk(operand, formula)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult(), right=right):
            yield from _walk(left, formula)
            yield from _walk(right, formula)
        case _:
            raise _wrong(formula)


def _value(node: ast.expr, combination: Combination, table: pa.Table) -> np.ndarray | np.float64:
    """float64 (), or (n,) of the table's rows."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return np.float64(number)
        case ast.Name(id=column):
            return score_of(table, column)
        case ast.Call(args=[ast.Name(id=column)]):
            mean, deviation = combination.moments[column]
            return (score_of(table, column) - mean) / (deviation or 1.0)
        case ast.UnaryOp(operand=operand):
            return -_value(operand, combination, table)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = (_value(side, combination, table) for side in (left, right))
            return a + b if isinstance(op, ast.Add) else a - b if isinstance(op, ast.Sub) else a * b
    raise AssertionError("combination_of allows nothing else")


def _wrong(formula: str) -> UsageError:
    return UsageError(
        f"{formula[:MOST]!r} is not a formula; write numbers, scores, +, -, *, parentheses and z(SCORE), as in "
        f"0.6*z(clip_score)+0.4*z(aesthetic), with {MOST} characters at most."
    )
