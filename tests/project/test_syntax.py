"""main.nf, modules/ and the configuration hold nothing that Nextflow's strict parser refuses or warns of.

That parser is the default from 26.04 on. No Nextflow that has it runs in these tests, but the parser alone does.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [ROOT / "main.nf", *sorted((ROOT / "modules").glob("*.nf"))]
CONFIGS = [ROOT / "nextflow.config", *sorted((ROOT / "conf").glob("*.config"))]

NOT_OURS = {"`stdin` is not defined"}  # in a tuple: a fault of 25.04.0 that later releases have not

EXAMPLES = {  # what is wrong with it: the text of a file, and a word of what the parser says
    "name.nf": ("workflow {\n    y = channel.of(1)\n    x = y.map { y -> y }\n    x.view()\n}\n", "already declared"),
    "unused.nf": ("workflow {\n    channel.of(1).map { y -> 1 }.view()\n}\n", "not used"),
    "class.nf": ("workflow {\n    Nothing.of(Shards.of('a'))\n}\n", "`Nothing` is not defined"),
    "it.nf": ("workflow {\n    channel.of(1).map { it + 1 }.view()\n}\n", "Implicit closure parameter"),
    "statement.nf": ("println 'x'\n\nworkflow {\n}\n", "Statements cannot be mixed"),
    "if.config": ("process {\n    if (true) { cpus = 1 }\n}\n", "If statements cannot be mixed"),
    "env.config": ("env PYCURATE_CODE\n", "Unexpected input"),
}

QUOTED = re.compile(
    r'//[^\n]*|/\*.*?\*/|"""(?:\\.|.)*?"""|\'\'\'(?:\\.|.)*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
    re.DOTALL,
)
NOT_FOUND = {  # what the parser lets pass and should not stand here: the pattern that finds it, and an example
    "Channel for channel, of which later releases warn": (r"\bChannel\.", "x = Channel.of(1)"),
    "a declaration by its type, which a later one will refuse": (
        r"(?:^|[{;])\s*(?:final|int|long|boolean|[A-Z]\w*(?:<[^>]*>)?)\s+\w+\s*=",
        "x = { String a = b }",
    ),
    # Allowed, but the faster of Groovy's two ways to parse does not know it: such a file is parsed twice.
    "a named argument without parentheses": (
        r"^\s*(?:ext|path|stdout|tuple|val)\s(?:[^(){\n]|\([^()\n]*\))*\b\w+:\s",
        "tuple path(a, arity: 1), emit: b",
    ),
}


def code(text: str) -> str:
    """A text without its comments and with nothing in its strings, line for line."""
    return QUOTED.sub(lambda found: "''" + "\n" * found[0].count("\n"), text)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the parser says of each file that it finds fault with: here by path from the root, of an example by name."""
    jars = ROOT / ".venv" / "share" / "nf-lang"
    if not jars.exists():
        pytest.skip("needs .venv; run make setup")
    folder = tmp_path_factory.mktemp("examples")
    for name, (text, _) in EXAMPLES.items():
        (folder / name).write_text(text)
    java = [ROOT / ".venv/share/java/bin/java", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", "groovy.ui.GroovyMain"]
    files = [*SCRIPTS, *CONFIGS, *(folder / name for name in EXAMPLES)]
    call = [*java, ROOT / "tests/support/strict_syntax.groovy", ROOT / "lib", *files]
    done = subprocess.run([str(word) for word in call], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {}
    for name, line, message in (line.split("\t") for line in done.stdout.splitlines()):
        if message not in NOT_OURS:
            path = Path(name)
            where = path.name if path.parent == folder else str(path.relative_to(ROOT))
            found.setdefault(where, []).append(f"{line}: {message}")
    return found


def test_the_strict_parser_accepts_every_file_without_a_warning(said: dict[str, list[str]]) -> None:
    assert {name: faults for name, faults in said.items() if name not in EXAMPLES} == {}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_strict_parser_finds_what_is_wrong(name: str, said: dict[str, list[str]]) -> None:
    faults = said[name]
    assert any(EXAMPLES[name][1] in fault for fault in faults), faults
    assert not any("Shards" in fault for fault in faults), "the classes of lib/ are known"


@pytest.mark.parametrize(("pattern", "example"), NOT_FOUND.values(), ids=NOT_FOUND.keys())
def test_what_the_parser_lets_pass_stands_in_no_file(pattern: str, example: str) -> None:
    assert re.search(pattern, code(example), re.MULTILINE)
    assert not re.search(pattern, code(f"// {example}"), re.MULTILINE)
    for path in SCRIPTS + CONFIGS:
        assert not re.search(pattern, code(path.read_text()), re.MULTILINE), path


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_process_labels_its_script_and_has_a_stub(path: Path) -> None:
    for body in re.findall(r"^process \w+ \{\n(.*?)^\}\n", path.read_text(), re.MULTILINE | re.DOTALL):
        assert re.findall(r"^    (input|output|script|stub):$", body, re.MULTILINE)[-3:] == ["output", "script", "stub"]
