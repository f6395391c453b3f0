"""The report in a real browser: from a file, with charts where scripts run and drawings where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadsim.report.document import build
from loadsim.report.html import render

from .conftest import made_up


@pytest.fixture
def page(tmp_path: Path) -> str:
    file = tmp_path / "report.html"
    file.write_text(render(build(made_up())), "utf-8")
    return file.as_uri()


def test_the_charts_are_drawn(page: str, open_browser) -> None:
    browser = open_browser()
    browser.open(page)
    browser.until("document.documentElement.dataset.drawn === '4'")

    assert browser.run("return document.querySelectorAll('.chart canvas').length") == 4
    assert browser.run("return document.querySelectorAll('svg').length") == 0
    text = browser.run("return document.body.innerText")
    for words in (
        "made up <b>",
        "Valid run, 1 thresholds missed",
        "</script><script>alert(1)</script>",
        "stall",
    ):
        assert words in text
    assert browser.errors() == []


def test_without_scripts_there_are_drawings(page: str, open_browser) -> None:
    browser = open_browser(scripts=False)
    browser.open(page)

    assert browser.count("canvas") == 0
    assert browser.count(".chart svg polyline") == 8, "p50, p99; ok, errors, omitted; clients; lag, CPU"
    assert browser.errors() == []
