"""The table: its figures, any width, no waiting for the screen, and a terminal that can be used afterwards."""

from __future__ import annotations

import builtins
import io
import threading

import pytest
import trio
from rich.console import Console

from loadsim.live import terminal as module
from loadsim.live.terminal import Terminal, open_terminal, spark
from potrio.errors import ConfigError

from .conftest import MadeUp

GUARD_S = 60

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def drawn(terminal: Terminal, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal.render())
    return console.file.getvalue()  # type: ignore[attr-defined]


def screen() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=80, height=30), out


def test_a_line_of_blocks() -> None:
    assert spark([0, 1, 2, 4]) == "▁▃▅█"
    assert spark([0, 0]) == "▁▁"
    assert spark([]) == ""
    assert len(spark(list(range(500)))) == 60


def test_the_figures_are_there(run: MadeUp) -> None:
    terminal = Terminal()
    assert "starting" in drawn(terminal)
    terminal.show(run.tick(12))
    text = drawn(terminal)

    for words in (
        "made up <b>",
        "running",
        "11/60 s",
        "20/20",
        "kept",
        "missed",
        "stall of the venue at 3.0 s, for 2 s",
    ):
        assert words in text
    assert next(line for line in text.splitlines() if "response p99" in line).count("█") >= 12
    assert "█" in text


@pytest.mark.parametrize("width", [20, 40, 200])
def test_it_fits_any_width(run: MadeUp, width: int) -> None:
    terminal = Terminal()
    terminal.show(run.tick(80))

    assert max(len(line) for line in drawn(terminal, width).splitlines()) <= width


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal of a slow machine has its time to be restored."""
    monkeypatch.setattr(module, "CLOSE_S", GUARD_S)


@pytest.mark.usefixtures("patient")
async def test_the_terminal_is_restored(run: MadeUp) -> None:
    console, out = screen()
    async with open_terminal(console) as terminal:
        assert HIDE in out.getvalue()
        terminal.show(run.tick(3))

    assert out.getvalue().rindex(SHOW) > out.getvalue().rindex(HIDE)
    assert "response p99" in out.getvalue(), "the last picture stays"
    with trio.fail_after(GUARD_S):
        while any("Refresh" in type(each).__name__ for each in threading.enumerate()):  # noqa: ASYNC110  # nobody tells
            await trio.sleep(0.01)


@pytest.mark.usefixtures("patient")
async def test_it_is_restored_after_an_error_and_when_cancelled(run: MadeUp) -> None:
    console, out = screen()
    with pytest.raises(RuntimeError, match="of the run"):
        async with open_terminal(console):
            raise RuntimeError("of the run")
    assert SHOW in out.getvalue()

    console, out = screen()
    with trio.CancelScope() as scope:
        async with open_terminal(console):
            scope.cancel()
            await trio.sleep_forever()
    assert SHOW in out.getvalue()


class Stuck(io.StringIO):
    """A terminal that takes nothing more, as after Ctrl-S, for a minute; then it notes that somebody waited for it."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck = threading.Event()
        self.waiting = threading.Event()
        self.free = threading.Event()
        self.was_waited_for = False

    def write(self, text: str) -> int:
        if self.stuck.is_set():
            self.waiting.set()
            self.was_waited_for |= not self.free.wait(GUARD_S)
        return super().write(text)


async def test_a_terminal_that_takes_nothing_does_not_hold_the_run_up(run: MadeUp) -> None:
    out = Stuck()
    try:
        async with open_terminal(Console(file=out, force_terminal=True, width=80)) as terminal:
            out.stuck.set()
            assert await trio.to_thread.run_sync(out.waiting.wait, GUARD_S), "the thread is stuck now"
            for _ in range(50):
                terminal.show(run.tick())
        assert not out.was_waited_for
    finally:
        out.free.set()


async def test_without_rich_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: object, **more: object) -> object:
        if name.startswith("rich"):
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"potrio\[cli\]"):
        async with open_terminal():
            pass
