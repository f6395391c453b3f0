"""Progress: on a terminal a line that is gone at the end, elsewhere nothing; errors pass as they are."""

from __future__ import annotations

import io

import pytest
import trio

from potrio.cli.progress import progress


class Terminal(io.StringIO):
    """Standard error of somebody who looks."""

    def isatty(self) -> bool:
        return True


def screen(written: str) -> str:
    """What is left on the line."""
    return written.rsplit("\r\x1b[2K", 1)[-1]


async def test_it_counts_on_a_terminal_and_leaves_nothing(autojump_clock):
    out = Terminal()
    pages = iter(range(1, 100))
    async with progress(lambda: f"{next(pages)} pages", out):
        await trio.sleep(1)
        assert screen(out.getvalue()) == "3 pages"
    assert screen(out.getvalue()) == ""


async def test_what_is_quick_says_nothing(autojump_clock):
    out = Terminal()
    async with progress(lambda: "much", out):
        await trio.sleep(0.4)
    assert out.getvalue() == ""


async def test_away_from_a_terminal_nothing_is_said(autojump_clock):
    out = io.StringIO()
    async with progress(lambda: "much", out):
        await trio.sleep(5)
    assert out.getvalue() == ""


@pytest.mark.parametrize("out", [Terminal(), io.StringIO()])
async def test_an_error_is_not_hidden(autojump_clock, out):
    with pytest.raises(BaseException) as caught:
        async with progress(lambda: "x", out):
            raise KeyError("page")
    assert caught.type is KeyError, "and in no group"
