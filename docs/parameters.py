"""Write the tables of parameters in docs/usage.md anew, out of nextflow_schema.json: python docs/parameters.py"""

from itertools import groupby
from pathlib import Path

from pycurate.parameters import Parameter, all_parameters

USAGE = Path(__file__).resolve().parent / "usage.md"
START = "<!-- Written by docs/parameters.py; change nextflow_schema.json instead. -->\n"
END = "<!-- End of what docs/parameters.py writes. -->\n"


def tables() -> str:
    """A heading and a table for each group of parameters, as Markdown."""
    lines = []
    for title, group in groupby(all_parameters().values(), lambda one: one.group):
        lines += [f"### {title}", "", "| parameter | default | values | what |", "|---|---|---|---|"]
        lines += [*map(_row, group), ""]
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """`text`, the document, with the tables of today in their place."""
    before, rest = text.split(START)
    return before + START + "\n" + tables() + END + rest.split(END)[1]


def _row(one: Parameter) -> str:
    shown = "" if one.default is None else str(one.default)
    if isinstance(one.default, bool):
        shown = shown.lower()
    return f"| `--{one.name}` | {f'`{shown}`' if shown else ''} | {_values(one)} | {one.description} |"


def _values(one: Parameter) -> str:
    if one.enum:
        return ", ".join(one.enum)
    if one.minimum is not None:
        return f"{one.minimum} to {one.maximum}" if one.maximum is not None else f"{one.minimum} or more"
    return {"string": "text", "boolean": "true, false"}.get(one.type, one.type)


def main() -> None:
    USAGE.write_text(written(USAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
