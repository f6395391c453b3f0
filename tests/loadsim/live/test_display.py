"""A table on a terminal, lines everywhere else, and no error from either."""

from __future__ import annotations

import io

import pytest

from loadsim.live import display
from loadsim.live.display import open_display
from potrio.seam import Seam

from .conftest import MadeUp


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class Of(Seam):
    def __init__(self, term: str) -> None:
        self.term = term

    def environment(self) -> dict[str, str]:
        return {"TERM": self.term}


async def test_lines_where_there_is_no_terminal(run: MadeUp) -> None:
    out = io.StringIO()
    async with open_display(out) as show:
        show(run.tick())

    assert out.getvalue().startswith("t 0/60 s  clients 20/20")
    assert out.getvalue().endswith("\n")


async def test_a_table_on_a_terminal(run: MadeUp) -> None:
    out = Tty()
    async with open_display(out, seam=Of("xterm")) as show:
        show(run.tick())

    assert "response p99" in out.getvalue()
    assert "\x1b[?25h" in out.getvalue()


async def test_lines_on_a_terminal_that_can_only_write(run: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Tty()
    async with open_display(out, seam=Of("dumb")) as show:
        show(run.tick())
    assert out.getvalue().startswith("t 0/60 s")

    monkeypatch.setattr(display, "find_spec", lambda name: None)
    out = Tty()
    async with open_display(out, seam=Of("xterm")) as show:
        show(run.tick())
    assert out.getvalue().startswith("t 1/60 s"), "without rich there are lines"


async def test_a_stream_that_is_gone_does_not_end_the_run(run: MadeUp) -> None:
    out = io.StringIO()
    async with open_display(out) as show:
        out.close()
        show(run.tick())
