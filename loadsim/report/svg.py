"""Line charts as SVG, drawn once and for all: what a report shows where no script runs."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

__all__ = ["Line", "chart"]

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 34

Line = tuple[str, str, Sequence[float]]
"""Name, colour, one value for each moment."""


def chart(
    title: str,
    unit: str,
    moments: Sequence[float],
    lines: Sequence[Line],
    bands: Sequence[tuple[float, float]] = (),
) -> str:
    """A chart over time.

    Args:
        title: what it shows.
        unit: of the values.
        moments: seconds, growing.
        lines: what is drawn.
        bands: from when to when a fault was played.
    """
    top = nice(max((value for _, _, values in lines for value in values), default=0.0))
    last = max(moments[-1] if moments else 1.0, 1.0)

    def x(moment: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(moment, 0.0), last) / last, 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html.escape(title)}</title>"
    ]
    for start, end in bands:
        width = max(x(end) - x(start), 1.5)
        parts.append(
            f'<rect class="fault" x="{x(start)}" y="{TOP}" width="{width}" height="{HEIGHT - TOP - BOTTOM}"/>'
        )
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value)}" y2="{y(value)}"/>'
            f'<text x="{LEFT - 6}" y="{y(value) + 4}" text-anchor="end">{value:g}</text>'
        )
    parts.append(
        f'<text x="{LEFT}" y="{HEIGHT - 6}">0 s</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{last:g} s</text>'
        f'<text x="6" y="{TOP + 8}">{html.escape(unit)}</text>'
    )
    for number, (name, colour, values) in enumerate(lines):
        points = " ".join(f"{x(moment)},{y(value)}" for moment, value in zip(moments, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(
            f'<text x="{LEFT + 90 + 120 * number}" y="{HEIGHT - 6}" fill="{colour}">{html.escape(name)}</text>'
        )
    return "".join(parts) + "</svg>"


def nice(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten: an axis one can read."""
    if value < 1e-6:  # nothing, in any unit that is drawn
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * (1 - 1e-9))
