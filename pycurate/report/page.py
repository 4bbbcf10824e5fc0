"""The report's page: what it shows and in which order, as plain data for the template."""

import base64
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from pycurate.report.examples import COMPARED
from pycurate.report.sliders import Axis, Sliders
from pycurate.report.summary import Histogram
from pycurate.results.criteria import Criteria
from pycurate.results.reasons import in_order, label, title
from pycurate.text import count_of, duration, number, rate, share, size

VEILED = 0.5  # NSFW score from which a picture is veiled, or from the threshold where that is lower
CAPTION = 300  # characters shown


@dataclass(frozen=True)
class Picture:
    """An example image as the page shows it. `source` is a data URI, or None where there is no picture."""

    key: str
    shard: str
    caption: str
    source: str | None
    veiled: bool
    width: int
    height: int
    note: str
    reason: str


@dataclass(frozen=True)
class Row:
    """Pictures in a row, under a title."""

    title: str
    pictures: list[Picture]


def page(
    facts: dict[str, Any],
    criteria: Criteria,
    spread: dict[str, Histogram],
    sliders: Sliders,
    examples: list[dict[str, Any]],
    pictures: dict[str, str],
    unreadable: list[dict[str, Any]],
) -> str:
    """The page as HTML.

    `facts` is the summary, `criteria` what decided; `sliders` has counts for the scores that are filtered; `examples`
    are rows of EXAMPLES and `pictures` their data URIs by uid; `unreadable` rows name some bad samples.
    """
    axes = {axis.name: axis for axis in sliders.axes}
    shown = Examples(facts, examples, pictures)
    return rendered(
        Path(__file__).parent / "template" / "report.html",
        facts=facts,
        funnel=funnel(facts),
        axes=[chart(name, spread[name], axis) for name, axis in axes.items()],
        others=[chart(name, spread[name]) for name in spread if name not in axes],
        data=slider_data(facts, criteria, sliders),
        shown=shown,
        unreadable=unreadable,
    )


def rendered(template: Path, **shown: Any) -> str:
    """A page as HTML, in one file: the style and the script, which lie beside the template, are part of it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,  # everything that is put in: captions and keys are a stranger's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {tell.__name__: tell for tell in (number, count_of, share, duration, rate, size, score)}
    style, script = (template.with_suffix(kind).read_text(encoding="utf-8").strip() for kind in (".css", ".js"))
    hashes = {"style_hash": _source_hash(style), "script_hash": _source_hash(script)}
    return environment.get_template(template.name).render(style=style, script=script, **hashes, **shown)


class Examples:
    """The example rows by section, ready to show."""

    def __init__(self, facts: dict[str, Any], rows: list[dict[str, Any]], pictures: dict[str, str]) -> None:
        self.pictures = pictures
        self.filters = [rule["reason"] for rule in facts["filters"]]
        self.thresholds = facts["thresholds"]
        self.veiled_from = min(VEILED, self.thresholds.get("nsfw", VEILED))
        self.parts: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            self.parts[row["section"], row["name"]][row["part"]].append(row)
        self.there = bool(pictures)
        self.veiled = any(self._veiled(row) for row in rows if row["uid"] in pictures)
        self.compared = COMPARED

    def along(self, score: str) -> list[Picture]:
        """One picture of each band of the score."""
        return [self._picture(row, score) for part in self.parts["score", score].values() for row in part]

    def sides(self, score: str) -> list[Row]:
        """The pictures nearest to the score's threshold, below it and from it on."""
        threshold = self.thresholds.get(score)
        titles = {0: f"Just below the threshold of {threshold}", 1: f"At the threshold of {threshold} and just above"}
        return [
            Row(titles[side], [self._picture(row, score) for row in rows])
            for side, rows in self.parts["threshold", score].items()
        ]

    def reasons(self) -> list[Row]:
        """Some of each reason, the kept first, then in the order in which samples are dropped."""
        names = in_order((name for section, name in self.parts if section == "reason"), self.filters)
        return [Row(title(name), [self._picture(row, "") for row in self.parts["reason", name][0]]) for name in names]

    def groups(self) -> list[Row]:
        found = []
        for (section, _), parts in self.parts.items():
            if section == "group":
                rows = [row for part in parts.values() for row in part]
                heading = count_of(int(rows[0]["value"]), "duplicate")
                found.append(Row(heading, [self._picture(row, "similarity") for row in rows]))
        return found

    def pairs(self, side: str) -> list[Row]:
        """The pairs `above` or `below` the duplicate threshold, nearest to it first."""
        return [
            Row(f"Cosine {rows[0]['value']:.4f}", [self._picture(row, "") for row in rows])
            for rows in self.parts["pair", side].values()
        ]

    def _veiled(self, row: dict[str, Any]) -> bool:
        return (row.get("nsfw") or 0.0) >= self.veiled_from

    def _picture(self, row: dict[str, Any], column: str) -> Picture:
        value = row.get(column)
        caption = row["caption"] or ""
        return Picture(
            key=row["key"],
            shard=row["shard"],
            caption=caption if len(caption) <= CAPTION else caption[:CAPTION] + "…",
            source=self.pictures.get(row["uid"]),
            veiled=self._veiled(row),
            width=row["width"],
            height=row["height"],
            note="" if value is None else score(value),
            reason=label(row["reason"]),
        )


