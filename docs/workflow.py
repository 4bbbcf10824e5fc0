"""Draw the workflow in docs/how_it_works.md anew, as Nextflow sees it: python docs/workflow.py"""

import re
import subprocess
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
DOCUMENT = DOCS / "how_it_works.md"
START = "<!-- Drawn by docs/workflow.py; change main.nf instead. -->\n"
END = "<!-- End of what docs/workflow.py draws. -->\n"
# A run without any work that has every process of the workflow in it; the folder `shards` is a reference set.
NAMED = (
    "--reference",
    "shards",
    "--similar",
    "own=shards",
    "--leakage",
    "own=shards",
    "--outdir",
    "s3://bucket/results",
)
OPTIONS = ("-profile", "test", "-stub-run", *NAMED, "--model_dir", "models")


def processes(graph: str) -> str:
    """Nextflow's graph (Mermaid) without what is no process: values that go in, and outputs that nothing reads.

    Nodes are named by their process, and circles counted, so that one more value changes nothing.
    """
    for block in re.findall(r'    subgraph " "\n.*?    end\n', graph, re.DOTALL):
        graph = graph.replace(block, "")
        for node in re.findall(r"^ +(v\d+)\[", block, re.MULTILINE):
            graph = re.sub(rf"^    (?:{node} --> \w+|\w+ --> {node})\n", "", graph, flags=re.MULTILINE)
    names = dict(re.findall(r"^ +(v\d+)\(\[(\w+)\]\)", graph, re.MULTILINE))
    circles = re.findall(r"^ +(v\d+)\(\( \)\)", graph, re.MULTILINE)
    names |= {node: f"c{number}" for number, node in enumerate(circles)}
    return re.sub(r"\bv\d+\b", lambda node: names[node[0]], graph)


def written(text: str, graph: str) -> str:
    """`text`, the document, with this graph in its place."""
    before, rest = text.split(START)
    return f"{before}{START}\n```mermaid\n{processes(graph)}```\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shards").mkdir()
        command = ["nextflow", "run", str(DOCS.parent / "main.nf"), *OPTIONS, "-with-dag", "graph.mmd"]
        subprocess.run(command, cwd=folder, check=True)
        graph = (folder / "graph.mmd").read_text()
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), graph), encoding="utf-8")


if __name__ == "__main__":
    main()
