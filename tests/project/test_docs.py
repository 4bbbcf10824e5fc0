"""The documents say what the code says: parameters, columns, codes, reasons, options, links; and their code runs."""

import hashlib
import importlib
import inspect
import re
import runpy
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from curated import write_uids
from report_run import make_run, standard_rows

from pycurate import errors
from pycurate.cli.main import COMMANDS
from pycurate.dedup.pairs import Search
from pycurate.dedup.recall import Recall
from pycurate.filters import metadata as metadata_filters
from pycurate.filters.language import Language
from pycurate.filters.ranking import Top
from pycurate.filters.repeats import MaxCaptionCount
from pycurate.filters.thresholds import MinClipScore
from pycurate.images.decode import CODES
from pycurate.parameters import all_parameters, optional_scores
from pycurate.results import layout as results_layout
from pycurate.results import tables
from pycurate.results.layout import path_of
from pycurate.results.reasons import RESERVED
from pycurate.results.tables import read_array, read_table, write_table
from pycurate.stages.report import Setup, write_report
from pycurate.stages.write import write_curated
from scripts import NAMES, options_of
from scripts import commands as script_commands

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PARAMETERS = all_parameters().keys()
USAGE, OUTPUT = (ROOT / "docs" / name for name in ("usage.md", "output.md"))


def section(document: Path, heading: str) -> str:
    """The text from a heading to the next one that is not deeper."""
    level, text = heading.split(" ")[0], f"\n{document.read_text()}"
    assert f"\n{heading}\n" in text, f"{document} has no heading {heading}"
    return re.split(rf"\n#{{1,{len(level)}}} ", text.split(f"\n{heading}\n")[1])[0]


def rows(text: str) -> list[list[str]]:
    """The rows of the first table in a text, each as its cells, without the heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def code(document: Path) -> list[str]:
    """The blocks of Python in a document."""
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```", document.read_text(), re.M | re.S)
    return [inspect.cleandoc(block) for _, block in blocks]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `shards` and the `results` of a run on them."""
    folder = tmp_path_factory.mktemp("docs")
    results = make_run(folder, standard_rows())
    samples = read_table(path_of(results, "samples", "00000"))
    samples = samples.filter(pc.is_valid(samples["row"]))
    paths = pc.binary_join_element_wise(samples["shard"], samples["key"], "/")
    metadata = samples.append_column("image_path", paths).select(tables.METADATA.names)
    write_table(path_of(results, "metadata", "00000"), metadata)
    decisions = read_table(results / "decisions.parquet")
    scores = decisions.filter(pc.is_valid(decisions["aesthetic"])).select(["uid", "aesthetic", "nsfw"])
    write_table(path_of(results, "scores", "00000"), scores)
    write_uids(results, decisions)
    write_curated(results, dali_index=True)
    return folder


def test_the_tables_of_parameters_are_the_schema() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "parameters.py"))["written"]
    text = USAGE.read_text()
    assert text == written(text), "run python docs/parameters.py"
    assert all(f"| `--{name}` |" in text for name in PARAMETERS)


@pytest.mark.parametrize("heading", ["samples", "metadata", "decisions", "duplicates"])
def test_columns_are_those_of_the_tables(heading: str) -> None:
    schema = getattr(tables, heading.upper())
    described = [(names(column)[0], kind) for column, kind, _ in rows(section(OUTPUT, f"### {heading}"))]
    assert described == [(field.name, str(field.type)) for field in schema]


def test_every_table_of_the_layout_is_described() -> None:
    listed = section(OUTPUT, "# Output").split("\n## ")[0]
    layout = {kind.top for kind in results_layout.KINDS.values() if kind.stays}
    assert sorted(name for name in layout if f"`{name}" not in listed) == []
    plan = set(names(section(OUTPUT, "### pairs and plan")))
    assert set(tables.PLAN.names) <= plan


def test_what_the_search_says_is_described() -> None:
    text = section(OUTPUT, "### duplicates").split("`dedup.json`")[1]
    said = Search(0.9, "best", 1.0, 1, "").stated().keys() | {field.name for field in fields(Recall)}
    assert said <= set(names(text))


def test_the_summary_is_described(run: Path) -> None:
    summary = write_report(run / "results", Setup())
    described = [name for entry, _ in rows(section(OUTPUT, "## summary.json")) for name in names(entry)]
    assert sorted(described) == sorted(summary)


