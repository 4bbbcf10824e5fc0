"""Write the tables of parameters in docs/usage.md anew, out of nextflow_schema.json: python docs/parameters.py"""

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
USAGE = DOCS / "usage.md"
START = "<!-- Written by docs/parameters.py; change nextflow_schema.json instead. -->\n"
END = "<!-- End of what docs/parameters.py writes. -->\n"


def tables(schema: dict[str, Any]) -> str:
    """A heading and a table for each group of parameters, as Markdown."""
    lines = []
    for group in schema["$defs"].values():
        lines += [f"### {group['title']}", "", "| parameter | default | values | what |", "|---|---|---|---|"]
        lines += [_row(name, entry) for name, entry in group["properties"].items()]
        lines.append("")
    return "\n".join(lines) + "\n"


def written(text: str, schema: dict[str, Any]) -> str:
    """`text`, the document, with the tables of this schema in their place."""
    before, rest = text.split(START)
    return before + START + "\n" + tables(schema) + END + rest.split(END)[1]


def _row(name: str, entry: dict[str, Any]) -> str:
    default = entry.get("default", "")
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    return f"| `--{name}` | {f'`{shown}`' if shown else ''} | {_values(entry)} | {entry['description']} |"


def _values(entry: dict[str, Any]) -> str:
    if "enum" in entry:
        return ", ".join(entry["enum"])
    if "minimum" in entry:
        return f"{entry['minimum']} to {entry['maximum']}" if "maximum" in entry else f"{entry['minimum']} or more"
    return {"string": "text", "boolean": "true, false"}.get(entry["type"], entry["type"])


def main() -> None:
    schema = json.loads((DOCS.parent / "nextflow_schema.json").read_text(encoding="utf-8"))
    USAGE.write_text(written(USAGE.read_text(encoding="utf-8"), schema), encoding="utf-8")


if __name__ == "__main__":
    main()
