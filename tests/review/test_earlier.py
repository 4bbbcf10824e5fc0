"""Results of the version before are read by their summary."""

import shutil
from pathlib import Path

from flows import inspected, pycurate

from pycurate.filters.filtering import Filtering
from pycurate.results.plan import Layout
from pycurate.results.tables import read_summary
from pycurate.review.earlier import by_summary


def test_results_of_the_version_before_are_read_by_their_summary(results: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(results, old)
    (old / "decisions.json").unlink()
    for name in ("kept00", "dull03", "near01", "broken"):
        assert inspected(old, name) == inspected(results, name)
    search = {"threshold": 0.9, "keep": "best", "reach": 1.0, "recall": "exact"}
    parameters = {"write": True, "images_per_tar": 10, "tars_per_task": 2, "filter": "a:B=3,c:D", "min_score": "x=0.25"}
    parameters |= {"aesthetic": True, "nsfw": True, "aesthetic_threshold": 0.7, "min_side": 200, "reference": "/a,/b"}
    sought = read_summary(results)["dedup"]
    found = by_summary({"parameters": parameters, "thresholds": {"aesthetic": 0.7}, "dedup": sought})
    wanted = Filtering(aesthetic_threshold=0.7, min_score=("x=0.25",), min_side=200, filter=("a:B=3", "c:D"))
    assert Filtering.of_criteria(found) == wanted
    assert (found.search, found.references, found.layout) == (search, ("/a", "/b"), Layout(10, 2))
    # Made script by script, without parameters: the filters are those that the summary shows.
    found = by_summary({"parameters": {}, "thresholds": {"nsfw": 0.4}, "dedup": {}})
    assert Filtering.of_criteria(found) == Filtering(nsfw_threshold=0.4)
    assert (found.search, found.layout) == (None, Layout())
    (old / "summary.json").write_text('{"inputs": 60}')
    done = pycurate("inspect", old, "kept00")
    assert done.returncode == 1 and "lacks the criteria" in done.stderr and "Traceback" not in done.stderr
