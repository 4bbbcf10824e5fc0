"""The manifest lists a run's own files, and each as it is."""

import hashlib
from pathlib import Path

from pycurate.results.manifest import entry_of, names_in


def test_names_of_pycurates_kinds_are_listed_wherever_they_lead(results: Path, tmp_path: Path) -> None:
    (results / "curated" / "00055.tar").symlink_to(tmp_path / "nowhere")
    assert "curated/00055.tar" in set(names_in(results))
    path = results / "summary.json"
    path.write_text("{}")
    assert entry_of(results, path).sha256 == hashlib.sha256(b"{}").hexdigest()
