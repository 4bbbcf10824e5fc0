#!/usr/bin/env python3
"""Compare a run on the demo's shards with their truth.json, and print the results."""

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pycurate.errors import PycurateError
from pycurate.results.tables import read_table, read_tables

COPIES = ("original", "byte_copy", "reencoded", "resized")  # of one photograph: at most one of them should stay
OUT_OF_FOCUS = ("cell",)  # at every useful size, so that nothing tells which of its files is the original
LOSSLESS = ("PNG", "BMP", "TIFF", "PNG with alpha")  # as the truth says how a file was made
FOUND = 0.95  # of the re-encoded and resized copies

Rows = dict[str, dict[str, Any]]  # by uid


def read_truth(shards: Path) -> Rows:
    """{uid: record} as make_demo.py wrote it."""
    return {record["uid"]: record for record in json.loads((shards / "truth.json").read_text(encoding="utf-8"))}


def read_decisions(results: Path) -> Rows:
    """{uid: row} of decisions.parquet, with sha256 and error of the samples tables."""
    rows = {row["uid"]: row for row in read_table(results / "decisions.parquet").to_pylist()}
    for _, samples in read_tables(results, "samples", ["uid", "sha256", "error"]):
        for sample in samples.to_pylist():
            rows.get(sample["uid"], {}).update(sample)
    return rows


def accounting(summary: dict[str, Any], truth: Rows, rows: Rows) -> Iterator[str]:
    """inputs = kept + dropped, and each sample has its row."""
    dropped = sum(summary["dropped"].values())
    if not summary["inputs"] == summary["kept"] + dropped == len(truth):
        yield f"{len(truth)} input samples, but {summary['kept']} kept + {dropped} dropped."
    for uid in truth.keys() - rows.keys():
        yield f"{_name(truth[uid])} is missing from the decisions."
    for uid in rows.keys() - truth.keys():
        yield f"The decisions have a sample {rows[uid]['key']!r} of {rows[uid]['shard']} that is not in the truth."


def broken(truth: Rows, rows: Rows) -> Iterator[str]:
    """Each broken sample is in the ledger with a code that fits, and nothing else is called unreadable."""
    for uid, row in rows.items():
        errors = truth[uid]["errors"]
        if (row["reason"] == "unreadable") != bool(errors) or (errors and row["error"] not in errors):
            wanted = " or ".join(errors) or "no error"
            yield f"{_name(truth[uid])} has the reason {row['reason']} with {row['error']} instead of {wanted}."


def duplicates(truth: Rows, rows: Rows) -> Iterator[str]:
    """No two different photographs are called duplicates, and each duplicate names a kept sample."""
    for uid, row in rows.items():
        if other := row["duplicate_of"]:
            if truth[uid]["source"] != truth[other]["source"]:
                yield f"{_name(truth[uid])} is wrongly a duplicate of {_name(truth[other])}."
            if not rows[other]["kept"]:
                yield f"{_name(truth[uid])} is dropped as a duplicate of {_name(truth[other])}, which is not kept."


def planted_copies(truth: Rows, rows: Rows) -> dict[str, tuple[int, int]]:
    """(found, passed the filters) among byte copies, and among re-encoded and resized ones.

    Of byte-equal files that pass the filters all but one are copies; each that is kept beside the first was missed.
    Likewise of the files that show one photograph whole, with byte-equal ones counted once.
    """
    equal: dict[str, list[bool]] = {}  # sha256 -> kept or not
    shown: dict[str, dict[str, bool]] = {}  # photograph -> sha256 -> one of them kept or not
    for uid, row in rows.items():
        if truth[uid]["expected"] in COPIES and (row["kept"] or row["duplicate_of"]):
            equal.setdefault(row["sha256"], []).append(row["kept"])
            files = shown.setdefault(truth[uid]["source"], {})
            files[row["sha256"]] = files.get(row["sha256"], False) or row["kept"]

    def count(groups: list[list[bool]]) -> tuple[int, int]:
        copies = sum(len(group) - 1 for group in groups)
        return copies - sum(max(0, sum(group) - 1) for group in groups), copies

    return {
        "byte copies": count(list(equal.values())),
        "re-encoded and resized copies": count([list(files.values()) for files in shown.values()]),
    }


def copies(truth: Rows, rows: Rows) -> Iterator[str]:
    """Every byte copy and nearly every re-encoded or resized copy is found."""
    for kind, (found, passed) in planted_copies(truth, rows).items():
        needed = 1.0 if kind == "byte copies" else FOUND
        if passed == 0:
            yield f"No {kind} passed the filters, so they cannot be checked."
        elif found < needed * passed:
            yield f"{found} of {passed} {kind} were found, fewer than {needed:.0%}."


