"""The demo from end to end: the truth about what was planted is met, whatever the filters drop."""

from pathlib import Path

import check_demo
import pytest
from flows import Flow


@pytest.fixture(scope="module")
def flow(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A folder to run the demo's shards in."""
    return Flow(tmp_path_factory.mktemp("run"), ("--input", str(demo), "--dedup", "true", "--images_per_tar", "50"))


def test_with_nothing_filtered_every_planted_copy_counts(flow: Flow, demo: Path) -> None:
    flow.succeed("--aesthetic_threshold", "0", "--nsfw_threshold", "1")
    results = flow.folder / "results"
    assert check_demo.check(results, demo) == []
    found = check_demo.planted_copies(check_demo.read_truth(demo), check_demo.read_decisions(results))
    assert found["byte copies"] == (34, 34)
    assert found["re-encoded and resized copies"][1] == 170  # ten of each photograph; check() holds the share found


def test_what_passes_the_demos_filters_is_curated_as_truly(flow: Flow, demo: Path) -> None:
    flow.succeed("--aesthetic_threshold", "0.3", "-resume")
    assert check_demo.check(flow.folder / "results", demo) == []
