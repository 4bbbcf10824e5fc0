"""The report as a reader meets it: the page in a real browser, with a mouse, a keyboard and a hostile caption."""

import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from browsers import check_alone, check_on_a_phone, chromium_in
from loopback import serving
from report_run import (
    HOSTILE,
    THRESHOLDS,
    change_column,
    change_decisions,
    decide_by,
    make_run,
    standard_rows,
    write_parameters,
)
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from pycurate.filters.filtering import Filtering
from pycurate.report import sliders
from pycurate.report.examples import select_examples
from pycurate.report.page import funnel
from pycurate.results.tables import read_table, write_table
from pycurate.stages.report import Setup, read_parameters, write_report


class Listener(BaseHTTPRequestHandler):
    """Notes every request that reaches it."""

    paths: list[str] = []  # noqa: RUF012 - shared on purpose: a handler lives for one request

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def listener() -> Iterator[str]:
    """The address of a local server; Listener.paths has what was asked of it."""
    with serving(Listener) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, listener: str) -> Path:
    folder = tmp_path_factory.mktemp("report")
    rows = standard_rows()
    rows[5].caption = f'"><img src="{listener}/caption"><link rel=stylesheet href="{listener}/style">'
    results = make_run(folder, rows)
    select_examples(results)
    write_report(results, Setup(read_parameters(write_parameters(folder / "parameters.json"))))
    return results / "report.html"


