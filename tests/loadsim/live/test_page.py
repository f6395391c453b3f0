"""The dashboard in a real browser: charts are drawn, figures come in, the button ends the run, nothing is fetched."""

from __future__ import annotations

import re

import trio

from loadsim.live.dashboard import open_dashboard
from loadsim.live.page import FILES, POLICY

from .conftest import MadeUp

in_thread = trio.to_thread.run_sync


async def test_the_page_shows_the_run_as_it_goes(run: MadeUp, open_browser) -> None:
    run.tick(40)
    browser = await in_thread(open_browser)
    async with open_dashboard(run.watch) as dashboard:
        await in_thread(browser.open, dashboard.url)
        await in_thread(browser.until, "document.documentElement.dataset.drawn === '4'")

        text = await in_thread(browser.run, "return document.body.innerText")
        for words in (
            "made up <b>",
            "running",
            "39 / 60 s",
            "20 / 20",
            "100.0 ms",
            "50.0 ms",
            "missed",
            "stall",
        ):
            assert words in text, f"{words}\n{text}"
        inked = (
            "return [...document.querySelectorAll('canvas')].map(c => c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data.some((value, at) => at % 4 === 3 && value))"
        )
        assert await in_thread(browser.run, inked) == [True] * 4
        wide = "return [...document.querySelectorAll('.uplot')].map(c => c.offsetWidth - c.parentNode.clientWidth)"
        assert max(await in_thread(browser.run, wide)) <= 0, "no chart lies over its neighbour"
        assert len(await in_thread(browser.screenshot)) > 10_000

        run.tick(2)
        await in_thread(browser.until, "document.documentElement.dataset.t === '41'")
        assert await in_thread(browser.run, "return document.documentElement.dataset.rows") == "42"

        await in_thread(browser.run, "document.getElementById('stop').click()")
        with trio.fail_after(60):
            assert await run.watch.wait_stop() == "asked for in the dashboard"
        run.watch.update(run.merged, ended=True, ending="stopped")
        await in_thread(browser.until, "document.getElementById('stage').textContent === 'ended'")
        assert await in_thread(browser.errors) == []


async def test_the_page_works_behind_a_token_and_says_when_the_run_is_gone(run: MadeUp, open_browser) -> None:
    run.tick(3)
    browser = await in_thread(open_browser)
    async with open_dashboard(run.watch, "0.0.0.0:0") as dashboard:
        await in_thread(browser.open, dashboard.url.replace("0.0.0.0", "127.0.0.1"))
        await in_thread(browser.until, "document.documentElement.dataset.rows === '3'")
        assert await in_thread(browser.errors) == []
    await in_thread(browser.until, "document.getElementById('stage').textContent === 'connection lost'")


def test_the_page_names_nobody_else() -> None:
    own = "".join(text() for name, (_, text) in FILES.items() if not name.startswith("uplot"))

    assert not re.search(r"https?://|//[a-z]|@import|innerHTML|eval\(", own)
    assert not re.search(r"<script[^>]*>[^<]|\son[a-z]+=|style=", FILES[""][1]()), (
        "the policy allows nothing inline"
    )
    assert "unsafe" not in POLICY
