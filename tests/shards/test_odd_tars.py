"""What becomes of odd tars is what docs/inputs.md says, in a table that is made of what is seen here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from odd_tars import CAPTIONS, ODD

from pycurate.shards.samples import Sample, read_samples

ROOT = Path(__file__).resolve().parents[2]


def read(path: Path) -> list[Sample]:
    return list(read_samples(path, path.name))


def seen(samples: list[Sample], caption: bool) -> str:
    """What was read of a tar, in a few words."""
    return ", ".join(_said(samples, caption))


def _said(samples: list[Sample], caption: bool) -> Iterator[str]:
    for sample in samples:
        name = f"`{sample.key[:9]}`" if sample.key else "a region"
        if caption:
            text = (
                sample.caption
                if sample.caption is None or len(sample.caption) < 20
                else f"{len(sample.caption)} characters"
            )
            if sample.key == "b":
                yield f"`{text}`"
        else:
            yield f"{name}: `{sample.error}`" if sample.error else name


def table(folder: Path) -> str:
    """The odd tars as a table in Markdown."""
    rows = [("Tar", "Handling", "Samples read"), ("---", "---", "---")]
    for number, (kind, (make, text)) in enumerate(ODD.items()):
        path = folder / f"{number}.tar"
        path.write_bytes(make(folder / str(number)))
        rows.append((kind, text, seen(read(path), kind in CAPTIONS)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_docs_hold_the_table_of_every_odd_tar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = table(tmp_path)
    with capsys.disabled():
        print(f"\n{found}")
    assert found in (ROOT / "docs" / "inputs.md").read_text()
