"""Where a run is shown while it runs: a table where somebody sits at a terminal, lines everywhere else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TextIO

from loadsim.live.lines import Lines
from loadsim.live.terminal import open_terminal
from loadsim.live.view import RunView
from potrio.seam import REAL, Seam

__all__ = ["open_display"]


@asynccontextmanager
async def open_display(
    stream: TextIO, *, seam: Seam = REAL
) -> AsyncGenerator[Callable[[RunView], None], None]:
    """Show views while the block runs: ``async with open_display(sys.stderr) as show: ... show(view)``.

    A table needs a terminal that can move its cursor, and rich (extra ``cli``); without them there are lines.
    ``show`` never raises: a stream that is gone is no reason to end a run. Leaving waits a second at most.

    Args:
        stream: where to.
        seam: whose environment says what the terminal can do.
    """
    if stream.isatty() and seam.environment().get("TERM", "dumb") != "dumb" and find_spec("rich") is not None:
        from rich.console import Console

        async with open_terminal(Console(file=stream)) as terminal:
            yield terminal.show
        return

    def write(line: str) -> None:
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):  # its reader has gone, or it is closed
            pass

    yield Lines(write).show
