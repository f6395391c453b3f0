"""Sometimes-coverage (I18): which fault met an order in which state on a link in which phase, and which never did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from loadsim.simulation.cells import CELLS, KINDS, STATES

__all__ = ["covered", "never", "table"]


def covered(cells: Mapping[tuple[str, str, str], int]) -> float:
    """The share of all cells that were reached."""
    return sum(cell in cells for cell in CELLS) / len(CELLS)


def never(cells: Mapping[tuple[str, str, str], int]) -> list[str]:
    """The cells that were not reached, in words."""
    return ["/".join(cell) for cell in CELLS if cell not in cells]


def table(cells: Mapping[tuple[str, str, str], int]) -> str:
    """Times each kind of fault met orders in each state; below, the cells with the phase of the link."""
    width = max(map(len, KINDS))
    lines = [f"{'fault':<{width}}" + "".join(f"{state:>10}" for state in STATES)]
    for kind in KINDS:
        met: Counter[str] = Counter()
        for (of_kind, state, _), times in cells.items():
            if of_kind == kind:
                met[state] += times
        lines.append(f"{kind:<{width}}" + "".join(f"{met[state] or '-':>10}" for state in STATES))
    lines.append(f"{covered(cells):.1%} of {len(CELLS)} cells (fault, order, link) reached")
    return "\n".join(lines)