def originals(truth: Rows, rows: Rows) -> tuple[set[str], set[str]]:
    """The photographs whose original was kept, and those of which it passed the filters.

    The original is the first file of each, or a lossless one of its pixels.
    """
    passed, kept = set(), set()
    for uid, row in rows.items():
        record = truth[uid]
        own = record["expected"] in ("original", "byte_copy")
        if own and (row["kept"] or row["duplicate_of"]):
            passed.add(record["source"])
        if row["kept"] and (own or record["made"] in LOSSLESS):
            kept.add(record["source"])
    return kept & passed, passed


def kept_originals(truth: Rows, rows: Rows) -> Iterator[str]:
    """Of each photograph whose original passes the filters this is the one that stays."""
    kept, passed = originals(truth, rows)
    for source in sorted(passed - kept - {*OUT_OF_FOCUS}):
        yield f"The original of {source} passed the filters, but a copy of it was kept."


def untouched(results: Path, shards: Path, rows: Rows) -> Iterator[str]:
    """Each kept sample, and no other, is in the curated tars with the names and bytes that it came with."""
    inputs: dict[str, dict[str, dict[str, bytes]]] = {}
    written = set()
    for path in sorted((results / "curated").glob("*.tar")):
        output = members(path)
        for row in read_table(path.with_suffix(".parquet"), ["uid", "shard", "key"]).to_pylist():
            written.add(row["uid"])
            if row["shard"] not in inputs:
                inputs[row["shard"]] = members(shards / row["shard"])
            if output.pop(row["key"], None) != inputs[row["shard"]][row["key"]]:
                yield f"The sample {row['key']!r} of {row['shard']} is not in {path.name} unchanged."
        for key in output:
            yield f"The sample {key!r} of {path.name} is in no table."
    kept = {uid for uid, row in rows.items() if row["kept"]}
    if written != kept:
        yield f"{len(written & kept)} of {len(kept)} kept samples are written, and {len(written - kept)} others."


def members(path: Path) -> dict[str, dict[str, bytes]]:
    """{key: {member name: bytes}} of the whole members of a tar, by Python's own reader."""
    samples: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as tar:
        try:
            for member in tar:
                folder, slash, name = member.name.rpartition("/")
                file = tar.extractfile(member)
                if file:
                    samples.setdefault(folder + slash + name.split(".")[0], {})[member.name] = file.read()
        except tarfile.ReadError:
            pass  # a shard that is cut: what lies before the cut counts
    return samples


def check(results: Path, shards: Path) -> list[str]:
    """Every way in which the run does not meet the truth, a sentence each."""
    truth, rows = read_truth(shards), read_decisions(results)
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    faults = list(accounting(summary, truth, rows))
    if not faults:
        faults = [*broken(truth, rows), *duplicates(truth, rows), *copies(truth, rows)]
        faults += kept_originals(truth, rows)
        faults += untouched(results, shards, rows)
    return faults


def table(truth: Rows, rows: Rows) -> str:
    """What was planted, down, by what became of it, across."""
    counts = Counter((truth[uid]["expected"], row["reason"]) for uid, row in rows.items() if uid in truth)
    reasons = sorted({reason for _, reason in counts}, key=lambda reason: (reason != "kept", reason))
    lines = [["planted", "samples", *reasons]]
    for kind in dict.fromkeys(["original", *sorted(kind for kind, _ in counts if kind != "broken"), "broken"]):
        numbers = [counts[kind, reason] for reason in reasons]
        lines.append([kind, *(str(number) for number in (sum(numbers), *numbers))])
    totals = [sum(int(line[column]) for line in lines[1:]) for column in range(1, len(lines[0]))]
    lines.append(["all", *map(str, totals)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    )


def _name(record: dict[str, Any]) -> str:
    return f"{record['source'] or 'A file'} ({record['made']}; {record['key']!r} of {record['shard']})"


@click.command()
@click.argument("results", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("shards", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(results: Path, shards: Path) -> None:
    """Print what a run on the demo's SHARDS kept and dropped; exit with 1 if RESULTS are wrong."""
    try:
        truth, rows = read_truth(shards), read_decisions(results)
    except (PycurateError, OSError) as error:
        raise click.ClickException(f"nothing to check: {error}") from error
    click.echo(f"\n{table(truth, rows)}\n")
    for kind, (found, passed) in planted_copies(truth, rows).items():
        click.echo(f"{found} of the {passed} {kind} that passed the filters were found.")
    stayed, all_passed = (len(sources) for sources in originals(truth, rows))
    click.echo(
        f"{stayed} of the {all_passed} originals that passed the filters were kept, or a lossless copy of theirs."
    )
    faults = check(results, shards)
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        raise SystemExit(1)
    click.echo("Every sample is accounted for, and each kept one is byte-equal to its source.\n")
    click.echo(f"Curated shards   {results / 'curated'}\nReport           {results / 'report.html'}")


if __name__ == "__main__":
    main()
