"""`pycurate calibrate` as a command: the page, the table, the choice, and what it refuses."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from report_run import THRESHOLDS, decide_by, make_run, standard_rows

from pycurate.cli.main import main
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.filters.filtering import Filtering
from pycurate.stages.dedup import find_pairs
from pycurate.stages.report import Setup, write_report


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with pairs and a summary. Do not write there."""
    results = make_run(tmp_path_factory.mktemp("calibrate"), standard_rows())
    find_pairs(results, sources_of(results), Settings(THRESHOLDS["dedup"]))
    write_report(results, Setup())
    return results


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["calibrate", *map(str, arguments)])


def answered(page: Path, least: float, above: bool = True) -> Path:
    """The page's file of answers: yes where the value is on this side of `least`."""
    sheet = json.loads(re.findall(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"))[0])
    path = page.with_name("answers.json")
    answers = [(item["value"] >= least) == above for item in sheet["items"]]
    path.write_text(json.dumps(sheet | {"answers": answers}))
    return path


def rows(output: str) -> dict[float, list[str]]:
    """The lines of the table, by threshold."""
    cells = [line.split() for line in output.replace(" of ", "/").splitlines() if re.match(r" +[\d.]+ ", line)]
    return {float(cell[0]): cell[1:] for cell in cells}


def test_pairs(searched: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = call(searched, "--pairs", 20, "--page", page)
    assert done.exit_code == 0 and "asks about 20 pairs" in done.output, done.output
    done = call(searched, "--answers", answered(page, 0.5), "--precision", 0.9)
    assert done.exit_code == 0, done.output
    table = rows(done.output)
    assert "20 of 20 pairs answered" in done.output and min(table) < 0.5
    chosen = float(re.findall(r"precision of 0\.9: ([\d.]+)\.", done.output)[0])
    assert f"--dedup_threshold {chosen:g} and -resume" in done.output
    assert chosen == min(threshold for threshold, cells in table.items() if float(cells[3]) >= 0.9) < 0.6
    assert "takes more answers" in done.output
    done = call(searched, "--answers", tmp_path / "answers.json", "--precision", 0.1)
    least = [threshold for threshold, cells in rows(done.output).items() if float(cells[4]) >= 0.1]
    assert f"--dedup_threshold {min(least):g} and -resume" in done.output


@pytest.mark.parametrize(
    ("score", "above", "option"), [("aesthetic", True, "--aesthetic_threshold"), ("nsfw", False, "--nsfw_threshold")]
)
def test_scores(searched: Path, tmp_path: Path, score: str, above: bool, option: str) -> None:
    page = tmp_path / "page.html"
    done = call(searched, "--score", score, "--pairs", 58, "--page", page)
    assert done.exit_code == 0 and "asks about 58 images" in done.output, done.output
    done = call(searched, "--answers", answered(page, 0.6, above), "--precision", 1)
    table = rows(done.output)
    assert ("smallest" if above else "largest") in done.output and "this run" in done.output
    good = [threshold for threshold, cells in table.items() if float(cells[3]) == 1]
    assert f"{option} {min(good) if above else max(good):g} and -resume" in done.output
    # Every image is asked about: what the table counts is what a filter would keep.
    values = [getattr(row, score) for row in standard_rows() if not row.error]
    for threshold, cells in table.items():
        kept = sum((value >= threshold) if above else (value < threshold) for value in values)
        assert abs(int(cells[0]) - kept) <= 1


def test_the_option_keeps_the_side_that_was_judged(tmp_path: Path) -> None:
    """Of a score that the run kept the upper side of, by an option beside its own."""
    results = make_run(tmp_path, standard_rows())
    decide_by(results, Filtering(min_score=("nsfw=0.2",)))
    write_report(results, Setup())
    page = tmp_path / "page.html"
    call(results, "--score", "nsfw", "--page", page)
    done = call(results, "--answers", answered(page, 0.6), "--precision", 1)
    assert "nsfw at least" in done.output and "with --min_score nsfw=0." in done.output, done.output


def test_what_it_refuses(searched: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    call(searched, "--score", "nsfw", "--page", page)
    answers = answered(page, 0.5)
    other = make_run(tmp_path, standard_rows()[:40])
    write_report(other, Setup())
    for words, said in (
        ((searched, "--answers", answers, "--score", "nsfw"), "leave them out with --answers"),
        ((searched, "--answers", page), "does not contain answers"),
        ((other, "--answers", answers), "of another run"),
        ((other, "--page", page), "did not deduplicate"),
        ((searched, "--score", "beauty", "--page", page), "has no score beauty"),
        ((tmp_path,), "no summary of a run"),
    ):
        done = call(*words)
        assert done.exit_code and said in done.output, (words, done.output)


def test_a_shard_that_is_gone_ends_it_and_an_image_that_changed_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    results = make_run(tmp_path, standard_rows())
    write_report(results, Setup())
    shard, page = tmp_path / "shards" / "00001.tar", tmp_path / "page.html"
    kept = shard.read_bytes()
    shard.unlink()
    done = call(results, "--score", "nsfw", "--page", page)
    assert done.exit_code == 1 and not page.exists()
    assert len(done.output.splitlines()) == 1 and "Shard 00001.tar is gone" in done.output
    assert "restore it" in done.output
    shard.write_bytes(kept[:-1024])
    done = call(results, "--score", "nsfw", "--page", page)
    assert done.exit_code == 1 and "Shard 00001.tar had" in done.output and not page.exists()
    changed = bytearray(kept)
    changed[1000] ^= 1  # within the first image
    shard.write_bytes(changed)
    done = call(results, "--score", "nsfw", "--page", page)
    assert done.exit_code == 0 and "asks about 57 images" in done.output
    (line,) = caplog.messages
    assert line.startswith("1 of 58 images are left out") and "SHA-256 differs" in line
