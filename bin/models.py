#!/usr/bin/env python3
"""MODELS: list models, bring their weights, test that they give what was published."""

import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from pycurate import __version__
from pycurate.cli.command import Group
from pycurate.cli.model_options import model_options
from pycurate.cli.terminal import echo
from pycurate.errors import PycurateError
from pycurate.files import write_json
from pycurate.models.fetch import fetch_models
from pycurate.models.findings import findings_path, keep_findings, read_findings
from pycurate.models.presets import DESCRIPTORS, PRESETS
from pycurate.models.selection import ModelSelection
from pycurate.text import pad


@click.group(cls=Group, context_settings={"max_content_width": 110})
def main() -> None:
    """List models, download their weights, and test them against published results.

    Only `fetch` accesses the network. On a cluster, run it where there is a network; EMBED and SCORE need only the
    folder.
    """


@main.command("list")
@click.option(
    "--encoders",
    "text",
    is_flag=False,
    flag_value="",
    help="List open_clip's encoders instead, those with TEXT in their name.",
)
def list_models(text: str | None) -> None:
    """List presets, duplicate descriptors and heads, or with --encoders [TEXT] open_clip encoders as MODEL/TAG."""
    from pycurate.models.builtin.laion import HEADS

    if text is not None:
        import open_clip

        pairs = [f"{model}/{tag}" for model, tag in open_clip.list_pretrained()]
        found = [pair for pair in pairs if text.lower() in pair.lower()]
        if not found:
            raise PycurateError(f"No encoder has {text!r} in its name; `models.py list --encoders` lists all.")
        echo(*found)
        return
    scores = list(dict.fromkeys(score for preset in PRESETS.values() for score in preset.scorers))
    _table(
        ["PRESET", "ENCODER", *(score.upper() for score in scores), "DUPLICATES BY", "FROM"],
        [
            [p.name, p.encoder, *(p.scorers.get(score, "-") for score in scores), p.dedup_encoder, f"{p.threshold:.2f}"]
            for p in PRESETS.values()
        ],
    )
    echo("")
    _table(
        ["DESCRIPTOR", "ENCODER", "FROM"],
        [[name, one.encoder, f"{one.dedup_threshold:.2f}"] for name, one in DESCRIPTORS.items()],
    )
    echo("")
    _table(
        ["SCORER", "FITS", "FILE", "BYTES", "LICENCE"],
        [
            [f"pycurate.models.builtin.laion:{h.__name__}", ", ".join(h.encoders), w.file, str(w.size), w.licence]
            for h in HEADS
            for w in h.weights
        ],
    )


@main.command()
@model_options
@click.option("--offline", is_flag=True, help="Download nothing; name what is missing and how to get it.")
def fetch(models: ModelSelection, offline: bool) -> None:
    """Download the weights of a preset, encoders or scorers to --model-dir, and load each model once."""
    fetch_models(models, offline)


@main.command()
@model_options
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the findings to this JSON file."
)
@click.option(
    "--keep",
    is_flag=True,
    help="Keep what was found next to --model-dir, and test nothing again if weights, code, packages and machine are "
    "the same.",
)
def verify(models: ModelSelection, report: Path | None, keep: bool) -> None:
    """Test the models in --model-dir: hashes, known scores, preparation, batches. Exits with 1 if a check fails."""
    place = findings_path(models) if keep else None
    told = read_findings(place) if place else None
    if told:
        echo(f"As found before with the same models, code, packages and machine ({place}):")
        for finding in told["findings"]:
            _echo(**finding)
    else:
        told = _tested(models)
        if any(finding["state"] == "failed" for finding in told["findings"]):
            place = None
        if place and not keep_findings(place, told):
            echo(f"{place.parent} cannot be written, so the next run tests these models again.", err=True)
    if report:
        write_json(report, told)
    if any(finding["state"] == "failed" for finding in told["findings"]):
        sys.exit(1)


def _tested(models: ModelSelection) -> dict[str, Any]:
    from pycurate.models.selftest import self_test

    findings: list[dict[str, Any]] = []
    for finding in map(asdict, self_test(models)):
        _echo(**finding)
        findings.append(finding)
    versions = {"pycurate": __version__} | {name: version(name) for name in ("torch", "open_clip_torch")}
    return {"device": models.device, "versions": versions, "findings": findings}


def _echo(check: str, subject: str, state: str, detail: str) -> None:
    echo(f"{state:8}{check:13}{subject}: {detail}")


def _table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in [head, *rows]:
        echo("  ".join(map(pad, row, widths)).rstrip())


if __name__ == "__main__":
    main()
