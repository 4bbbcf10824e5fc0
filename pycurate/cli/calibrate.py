"""`pycurate calibrate`: which threshold, by a person's answers to a sample of the run's pairs or images."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from pycurate.cli.options import FILE, FOLDER
from pycurate.cli.terminal import echo
from pycurate.errors import UsageError
from pycurate.text import exactly, number

if TYPE_CHECKING:
    from pycurate.review.calibration.precision import Point
    from pycurate.review.calibration.sheet import Sheet

COUNT = 100  # of questions, if it is not given


@click.command()
@click.argument("results", type=FOLDER)
@click.option(
    "--pairs",
    "count",
    type=click.IntRange(2),
    help=f"Number of pairs to ask about; with --score, of images.  [default: {COUNT}]",
)
@click.option("--score", metavar="NAME", help="Ask about images, for the threshold on this score.")
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    default="calibrate.html",
    show_default=True,
    help="File to write the page to.",
)
@click.option(
    "--answers",
    type=FILE,
    help="Evaluate the answers that the page saved.",
)
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.95,
    show_default=True,
    help="With --answers: the precision to reach.",
)
def calibrate(
    results: Path, count: int | None, score: str | None, page: Path, answers: Path | None, precision: float
) -> None:
    """Choose a threshold by judging a sample of pairs, or with --score of images, of the run in RESULTS.

    First writes a page that asks about them; open it in a browser, answer with two keys, save the answers. Then, with
    --answers, prints the precision of each threshold with its 95 % interval, and the loosest that reaches --precision.
    """
    from pycurate.results.tables import read_summary

    read_summary(results)  # which says that the run ended well
    if answers is None:
        _ask(results, count or COUNT, score, page)
    elif count is not None or score is not None:
        raise UsageError("--pairs and --score make a page; leave them out with --answers, whose file records both.")
    else:
        _evaluate(results, answers, precision)


def _ask(results: Path, count: int, score: str | None, page: Path) -> None:
    from pycurate.files import atomic
    from pycurate.review.calibration.page import render
    from pycurate.review.calibration.pairs import pair_sheet
    from pycurate.review.calibration.scores import score_sheet

    sheet = score_sheet(results, score, count) if score else pair_sheet(results, count)
    made = render(results, sheet)
    with atomic(page) as temporary:
        temporary.write_text(made.html, encoding="utf-8")
    echo(
        f"{page} asks about {number(made.asked)} {'images' if score else 'pairs'}. "
        "Open it in a browser, answer, and save the answers; then:",
        f"  pycurate calibrate {quote(str(results))} --answers answers.json",
    )


def _evaluate(results: Path, path: Path, precision: float) -> None:
    from pycurate.review.calibration.answers import check_run, read_answers
    from pycurate.review.calibration.pairs import pair_identity
    from pycurate.review.calibration.precision import curve, thresholds_of
    from pycurate.review.calibration.scores import score_identity

    sheet, answers = read_answers(path)
    check_run(sheet, score_identity(results, sheet.score) if sheet.score else pair_identity(results), results)
    points = curve(sheet, answers, thresholds_of(sheet))
    answered = int((answers == answers).sum())
    echo(f"{number(answered)} of {number(len(answers))} {'images' if sheet.score else 'pairs'} answered.")
    echo(*_table(sheet, points), *_choice(sheet, points, precision))


def _table(sheet: "Sheet", points: Sequence["Point"]) -> Iterator[str]:
    side = f"{sheet.score} {sheet.keeps}" if sheet.score else f"cosine {sheet.keeps}"
    yield f"{side:>20} {'images':>12} {'yes':>12} {'added':>12} {'precision':>10}   95 % interval"
    stricter = [None, *points] if not sheet.keeps.above else [*points[1:], None]
    for point, before in zip(points, stricter, strict=False):
        share = f"{point.precision:.3f}" if point.answered else "?"
        yes = f"{point.agreed} of {point.answered}"
        agreed, answered = (before.agreed, before.answered) if before else (0, 0)
        added = f"{point.agreed - agreed} of {point.answered - answered}"
        own = "   this run" if point.threshold == sheet.threshold else ""
        yield (
            f"{exactly(point.threshold):>20} {point.images:>12,.0f} {yes:>12} {added:>12} {share:>10}   "
            f"{point.low:.3f} to {point.high:.3f}{own}"
        )


def _choice(sheet: "Sheet", points: Sequence["Point"], precision: float) -> Iterator[str]:
    from pycurate.review.calibration.precision import loosest
    from pycurate.review.calibration.scores import option_of

    which = "smallest" if sheet.keeps.above else "largest"
    likely, sure = loosest(points, precision), loosest(points, precision, certain=True)
    if likely is None:
        yield f"No threshold has an estimated precision of {precision:g}."
        return
    yield f"The {which} threshold with an estimated precision of {precision:g}: {exactly(likely.threshold)}."
    if sure:
        yield f"The {which} threshold whose whole interval is at or above {precision:g}: {exactly(sure.threshold)}."
    else:
        yield f"No threshold has its whole interval at or above {precision:g}; that takes more answers (--pairs)."
    chosen = (sure or likely).threshold
    option = option_of(sheet.score, sheet.keeps, chosen) if sheet.score else f"--dedup_threshold {exactly(chosen)}"
    yield f"To use {exactly(chosen)}, repeat the run with {option} and -resume; nothing is embedded again."
