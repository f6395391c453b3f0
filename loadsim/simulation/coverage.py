"""Sometimes-coverage (I18): which fault met an order in which state on a link in which phase, and which never did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from loadsim.simulation.plan import KINDS

__all__ = ["CELLS", "covered", "never", "table"]

STATES: Final = ("none", "new", "sent", "unknown", "open", "settling")
PHASES: Final = ("ready", "reconnecting", "connecting", "authenticating", "degraded")

POSSIBLE: Final = {("none", phase) for phase in PHASES} | {
    ("new", "ready"),
    ("new", "reconnecting"),
    ("new", "connecting"),
    ("new", "authenticating"),
    ("sent", "ready"),
    ("unknown", "ready"),
    ("unknown", "reconnecting"),
    ("unknown", "connecting"),
    ("unknown", "authenticating"),
    *(("open", phase) for phase in PHASES),
    *(("settling", phase) for phase in PHASES),
}
"""An order is SENT only while its link is up."""

CELLS: Final = tuple(
    (kind, state, phase)
    for kind in KINDS
    for state in STATES
    for phase in PHASES
    if (state, phase) in POSSIBLE
)


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
