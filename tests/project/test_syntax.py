"""main.nf, modules/ and the configuration hold nothing that Nextflow's strict parser refuses or warns of.

That parser is the default from 26.04 on, and no Nextflow that has it runs in these tests. So the rules stand here, as
its documentation gives them ("Preparing for strict syntax"). What stands in strings, tasks' scripts too, is not read.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [ROOT / "main.nf", *sorted((ROOT / "modules").glob("*.nf"))]
CONFIGS = [ROOT / "nextflow.config", *sorted((ROOT / "conf").glob("*.config"))]

QUOTED = re.compile(
    r'//[^\n]*|/\*.*?\*/|"""(?:\\.|.)*?"""|\'\'\'(?:\\.|.)*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    r"|(?<=[~(,] )/(?:\\.|[^/\\\n])+/",
    re.DOTALL,
)

FORBIDDEN = {  # what is forbidden: the pattern that finds it, and an example
    "a spread in a list or a call": (r"[\[(,]\s*\*", "x = [a, *b]"),
    "a loop or a switch": (r"\b(?:for|while|do|switch)\s*[({]", "x = { while (true) { } }"),
    "an import": (r"^\s*import\s", "import groovy.json.JsonSlurper"),
    "a class": (r"^\s*(?:class|interface|trait|enum)\s", "class Own { }"),
    "an increment": (r"\w(?:\+\+|--)|(?:\+\+|--)\w", "x = { n++ }"),
    "an assignment in an expression": (r"[(,]\s*\w+\s*=(?![=~])", "x = f(a = 1)"),
    "two declarations in one": (r"\bdef\s+\w+\s*=[^\[({\n]*,\s*\w+\s*=", "x = { def a = 1, b = 2 }"),
    "a declaration by its type": (
        r"(?:^|[{;])\s*(?:final|int|long|boolean|[A-Z]\w*(?:<[^>]*>)?)\s+\w+\s*=",
        "x = { String a = b }",
    ),
    "a soft cast": (r"\((?:int|long|double|boolean|[A-Z]\w*)\)\s*[\w'\"(\[]", "x = (Map) y"),
    "a string between dollar slashes": (r"\$/", "x = $/y/$"),
    "the identifier _": (r"\b_\b", "x.each { _, y -> y }"),
    "the implicit parameter it": (r"\bit\b", "x.collect { it + 1 }"),
    "Channel for channel": (r"\bChannel\.", "x = Channel.of(1)"),
    "a value of the environment without quotes": (r"^\s*env\s+[A-Za-z(]", "env PYCURATE_CODE"),
    "parameters for an include": (r"\b(?:addParams|params)\s*\(", "include { X } from y addParams(a: 1)"),
    "a section shell or when": (r"^\s*(?:shell|when):", "    shell:"),
    # Allowed, but the faster of Groovy's two ways to parse does not know it: such a file is parsed twice.
    "a named argument without parentheses": (
        r"^\s*(?:ext|path|stdout|tuple|val)\s(?:[^(){\n]|\([^()\n]*\))*\b\w+:\s",
        "tuple path(a, arity: 1), emit: b",
    ),
}


def uncommented(text: str) -> str:
    """A text without its comments."""
    return QUOTED.sub(lambda found: "" if found[0].startswith(("//", "/*")) else found[0], text)


def code(text: str) -> str:
    """A text without its comments and with nothing in its strings, line for line."""
    return QUOTED.sub(lambda found: "''" + "\n" * found[0].count("\n"), uncommented(text))


def unused(text: str) -> Iterator[str]:
    """Parameters of closures that the closure does not name again; those that begin with _ are meant to be unused."""
    for found in re.finditer(r"\{ ?([\w, ]+?) ->", text):
        depth, end = 1, found.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        for name in re.split(r", ?", found[1]):
            if not name.startswith("_") and not re.search(rf"\b{name}\b", text[found.end() : end]):
                yield name


def declared_again(text: str) -> Iterator[str]:
    """Parameters of closures named like a variable that the same workflow took, or set in an earlier statement."""
    for block in re.findall(r"^\w.*?^}$", text, re.MULTILINE | re.DOTALL):
        taken = re.search(r"^    take:\n(.*?)\n\n", block, re.MULTILINE | re.DOTALL)
        names = set(re.findall(r"^\s+(\w+)", taken[1], re.MULTILINE)) if taken else set()
        for statement in re.split(r"^(?= +[\w}])", block, flags=re.MULTILINE):
            for parameters in re.findall(r"\{ ?([\w, ]+?) ->", statement):
                yield from names.intersection(re.split(r", ?", parameters))
            names.update(re.findall(r"^\s+(?:def )?(\w+) =(?![=~])", statement))


def outside(text: str, allowed: str, block: str = "(?!)") -> Iterator[str]:
    """The statements outside of all brackets, but for those of a `block`, that do not begin as is allowed."""
    stack: list[bool] = []  # of each bracket that is open, whether it is a block's
    for line in text.splitlines():
        if all(stack) and line.strip() and not re.match(rf"\s*(?:{allowed}|[.\])}}])", line):
            yield line.strip()
        for bracket in re.finditer(r"[\[({\])}]", line):
            if bracket[0] in "[({":
                stack.append(all(stack) and bool(re.fullmatch(block, line[: bracket.start()])))
            else:
                stack.pop()


@pytest.mark.parametrize(("pattern", "example"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_each_rule_finds_what_it_forbids(pattern: str, example: str) -> None:
    assert re.search(pattern, code(example), re.MULTILINE)
    assert not re.search(pattern, code(f"// {example}"), re.MULTILINE)


@pytest.mark.parametrize("path", SCRIPTS + CONFIGS, ids=lambda path: path.name)
def test_nothing_that_is_forbidden_stands_in_a_file(path: Path) -> None:
    text = code(path.read_text())
    found = {what: re.search(pattern, text, re.MULTILINE) for what, (pattern, _) in FORBIDDEN.items()}
    assert {what: match[0] for what, match in found.items() if match} == {}
    assert list(unused(uncommented(path.read_text()))) == []
    assert list(declared_again(text)) == []


def test_a_parameter_that_is_not_used_is_found() -> None:
    assert list(unused('x.findAll { name, limit -> limit != y.each { _a, b -> "${b}" } }')) == ["name"]


def test_a_name_that_is_declared_again_is_found() -> None:
    text = """workflow A {
    take:
    x

    main:
    if (x) {
        y = x.map { y -> y }
    }
    z = x
        .map { %s -> z }
}
"""
    assert [list(declared_again(text % names)) for names in ("a, z", "a, y", "x")] == [[], ["y"], ["x"]]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_declares_and_does_nothing_beside(path: Path) -> None:
    assert list(outside(code(path.read_text()), r"(?:include|process|workflow|def|params|output)\b")) == []


SETTING, BLOCK = r"[\w.$']+\s*[={]|with(?:Name|Label):|includeConfig\s", r"\s*(?:with(?:Name|Label): *)?[\w.$']+\s*"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_configuration_sets_and_does_nothing_beside(path: Path) -> None:
    assert list(outside(code(path.read_text()), SETTING, BLOCK)) == []


def test_a_statement_outside_of_a_closure_is_found() -> None:
    text = (
        "def a = 1\nprocess {\n if (a) { cpus = 1 }\n withName: X { cpus = a }\n memory = { def b = a\n  b }\n}\nf(a)"
    )
    assert list(outside(text, SETTING, BLOCK)) == ["def a = 1", "if (a) { cpus = 1 }", "f(a)"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_process_labels_its_script_and_has_a_stub(path: Path) -> None:
    processes: Callable[[str], list[str]] = re.compile(r"^process \w+ \{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL).findall
    for body in processes(path.read_text()):
        assert re.findall(r"^    (input|output|script|stub):$", body, re.MULTILINE)[-3:] == ["output", "script", "stub"]
