"""A run as a table on a terminal, redrawn twice a second by a thread of its own: the run never waits for the screen.

Needs the extra ``cli`` (rich). The table is as wide as the terminal is at each drawing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from loadsim.live.view import RunView
from potrio.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Terminal", "open_terminal", "spark"]

BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_S = 60
"""Seconds that a line of blocks shows."""

PER_SECOND = 2
CLOSE_S = 1.0
"""A terminal that takes nothing (Ctrl-S) holds the end up for so long at most."""


def spark(values: Sequence[float], width: int = SPARK_S) -> str:
    """The last values as a line of blocks, the highest of them as the highest block."""
    shown = values[-width:]
    top = max(shown, default=0.0)
    return "".join(BLOCKS[round(value / top * 7) if top > 0 else 0] for value in shown)


class Terminal:
    """Shows the latest view. `show` only takes it over; drawing is done by the thread of `open_terminal`."""

    def __init__(self) -> None:
        self._view: RunView | None = None

    def show(self, view: RunView) -> None:
        """Let this be drawn next; never waits."""
        self._view = view

    def render(self) -> RenderableType:
        """What is drawn now."""
        from rich.text import Text

        return Text("starting") if self._view is None else picture(self._view)


def picture(view: RunView) -> RenderableType:
    """A view for the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble((view.name, "bold"), f"  {view.stage}  ", clock(view), f"  {view.ending}")
    figures = Table(box=None, padding=(0, 2), show_header=False)
    figures.add_column(style="dim")
    figures.add_column(justify="right")
    figures.add_column(no_wrap=True, overflow="crop", ratio=1)
    rows = view.history
    for name, figure, values in (
        ("clients", of(view.clients, view.clients_planned), [row.clients for row in rows]),
        ("actions a second", f"{view.act_s:.0f}", [row.ok + row.errors for row in rows]),
        ("response p50", f"{view.response_p50_ms:,.1f} ms", [row.p50_us for row in rows]),
        ("response p99", f"{view.response_p99_ms:,.1f} ms", [row.p99_us for row in rows]),
        ("service p50", f"{view.service_p50_ms:,.1f} ms", []),
        ("service p99", f"{view.service_p99_ms:,.1f} ms", []),
        ("errors", f"{view.errors:,}", [row.errors for row in rows]),
        ("omitted", f"{view.omitted:,}", [row.omitted for row in rows]),
        ("generator lag p99", f"{view.lag_p99_ms:,.1f} ms", [row.lag_p99_us for row in rows]),
        ("shards", f"{view.shards_up}/{len(view.shards)}", []),
    ):
        figures.add_row(name, figure, spark(values))
    parts: list[RenderableType] = [head, figures]
    for each in view.thresholds:
        mark, style = ("kept  ", "green") if each.ok else ("missed", "yellow" if each.soft else "red")
        parts.append(Text.assemble((mark, style), f"  {each.expr}  ", (each.observed, "bold")))
    for fault in view.faults[-3:]:
        lasting = "under way" if fault.duration_s is None else f"for {fault.duration_s:g} s"
        parts.append(
            Text(f"fault   {fault.kind} of the {fault.scope} at {fault.t:.1f} s, {lasting}", "magenta")
        )
    return Group(*parts)


def clock(view: RunView) -> str:
    """How far the run is."""
    return f"{view.t:.0f}/{view.duration_s:g} s" if view.duration_s else f"{view.t:.0f} s"


def of(count: int, planned: int) -> str:
    """So many, of so many where that is known."""
    return f"{count:,}/{planned:,}" if planned else f"{count:,}"


@asynccontextmanager
async def open_terminal(console: Console | None = None) -> AsyncGenerator[Terminal, None]:
    """Show a run on a terminal while the block runs, and leave the last picture and a usable terminal behind.

    Args:
        console: of rich; None: the one of standard error.

    Entering does not wait; leaving, however it comes, waits a second at most.

    Raises:
        ConfigError: rich is not installed.
    """
    live, terminal = live_of(console)
    live.start()
    try:
        yield terminal
    finally:
        with trio.move_on_after(CLOSE_S, shield=True):
            await trio.to_thread.run_sync(live.stop, abandon_on_cancel=True)


def live_of(console: Console | None) -> tuple[Any, Terminal]:
    """What draws, and what it asks for its picture."""
    try:
        from rich.console import Console as MadeConsole
        from rich.live import Live
    except ImportError:
        raise ConfigError("terminal", "needs the extra potrio[cli]") from None
    terminal = Terminal()
    live = Live(
        console=console if console is not None else MadeConsole(stderr=True),
        get_renderable=terminal.render,
        refresh_per_second=PER_SECOND,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="ellipsis",
    )
    return live, terminal
