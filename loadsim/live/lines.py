"""A run as one plain line every five seconds: for logs, pipes and whoever has no terminal."""

from __future__ import annotations

from collections.abc import Callable

from loadsim.live.view import RunView

__all__ = ["EVERY_S", "Lines", "line_of"]

EVERY_S = 5.0


def line_of(view: RunView) -> str:
    """The run in one line, without its end."""
    total = f"/{view.duration_s:g}" if view.duration_s else ""
    planned = f"/{view.clients_planned}" if view.clients_planned else ""
    missed = sum(not each.ok and not each.soft for each in view.thresholds)
    parts = [
        f"t {view.t:.0f}{total} s",
        f"clients {view.clients}{planned}",
        f"act/s {view.act_s:.0f}",
        f"p50 {view.response_p50_ms:.1f} ms",
        f"p99 {view.response_p99_ms:.1f} ms",
        f"err {view.errors}",
        f"omitted {view.omitted}",
        f"lag {view.lag_p99_ms:.1f} ms",
        f"shards {view.shards_up}/{len(view.shards)}",
    ]
    if missed:
        parts.append(f"thresholds missed {missed}/{len(view.thresholds)}")
    if view.ending:
        parts.append(view.ending)
    return "  ".join(parts)


class Lines:
    """Writes a line every so many seconds of the run, and one at its end.

    Args:
        write: takes a line without its end.
        every_s: seconds of the run between two lines.
    """

    def __init__(self, write: Callable[[str], None], *, every_s: float = EVERY_S) -> None:
        self._write = write
        self._every_s = every_s
        self._due = 0.0

    def show(self, view: RunView) -> None:
        """Write the view if it is time for one; the last view is always written."""
        if view.t < self._due and view.stage != "ended":
            return
        self._due = (view.t // self._every_s + 1) * self._every_s
        self._write(line_of(view))
