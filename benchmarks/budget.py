"""A budget of the design and what a run says about it: our figure, the peers of the same run, the ratio, met or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

__all__ = ["Verdict", "at_least", "at_most", "medians", "percentile", "render_table"]


class Verdict(NamedTuple):
    """One budget.

    Attributes:
        id: of the design, as ``B1``; a letter behind it where one budget has several parts.
        name: what was measured.
        unit: of all figures.
        ours: our figure.
        peers: the peers' figures, by name.
        ratio: ours to the peer that the budget names.
        budget: what the ratio (or figure) must be, in words.
        met: whether it is.
        details: what else was measured, or why a peer was not.
    """

    id: str
    name: str
    unit: str
    ours: float
    peers: Mapping[str, float]
    ratio: float
    budget: str
    met: bool
    details: Mapping[str, Any] = {}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``--json`` and the results file."""
        return self._asdict()


def at_least(floor: float, ratio: float, against: str) -> tuple[str, bool]:
    """The words of a budget that wants a ratio of at least ``floor``, and whether it is met."""
    return f">= {floor:g} x {against}", ratio >= floor


def at_most(ceiling: float, ratio: float, against: str) -> tuple[str, bool]:
    """The words of a budget that wants a ratio of at most ``ceiling``, and whether it is met."""
    return f"<= {ceiling:g} x {against}", ratio <= ceiling


def medians(rounds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each contender's rounds."""
    return {name: median(figures) for name, figures in rounds.items() if figures}


def percentile(figures: Iterable[float], percent: float) -> float:
    """The figure that ``percent`` of all figures do not exceed (nearest rank)."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def render_table(verdicts: Sequence[Verdict]) -> str:
    """All verdicts as text: a line for each, and under it a line for each peer."""
    lines = []
    for it in verdicts:
        word = "met" if it.met else "MISSED"
        lines.append(
            f"{it.id:<4} {word:<7} {it.name}: {show(it.ours)} {it.unit}; ratio {it.ratio:.3g}, budget {it.budget}"
        )
        lines += [f"{'':<13}{show(figure):>12}  {name}" for name, figure in it.peers.items()]
        lines += [f"{'':<13}{key}: {value}" for key, value in it.details.items()]
    return "\n".join(lines)


def show(figure: float) -> str:
    """A figure with the digits that mean something."""
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.4g}"