def funnel(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """What is left after each step that drops."""
    left, steps = facts["inputs"], []
    for reason in in_order(facts["dropped"], [rule["reason"] for rule in facts["filters"]]):
        left -= facts["dropped"][reason]
        steps.append({"title": title(reason), "dropped": facts["dropped"][reason], "left": left})
    return steps


def chart(name: str, spread: Histogram, axis: Axis | None = None) -> dict[str, Any]:
    """A histogram as bars, in units of the plot's width and height, and as a table of about twenty rows.

    `axis` is given for a score that has a slider.

    Heights follow the square root of the counts: most scores crowd in a few bins, and the others are to be seen.
    """
    edges = spread.edges.astype(float)
    places = (edges - edges[0]) / (edges[-1] - edges[0])
    top = max(spread.scored.max(), 1) ** 0.5
    total = spread.scored.sum()
    step = -(-len(spread.scored) // 20)
    return {
        "name": name,
        "keeps": axis.keeps if axis else "",
        "above": axis.keeps.above if axis else True,
        "start": places[axis.start] if axis else 0.0,
        "low": f"{edges[0]:.3g}",
        "high": f"{edges[-1]:.3g}",
        "bars": [
            {"x": x, "width": right - x, "scored": scored**0.5 / top, "kept": kept**0.5 / top}
            for x, right, scored, kept in zip(
                places.tolist(), places[1:].tolist(), spread.scored.tolist(), spread.kept.tolist(), strict=False
            )
            if scored
        ],
        "table": [
            {
                "low": f"{edges[start]:.3g}",
                "high": f"{edges[min(start + step, len(edges) - 1)]:.3g}",
                "scored": int(spread.scored[start : start + step].sum()),
                "kept": int(spread.kept[start : start + step].sum()),
                "above": int(spread.scored[start:].sum()) / total,
            }
            for start in range(0, len(spread.scored), step)
        ],
    }


def slider_data(facts: dict[str, Any], criteria: Criteria, sliders: Sliders) -> dict[str, Any]:
    """What the page's script counts with, and whether a stricter or a looser choice is counted exactly."""
    names = {axis.name for axis in sliders.axes}
    moved = [rule for name, rule in criteria.deciding(chosen=False).items() if name in names]
    return sliders.data() | {
        "inputs": facts["inputs"],
        "kept": facts["kept"],
        # Nothing that looks at all samples dropped any: what is kept stays so without those that go.
        "stricter": not {*criteria.later()} & {*facts["dropped"]},
        # Nothing else could drop what comes in anew, even if it dropped none in this run.
        "looser": not (criteria.search or criteria.balance) and all(rule in moved for rule in criteria.filters),
    }


def score(value: float) -> str:
    """A score in three decimals, or digits if it is too small for these."""
    return f"{value:.3f}" if not 0 < abs(value) < 0.001 else f"{value:.2g}"


def _source_hash(text: str) -> str:
    """A source expression by which the page's policy allows one inline element and no other."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") + "'"
