"""Sentences about what was known only when all samples were: the best of a score, and scores made of others."""

from pycurate.results.criteria import Balance, Combination, Criteria, Rule
from pycurate.text import count_of


def selection(criteria: Criteria) -> list[str]:
    """A sentence for each score made of others, for blocklists, each score whose best were kept, and a balance."""
    made = [_combined(one) for one in criteria.scores]
    made += [_blocking(rule) for rule in criteria.filters if rule.hashes is not None]
    best = [_best(rule) for rule in criteria.filters if rule.chosen is not None]
    return made + best + ([_balanced(criteria.balance)] if criteria.balance else [])


def _combined(one: Combination) -> str:
    known = (f"{name} has mean {mean:.6g}, deviation {spread:.6g}" for name, (mean, spread) in one.moments.items())
    return f"{one.name} = {one.formula}" + "".join(f"; {text}" for text in known) + "."


def _blocking(rule: Rule) -> str:
    hashes, lists = count_of(rule.hashes or 0, "hash"), count_of(len(rule.lists), "blocklist")
    return f"Images were compared with {hashes} of {lists}."


def _best(rule: Rule) -> str:
    came = f"The threshold came to {rule.threshold}" if rule.threshold is not None else "There is no threshold"
    return f"{came} on {rule.column}: it keeps the top {rule.top}, {rule.chosen:,} of {rule.among:,} samples."


def _balanced(balance: Balance) -> str:
    if balance.by == "cells":
        levels = ", ".join(f"{number:,}" for number in balance.levels) or "no"
        over = f"over levels of {levels} cells"
    else:
        over = f"over the words of captions, with a cap of {balance.cap:,}"
    return f"Balanced {over}: {balance.chosen:,} of {balance.among:,} samples are kept."