@pytest.fixture(scope="module")
def chromium(
    need_tool: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[webdriver.Chrome]:
    with chromium_in(tmp_path_factory.mktemp("chromium"), need_tool) as driver:
        yield driver


@pytest.fixture
def browser(chromium: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page, opened anew."""
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.get(page.as_uri())
    return chromium


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def result(browser: webdriver.Chrome) -> str:
    return find(browser, "#result output").text


def kept_by(aesthetic: float, nsfw: float) -> int:
    """How many images of the run that are kept would be so still."""
    return sum(
        row.reason == "kept" and not row.error and row.aesthetic >= aesthetic and row.nsfw < nsfw
        for row in standard_rows()
    )


def test_the_slider_says_what_another_threshold_keeps(browser: webdriver.Chrome) -> None:
    assert result(browser) == "30 of 60 kept (50.0 %), as in this run"
    curve = find(browser, "#curve-nsfw").get_attribute("points")
    slider = find(browser, "#slider-aesthetic")
    for _ in range(20):
        slider.send_keys(Keys.ARROW_RIGHT)
    assert find(browser, "#value-aesthetic").text == "0.7"
    stricter = kept_by(0.7, 0.5)
    assert 0 < stricter < 30
    assert result(browser).startswith(f"about {stricter} of 60 kept")
    assert f"{30 - stricter} fewer than this run" in result(browser)
    assert str(stricter) in (slider.get_attribute("aria-valuetext") or "")
    # The other score's curve follows: filters are counted together.
    assert find(browser, "#curve-nsfw").get_attribute("points") != curve
    for _ in range(25):
        find(browser, "#slider-nsfw").send_keys(Keys.ARROW_LEFT)
    assert result(browser).startswith(f"about {kept_by(0.7, 0.25)} of 60 kept")


def test_a_looser_threshold_is_an_estimate(browser: webdriver.Chrome) -> None:
    find(browser, "#slider-aesthetic").send_keys(Keys.HOME)
    # 12 images come in anew; of the 40 compared in this run, 30 were kept.
    assert result(browser).startswith(f"about {30 + 12 * 30 // 40} of 60 kept")


def test_a_rule_for_the_best_drops_its_share_of_what_comes_in_anew(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    rows = [row for row in standard_rows() if row.duplicate_of is None]
    for row in rows[10:30]:
        row.reason = "top_nsfw"
    results = make_run(tmp_path, rows)
    decide_by(results, Filtering(0.5, 0.5, keep_top=["nsfw=10"]), dedup=False)
    write_report(results, Setup())
    chromium.get((results / "report.html").as_uri())
    find(chromium, "#slider-aesthetic").send_keys(Keys.HOME)
    # 12 images come in anew; of the 30 that passed the thresholds of this run, 10 were kept.
    assert result(chromium).startswith(f"about {10 + 12 * 10 // 30} of 50 kept")


def test_without_duplicates_every_count_is_exact(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    rows = [row for row in standard_rows() if row.duplicate_of is None]
    results = make_run(tmp_path, rows)
    decide_by(results, dedup=False)
    write_report(results, Setup())
    chromium.get((tmp_path / "results" / "report.html").as_uri())
    find(chromium, "#slider-aesthetic").send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 25)
    find(chromium, "#slider-nsfw").send_keys(Keys.END)
    truth = sum(row.error is None and row.aesthetic >= 0.25 for row in rows)
    assert truth > 30
    assert result(chromium).startswith(f"{truth} of 50 kept")


def stricter_is_exact_and_looser_is_not(chromium: webdriver.Chrome, results: Path) -> None:
    chromium.get((results / "report.html").as_uri())
    slider = find(chromium, "#slider-aesthetic")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert result(chromium).startswith(f"{kept_by(0.52, 0.5)} of 50 kept")
    slider.send_keys(Keys.HOME)
    assert result(chromium).startswith("about 42 of 50 kept")


def test_what_comes_in_anew_may_be_a_duplicate(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    rows = [row for row in standard_rows() if row.duplicate_of is None]
    write_report(make_run(tmp_path, rows), Setup())  # duplicates were sought, and none was found
    stricter_is_exact_and_looser_is_not(chromium, tmp_path / "results")


def test_what_comes_in_anew_may_fail_another_filter(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    """Also one that dropped none in this run, since the score is asked first."""
    rows = [row for row in standard_rows() if row.duplicate_of is None]
    results = make_run(tmp_path, rows)
    for other in (
        Filtering(0.5, 0.5, max_aspect=3),
        Filtering(0.5, 0.5, keep_top=["nsfw=100"]),
        Filtering(0.5, 0.5, min_score=["nsfw=0"]),
    ):
        decide_by(results, other, dedup=False)
        write_report(results, Setup())
        stricter_is_exact_and_looser_is_not(chromium, results)


def test_the_strictest_of_several_thresholds_on_a_score_is_that_of_the_run(tmp_path: Path) -> None:
    results = make_run(tmp_path, standard_rows())
    decide_by(results, Filtering(0.1, 0.5, min_score=["aesthetic=0.5", "nsfw=0"]))
    assert write_report(results, Setup())["thresholds"] == THRESHOLDS
    page = (results / "report.html").read_text()
    assert "this run: 0.5" in page and "this run: 0.1" not in page


@pytest.fixture(scope="module")
def six_scores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray], dict[str, float]]:
    """A run whose 58 readable samples have six scores, five with a threshold; the scores, and the thresholds."""
    results = make_run(tmp_path_factory.mktemp("six"), [row for row in standard_rows() if row.duplicate_of is None])
    table = read_table(results / "decisions.parquet")
    random = np.random.default_rng(3)
    drawn = {f"s{i}": random.random(table.num_rows).astype(np.float32) for i in range(4)}
    thresholds = {"aesthetic": 0.3, **dict.fromkeys(drawn, 0.25)}
    scores = {name: table[name].to_numpy().astype(np.float32) for name in ("aesthetic", "nsfw")} | drawn
    reason = np.where(table["reason"].to_numpy(zero_copy_only=False) == "unreadable", "unreadable", "kept").astype(
        "U16"
    )
    for name, least in thresholds.items():
        reason[(reason == "kept") & ~(scores[name] >= np.float32(least))] = name
    for name, values in drawn.items():
        table = table.append_column(name, pa.array(values))
    for name, values in {"kept": pa.array(reason == "kept"), "reason": pa.array(reason.tolist())}.items():
        table = table.set_column(table.column_names.index(name), name, values)
    nowhere = pa.nulls(table.num_rows, table.schema.field("output_shard").type)
    write_table(
        results / "decisions.parquet",
        table.set_column(table.column_names.index("output_shard"), "output_shard", nowhere),
    )
    shutil.rmtree(results / "curated")
    known = reason != "unreadable"
    return results, {name: values[known] for name, values in scores.items()}, thresholds


@pytest.mark.parametrize("together", [6, 2, 1])
def test_sliders_of_many_scores_state_true_counts(
    chromium: webdriver.Chrome,
    six_scores: tuple[Path, dict[str, np.ndarray], dict[str, float]],
    monkeypatch: pytest.MonkeyPatch,
    together: int,
) -> None:
    results, scores, thresholds = six_scores
    count = sliders._count  # as if there were more samples, so that more cells are too many
    monkeypatch.setattr(sliders, "_count", lambda *which: count(*which) if which[2] <= together else None)
    aesthetic, *others = thresholds.values()
    decide_by(results, Filtering(aesthetic, min_score=[f"s{i}={least}" for i, least in enumerate(others)]), dedup=False)
    write_report(results, Setup())
    chromium.get((results / "report.html").as_uri())
    assert bool(chromium.find_elements(By.ID, "together")) == (together < 6)
    moves = [
        ("s1", Keys.ARROW_LEFT, 9),
        ("nsfw", Keys.ARROW_LEFT, 40),
        ("s3", Keys.ARROW_RIGHT, 20),
        ("s1", Keys.END, 1),
    ]
    moves += [
        ("aesthetic", Keys.HOME, 1),
        ("s0", Keys.ARROW_LEFT, 12),
        ("s2", Keys.ARROW_LEFT, 7),
        ("s3", Keys.HOME, 1),
    ]
    away: list[str] = []
    for name, key, times in moves:
        find(chromium, f"#slider-{name}").send_keys(*[key] * times)
        away = [*(other for other in away if other != name), name][-together:]
        stands = {other: float(find(chromium, f"#value-{other}").text) for other in scores}
        kept = np.ones(len(scores["s0"]), bool)
        for other, stand in stands.items():
            if other not in away:
                assert stand == thresholds.get(other, 1.0)
            if other == "nsfw":
                kept &= (scores[other] < np.float32(stand)) | (stand == 1)
            else:
                kept &= scores[other] >= np.float32(stand)
        assert result(chromium).startswith(f"{kept.sum()} of 50 kept"), (name, stands)
        heights = find(chromium, f"#curve-{name}").get_attribute("points")
        assert heights and len(heights.split()) == int(find(chromium, f"#slider-{name}").get_attribute("max") or 0) + 1
    find(chromium, "#reset").click()
    assert result(chromium).endswith("as in this run")


def test_back_to_the_run(browser: webdriver.Chrome) -> None:
    reset = find(browser, "#reset")
    assert not reset.is_enabled()
    find(browser, "#slider-nsfw").send_keys(Keys.END)
    assert "as in this run" not in result(browser)
    reset.click()
    assert result(browser) == "30 of 60 kept (50.0 %), as in this run"


def blur(picture: WebElement) -> str:
    return picture.find_element(By.TAG_NAME, "img").value_of_css_property("filter")


def test_a_picture_is_blurred_until_clicked(browser: webdriver.Chrome) -> None:
    first, second = browser.find_elements(By.CSS_SELECTOR, ".veil")[:2]
    assert "blur" in blur(first) and "blur" in blur(second)
    first.click()
    assert blur(first) == "none" and first.get_attribute("aria-pressed") == "true"
    assert "blur" in blur(second)
    first.click()
    assert "blur" in blur(first)


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE])
def test_a_picture_shows_itself_by_keyboard(browser: webdriver.Chrome, key: str) -> None:
    veil = find(browser, ".veil")
    assert "Show the blurred image" in veil.accessible_name
    veil.send_keys(key)
    assert blur(veil) == "none"


def test_every_picture_above_the_score_is_blurred_and_no_other(browser: webdriver.Chrome) -> None:
    nsfw = {row.key for row in standard_rows() if row.nsfw >= 0.5}
    for picture in browser.find_elements(By.CSS_SELECTOR, ".picture"):
        key = picture.find_element(By.CSS_SELECTOR, ".key").text
        assert bool(picture.find_elements(By.CSS_SELECTOR, ".veil")) == (key in nsfw)
    unveil = find(browser, "#unveil")
    unveil.click()
    assert {blur(veil) for veil in browser.find_elements(By.CSS_SELECTOR, ".veil")} == {"none"}


def test_the_pictures_are_there(browser: webdriver.Chrome) -> None:
    widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(widths) > 100 and min(widths) > 100
    assert not browser.find_elements(By.CSS_SELECTOR, ".none")


def test_a_hostile_caption_stays_text(browser: webdriver.Chrome) -> None:
    assert browser.title == "Curation report: 30 of 60 kept"
    captions = [element.get_attribute("textContent") for element in browser.find_elements(By.CSS_SELECTOR, ".caption")]
    assert HOSTILE in captions
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 2
    keys = [element.text for element in browser.find_elements(By.CSS_SELECTOR, ".key")]
    assert "<b>kept04</b>" in keys


def test_nothing_leaves_the_page(browser: webdriver.Chrome, listener: str) -> None:
    browser.get_log("performance")
    browser.refresh()
    check_alone(browser)
    # Nor could it, were a caption ever to become markup: the page's policy stops it.
    blocked = browser.execute_async_script(
        """
        const done = arguments[1];
        const directives = [];
        document.addEventListener("securitypolicyviolation", (event) => {
          directives.push(event.effectiveDirective);
          if (directives.length === 3) done(directives.sort());
        });
        const image = document.createElement("img");
        image.src = arguments[0] + "/image";
        const script = document.createElement("script");
        script.textContent = "document.title = 'broken'";
        document.body.append(image, script);
        fetch(arguments[0] + "/fetch").catch(() => {});
        """,
        listener,
    )
    assert blocked == ["connect-src", "img-src", "script-src-elem"]
    assert browser.title != "broken"
    assert Listener.paths == []
    urllib.request.urlopen(f"{listener}/heard").close()
    assert Listener.paths == ["/heard"]  # it does listen


CONTRASTS = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = rgb(getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const found = {};
for (const element of document.querySelectorAll("body *")) {
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  if (["SCRIPT", "NOSCRIPT", "STYLE"].includes(element.tagName)) continue;
  const style = getComputedStyle(element);
  const colour = rgb(element instanceof SVGElement ? style.fill : style.color);
  const [high, low] = [light(colour), light(behind(element))].sort((a, b) => b - a);
  found[element.tagName + "." + element.className] = (high + 0.05) / (low + 0.05);
}
return found;
"""


def test_light_and_dark_are_both_readable(browser: webdriver.Chrome) -> None:
    papers = {}
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        papers[scheme] = find(browser, "body").value_of_css_property("background-color")
        contrasts = browser.execute_script(CONTRASTS)
        assert len(contrasts) > 15
        assert min(contrasts.values()) >= 4.5, contrasts  # WCAG 2.2, 1.4.3
    assert papers["light"] == "rgba(255, 255, 255, 1)" and papers["dark"] != papers["light"]


def test_a_screen_reader_finds_its_way(browser: webdriver.Chrome) -> None:
    for landmark in ("header", "nav[aria-label]", "main"):
        assert len(browser.find_elements(By.CSS_SELECTOR, landmark)) == 1
    levels = [int(element.tag_name[1]) for element in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3, h4, h5, h6")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))
    for target in browser.find_elements(By.CSS_SELECTOR, "a[href]"):
        assert (target.get_attribute("href") or "").rpartition("#")[2] in ids
    for control in browser.find_elements(By.CSS_SELECTOR, "input, button, svg[role=img]"):
        assert control.accessible_name or not control.is_displayed()
    for picture in browser.find_elements(By.CSS_SELECTOR, ".picture > img"):
        assert picture.get_attribute("alt")
    assert browser.execute_script(
        "return [...document.querySelectorAll('table')].every(t => t.querySelector('th[scope]'))"
    )


def test_the_page_does_not_scroll_sideways_on_a_phone(browser: webdriver.Chrome) -> None:
    check_on_a_phone(browser)


def test_the_page_is_one_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert all(
        value.startswith(("data:image/jpeg;base64,", "#")) for value in re.findall(r' (?:src|href)="(.*?)"', text)
    )
    assert "default-src 'none'" in text


def test_hostile_text_is_escaped(results: Path, tmp_path: Path) -> None:
    select_examples(results)
    write_report(results, Setup(read_parameters(write_parameters(tmp_path / "p.json"))))
    page = (results / "report.html").read_text()
    assert HOSTILE not in page
    assert "<b>kept04</b>" not in page


def test_a_filter_of_the_users_own_has_its_place(results: Path) -> None:
    change_decisions(results, lambda table: change_column(table, "reason", 42, "<i>mine</i>"))
    facts = write_report(results, Setup())
    assert facts["dropped"]["<i>mine</i>"] == 1 and facts["dropped"]["nsfw"] == 5
    steps = [step["title"] for step in funnel(facts)]
    assert steps[1:5] == ["Aesthetic filter", "NSFW filter", "<i>mine</i>", "Exact duplicate"]
    assert [step["left"] for step in funnel(facts)][-1] == 30
    assert "<i>mine</i>" not in (results / "report.html").read_text()