def test_error_codes_are_those_of_images_and_shards() -> None:
    source = "".join((ROOT / "pycurate" / name).read_text() for name in ("shards/samples.py", "shards/grouping.py"))
    raised = set(re.findall(r'"([a-z_]+)",\s+f?"[A-Z]', source))  # a code, then its sentence
    assert {"no_image", "duplicate_key", "not_a_tar", "shard_truncated", "shard_corrupt", "too_large"} <= raised
    described = [names(entry)[0] for entry, _ in rows(section(OUTPUT, "## Error codes"))]
    assert sorted(described) == sorted(raised | CODES.keys())


def test_reasons_are_those_of_the_filters_and_of_resolve() -> None:
    classes = [kind for _, kind in inspect.getmembers(metadata_filters, inspect.isclass)]
    own = {reason for kind in classes if isinstance(reason := vars(kind).get("reason"), str)}
    assert len(own) == 5
    described = {name for entry, _ in rows(section(OUTPUT, "## Reasons")) for name in names(entry)}
    whole = {MaxCaptionCount.reason, Top("COLUMN", 1).rule().reason}  # which look at all samples
    assert described == {*own, *whole, *RESERVED, MinClipScore.reason, Language.reason, *optional_scores()}


def test_every_class_of_error_has_a_remedy() -> None:
    classes = {name for name, _ in inspect.getmembers(errors, inspect.isclass)} - {"PycurateError"}
    messages = " ".join(entry for entry, *_ in rows(section(USAGE, "## When a run stops")))
    assert set(re.findall(r"\((\w+)\)", messages)) == classes


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_options_exist(document: Path) -> None:
    text = document.read_text()
    commands = {name: options_of(getattr(importlib.import_module(f"pycurate.cli.{name}"), name)) for name in COMMANDS}
    scripts = {name: set().union(*map(options_of, script_commands(name))) for name in NAMES}
    for command, options in re.findall(r"\bpycurate (\w+)((?:[^\n`#]|\\\n)*)", text):
        if command in commands:
            assert set(re.findall(r"(?<= )--[a-z][a-z-]*", options)) <= commands[command] | {"--help"}, command
    for script, options in re.findall(r"bin/(\w+)\.py((?:[^\n`]|\\\n)*)", text):
        assert set(re.findall(r"(?<= )--[a-z][a-z-]*", options)) <= scripts[script] | {"--help"}, script
    # Inline: parameters of the workflow or of a script. Those of sbatch are written with an equals sign.
    for option in re.findall(r"`--([a-z][a-z_-]*)(?=[ `,])", text):
        assert option in PARAMETERS or f"--{option}" in set().union(*scripts.values(), *commands.values())


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, target


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_files_and_tests_that_are_named_exist(document: Path) -> None:
    text = document.read_text()
    for name in re.findall(r"`((?:tests|pycurate|conf|lib|bin|examples|docs)/[\w/]+\.\w+)", text):
        assert (ROOT / name).exists(), name
    defined = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in defined, name


def test_the_code_of_the_documents_runs(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run)
    known: dict[str, Any] = {}
    for block in code(OUTPUT):
        exec(block, known)
    kept = [row.key for row in standard_rows() if row.reason == "kept" and not row.error]
    assert sum(1 for _ in known["dataset"]) == len(kept) == known["count"]
    assert known["key"] in kept and known["image"].size == (320, 240)
    assert sorted(known["unreadable"]["error"].to_pylist()) == ["not_an_image", "truncated"]
    assert hashlib.sha256(known["image_bytes"]).hexdigest() == known["row"]["sha256"]
    assert known["nearest"][0].as_py() == f"{known['row']['shard']}/{known['row']['key']}"
    assert known["vectors"].shape == read_array(path_of(run / "results", "img_emb", "00000")).shape
    decisions: pa.Table = known["decisions"]
    assert known["uids"] == sorted(decisions.filter(decisions["kept"])["uid"].to_pylist())
    assert np.array(known["images"].at(0)).shape == (240, 320, 3)
    assert len(known["scores"]) == len(standard_rows()) - 2 and known["captions"].height == len(standard_rows())
    assert dict(known["reasons"])["kept"] == len(kept)

    (block,) = code(USAGE)
    exec(block, {})
    counts = [int(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    passing = [row for row in standard_rows() if not row.error and row.nsfw < 0.5]
    assert counts == [sum(np.float32(row.aesthetic) >= t for row in passing) for t in (0.3, 0.5, 0.7)]
