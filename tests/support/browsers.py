"""A real browser for the tests of pages, and what every page has to stand in it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1280,900"
).split()


@contextmanager
def chromium_in(folder: Path, need_tool: Callable[[str, str], Path]) -> Iterator[webdriver.Chrome]:
    """Chromium with its profile in a new folder, and what it saves in `downloads` there; it logs what pages ask for."""
    options = Options()
    options.binary_location = str(need_tool("chromium", "chromium"))
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "downloads")})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, Service(str(need_tool("chromedriver", "chromium-driver"))))
    yield driver
    driver.quit()


def check_alone(browser: webdriver.Chrome) -> None:
    """Since the log was read last, pages asked for themselves and nothing else, and no fault was logged."""
    asked = [
        message["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def check_on_a_phone(browser: webdriver.Chrome) -> None:
    """The page does not scroll sideways there."""
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
