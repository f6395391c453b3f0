"""The page: one file, no address in it, nothing a text could break out of, and the verdict before everything else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from loadsim.report import html
from loadsim.report.document import build
from loadsim.report.html import ASSETS, asset, render
from loadsim.report.result import Check, ShardResult, judge

from .conftest import made_up


class Page(HTMLParser):
    """What a browser would see: elements with addresses, scripts, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.words += data + "\n"


def test_nothing_is_fetched_from_anywhere(result) -> None:
    text = render(build(result))

    assert Page(text).addresses == []
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", text)


def test_the_whole_document_is_in_the_page(result) -> None:
    page = Page(render(build(result)))

    assert json.loads(page.scripts[0]) == json.loads(json.dumps(build(result)))


def test_no_text_breaks_out(result) -> None:
    page = Page(render(build(result)))

    assert len(page.scripts) == 4, "the two of data, uPlot, ours: no fifth from an error's text"
    assert "made up <b>" in page.words
    assert "</script><script>alert(1)</script>" in page.words


def test_the_verdict_comes_first_and_validity_before_thresholds() -> None:
    lost = [ShardResult(shard=0, state="lost")]
    bad = made_up(validity=judge(made_up().merged, lost, made_up().plan.limits, expected=1))

    assert "Valid run, 1 thresholds missed" in Page(render(build(made_up()))).words
    assert "INVALID RUN" in Page(render(build(bad))).words
    assert "thresholds missed" not in Page(render(build(bad))).words
    wrong = made_up(checks=[Check(what="x", ours="1", venue="2", ok=False)])
    assert "THE BOOKS DISAGREE" in Page(render(build(wrong))).words


def test_both_clocks_are_shown_side_by_side(result) -> None:
    words = Page(render(build(result))).words

    assert words.index("response") < words.index("service")
    assert "100.00" in words
    assert "50.00" in words


def test_where_no_script_runs_there_are_drawings(result) -> None:
    assert render(build(result)).count("<svg ") == 4


@pytest.mark.parametrize("name", ASSETS)
def test_what_ships_is_what_was_published(name: str) -> None:
    assert asset(name)


def test_a_changed_asset_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(html.ASSETS, "uPlot.min.css", "0" * 64)

    with pytest.raises(RuntimeError, match="not the file"):
        asset("uPlot.min.css")
