"""`pycurate inspect`: one sample, or the run as a whole."""

import json
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.cells import cell_len

from pycurate.cli.options import FOLDER
from pycurate.cli.terminal import echo
from pycurate.errors import UsageError
from pycurate.results.layout import path_of
from pycurate.results.reasons import UNREADABLE, label, title
from pycurate.text import number, pad, printable, shortest, size

if TYPE_CHECKING:
    from pycurate.results.criteria import Criteria, Rule
    from pycurate.review.lookup import Lookup


WIDTH = 13  # of the headings, if none is longer


@click.command()
@click.argument("results", type=FOLDER)
@click.argument("name", metavar="[UID|KEY|SHARD/KEY]", required=False)
@click.option("--extract", "place", type=click.Path(), help="Save the image to this file or folder (with a / behind).")
def inspect(results: Path, name: str | None, place: str | None) -> None:
    """Show why a sample of RESULTS was kept or dropped, and where its bytes are in the input and the output.

    Without a uid or key: counts of kept and dropped samples.
    """
    from pycurate.results.criteria import read_criteria  # here, since it takes a second
    from pycurate.results.tables import read_summary
    from pycurate.review.lookup import extract, look_up, matching

    summary = read_summary(results)
    if name is None:
        if place:
            raise UsageError("--extract needs the uid or key of one sample.")
        _whole(summary, results)
        return
    rows = matching(results, name)
    if len(rows) > 1:
        echo(f"{name} matches {len(rows)} or more samples; give the uid or SHARD/KEY of one:")
        for row in rows:
            echo(f"  {row['uid']}  {row['shard']}/{row['key']}")
        raise UsageError(f"{name} matches more than one sample.")
    found = look_up(results, rows[0]["uid"])
    lines = described(found, read_criteria(results))
    width = max(WIDTH, *(cell_len(printable(heading)) for heading, _ in lines))
    for heading, text in lines:
        echo(f"{pad(heading, width)} {text}")
    if place:
        echo(f"{'written':{width}} {extract(found, Path(place), folder=place.endswith('/'))}")


def described(found: "Lookup", criteria: "Criteria") -> list[tuple[str, str]]:
    """What is to be said of a sample, line by line: a heading and a text."""
    sample, decision = found.sample, found.decision
    lines = [
        ("sample", f"{sample['shard']}/{sample['key']}"),
        ("uid", sample["uid"]),
        ("decision", "kept" if decision["kept"] else f"dropped: {_why(found, criteria)}"),
    ]
    if sample["status"] == "ok":
        about = f"{sample['format']}, {sample['width']} x {sample['height']}, {size(sample['size'])}"
        lines += [("image", f"{about}, SHA-256 {sample['sha256']}")]
    lines += [("caption", json.dumps(sample["caption"], ensure_ascii=False) if sample["caption"] else "none")]
    lines += [(name, _scored(value, criteria.rules_on(name))) for name, value in found.scores.items()]
    if decision["duplicate_of"]:
        other = found.original
        where = f"{other['shard']}/{other['key']} " if other else "a reference set's "
        lines += [("duplicate of", f"{where}{decision['duplicate_of']}, cosine {decision['similarity']:.4f}")]
    if found.copied:
        lines += [("duplicates", f"{number(found.copied)} dropped as duplicates of it")]
        lines += [("", f"{one['shard']}/{one['key']}, cosine {one['similarity']:.4f}") for one in found.copies]
    path = found.shard.path if found.shard else sample["shard"]
    stop = sample["tar_offset"] + sample["tar_size"]
    image = f"the image at {sample['offset']}" if sample["offset"] else "no image"
    lines += [("from", f"{path}, bytes {sample['tar_offset']} to {stop}; {image}")]
    lines += [("to", f"curated/{decision['output_shard']}" if decision["output_shard"] else "nowhere")]
    return lines


def _why(found: "Lookup", criteria: "Criteria") -> str:
    sample, reason = found.sample, found.decision["reason"]
    if reason == UNREADABLE:
        return f"{label(reason)}, {sample['error']}: {sample['error_message']}"
    words = f"{reason} ({title(reason)})"
    # Several may have one reason, such as --aesthetic_threshold and a --min_score of it.
    causes = [text for text in map(_cause, criteria.rules_for(reason)) if text]
    return ", ".join([words, " or ".join(causes)]) if causes else words


def _cause(rule: "Rule") -> str:
    if rule.filter:
        return rule.filter
    if rule.top or rule.allowed:
        return f"not {rule.condition}"
    return f"set to {rule.threshold}" if rule.threshold is not None else ""


def _scored(value: float | str | None, rules: Sequence["Rule"]) -> str:
    text = "none" if value is None or value != value else value if isinstance(value, str) else _told(value, rules)
    return ", ".join([text, *(f"kept {rule.condition}" for rule in rules)])


def _told(score: float, rules: Sequence["Rule"]) -> str:
    """A score in four decimals, or with all digits if these seem to be on another side of a threshold."""
    told = f"{score:.4f}"
    limits = np.array([rule.threshold for rule in rules if rule.threshold is not None], np.float32)
    same = np.sign(np.float32(told) - limits) == np.sign(np.float32(score) - limits)
    return told if same.all() else str(shortest(np.float32(score)))


def _whole(summary: dict[str, Any], results: Path) -> None:
    for name, count in {"inputs": summary["inputs"], "kept": summary["kept"], **summary["dropped"]}.items():
        echo(f"{pad(name, 20)} {count:>12,}")
    echo(f"For one sample: pycurate inspect {quote(str(results))} UID. Report: {path_of(results, 'page')}")
