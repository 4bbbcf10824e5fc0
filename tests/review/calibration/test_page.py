"""The page in a real browser: answered by keys and buttons, saved to a file, not lost by a reload."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsers import check_alone, check_on_a_phone, chromium_in
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from pycurate.results.tables import read_table
from pycurate.review.calibration.answers import read_answers
from pycurate.review.calibration.page import render
from pycurate.review.calibration.pairs import pair_sheet
from pycurate.review.calibration.scores import score_sheet
from pycurate.review.calibration.sheet import Sheet

COUNT = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chromium")


@pytest.fixture(scope="module")
def downloads(folder: Path) -> Path:
    return folder / "downloads"


@pytest.fixture(scope="module")
def chromium(need_tool: Callable[[str, str], Path], folder: Path) -> Iterator[webdriver.Chrome]:
    with chromium_in(folder, need_tool) as driver:
        yield driver


@pytest.fixture
def sheet(searched: Path) -> Sheet:
    return pair_sheet(searched, COUNT)


@pytest.fixture
def browser(chromium: webdriver.Chrome, searched: Path, sheet: Sheet, tmp_path: Path) -> webdriver.Chrome:
    """The page of pairs, opened for the first time."""
    return opened(chromium, searched, sheet, tmp_path)


def opened(chromium: webdriver.Chrome, results: Path, sheet: Sheet, folder: Path) -> webdriver.Chrome:
    page = folder / "calibrate.html"
    page.write_text(render(results, sheet).html, encoding="utf-8")
    chromium.get(page.as_uri())
    chromium.execute_script("localStorage.clear()")
    chromium.refresh()
    return chromium


def press(browser: webdriver.Chrome, *keys: str) -> None:
    for key in keys:
        browser.find_element(By.TAG_NAME, "body").send_keys(key)


def text(browser: webdriver.Chrome, name: str) -> str:
    return browser.find_element(By.ID, name).text


def sources(browser: webdriver.Chrome) -> list[str]:
    """Those of the pictures that are seen."""
    return browser.execute_script(
        "return [...document.images].filter(one => one.offsetParent && one.naturalWidth > 100).map(one => one.src)"
    )


def saved(downloads: Path) -> Path:
    """The file that the browser has just saved, alone in the folder."""
    path = downloads / "answers.json"
    for _ in range(600):
        if path.exists() and path.stat().st_size:
            return path
        time.sleep(0.1)
    raise AssertionError(f"nothing was saved in {downloads}")


def test_answers_are_saved_as_they_were_given(
    browser: webdriver.Chrome, searched: Path, sheet: Sheet, downloads: Path
) -> None:
    keys = dict(
        zip(*(read_table(searched / "decisions.parquet")[name].to_pylist() for name in ("uid", "key")), strict=True)
    )
    asked = [sorted(keys[uid] for uid in item.uids) for item in sheet.items]
    same = [other == one.strip("<>b/").replace("kept", "near") for one, other in asked]
    assert 2 < sum(same) < COUNT - 2
    for number in range(COUNT):
        assert text(browser, "progress") == f"{number} of {COUNT} answered"
        assert len(sources(browser)) == 2
        shown = [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".item:not([hidden]) .key")]
        assert sorted(shown) == asked[number]
        press(browser, "j" if same[number] else "F")
    assert text(browser, "progress") == f"{COUNT} of {COUNT} answered" and not sources(browser)
    assert "--answers answers.json" in text(browser, "done")
    press(browser, "s")
    path = saved(downloads)
    found, answers = read_answers(path)
    path.unlink()
    assert found == sheet and answers.tolist() == [float(yes) for yes in same]


def test_a_reload_loses_nothing_and_undo_goes_back(browser: webdriver.Chrome, sheet: Sheet, downloads: Path) -> None:
    first = sources(browser)
    press(browser, "j", "f")
    browser.find_element(By.ID, "yes").click()
    browser.refresh()
    assert text(browser, "progress") == f"3 of {COUNT} answered"
    press(browser, "u", "u")
    browser.find_element(By.ID, "undo").click()
    assert text(browser, "progress") == f"0 of {COUNT} answered" and sources(browser) == first
    assert not browser.find_element(By.ID, "undo").is_enabled()
    press(browser, "f", "x", Keys.ARROW_LEFT)  # other keys do nothing
    browser.find_element(By.ID, "save").click()
    path = saved(downloads)
    _, answers = read_answers(path)
    path.unlink()
    assert np.array_equal(answers, [0] + [np.nan] * (COUNT - 1), equal_nan=True)


def test_answers_to_other_questions_about_the_run_are_not_taken_up(
    browser: webdriver.Chrome, searched: Path, sheet: Sheet, tmp_path: Path
) -> None:
    """As where a score is judged for the other side of a threshold, or was by another version."""
    press(browser, "j", "f")
    other = tmp_path / "other.html"
    other.write_text(render(searched, replace(sheet, items=sheet.items[::-1])).html, encoding="utf-8")
    browser.get(other.as_uri())
    assert text(browser, "progress") == f"0 of {COUNT} answered"
    browser.get((tmp_path / "calibrate.html").as_uri())
    assert text(browser, "progress") == f"2 of {COUNT} answered"


def test_blurred_images_are_shown_on_demand(chromium: webdriver.Chrome, searched: Path, tmp_path: Path) -> None:
    sheet = score_sheet(searched, "nsfw", 60)
    browser = opened(chromium, searched, sheet, tmp_path)

    def blurred() -> list[bool]:
        return browser.execute_script(
            "return [...document.images].map(one => getComputedStyle(one).filter.includes('blur'))"
        )

    assert blurred() == [item.value >= 0.5 for item in sheet.items] and any(blurred())
    press(browser, "b")
    assert not any(blurred())
    browser.find_element(By.ID, "unveil").click()
    assert any(blurred()) and "keep this image" in browser.find_element(By.TAG_NAME, "h1").text


def test_it_is_one_file_whose_text_stays_text(chromium: webdriver.Chrome, searched: Path, tmp_path: Path) -> None:
    sheet = score_sheet(searched, "aesthetic", 60)
    chromium.get_log("performance")
    browser = opened(chromium, searched, sheet, tmp_path)
    check_alone(browser)
    keys = browser.execute_script("return [...document.querySelectorAll('.key')].map(one => one.textContent)")
    assert "<b>kept04</b>" in keys and len(browser.find_elements(By.TAG_NAME, "script")) == 2
    for control in browser.find_elements(By.CSS_SELECTOR, "button, progress"):
        assert control.accessible_name or not control.is_displayed()


def test_light_and_dark_and_small_screens(browser: webdriver.Chrome) -> None:
    papers = set()
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        papers.add(browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(papers) == 2
    check_on_a_phone(browser)
