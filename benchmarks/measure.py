"""Measuring: contenders take turns, each keeps its best round, and the report is made of ratios to one of them."""

from __future__ import annotations

import gc
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["Contender", "Report", "Row", "measure", "render"]


class Contender(NamedTuple):
    """Something that does the work once; ``run`` returns how many items it got done."""

    name: str
    run: Callable[[], int]


class Row(NamedTuple):
    """What one contender achieved."""

    name: str
    items: int
    seconds: float
    ratio: float

    @property
    def per_second(self) -> float:
        """Items in a second."""
        return self.items / self.seconds


class Report(NamedTuple):
    """One benchmark: what it is for, what was measured, and whether the budget was met."""

    name: str
    unit: str
    base: str
    rows: list[Row]
    budgets: dict[str, bool]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "name": self.name,
            "unit": self.unit,
            "base": self.base,
            "rows": [{**row._asdict(), "per_second": row.per_second} for row in self.rows],
            "budgets": self.budgets,
            "python": platform.python_version(),
            "machine": platform.machine(),
        }


def measure(contenders: Sequence[Contender], *, base: str, rounds: int) -> list[Row]:
    """Let the contenders take turns, so that a slow moment of the machine meets all of them; keep the best of each."""
    best: dict[str, tuple[float, int]] = {}
    for _ in range(rounds):
        for contender in contenders:
            gc.collect()
            started = time.perf_counter()
            items = contender.run()
            seconds = time.perf_counter() - started
            if contender.name not in best or seconds < best[contender.name][0]:
                best[contender.name] = seconds, items
    base_seconds, base_items = best[base]
    pace = base_items / base_seconds
    return [Row(name, items, seconds, items / seconds / pace) for name, (seconds, items) in best.items()]


def render(report: Report) -> str:
    """The report as a table."""
    width = max(len(row.name) for row in report.rows)
    lines = [f"{report.name} (ratios to {report.base}; best of the rounds)"]
    lines += [
        f"  {row.name:<{width}}  {row.per_second:>12,.0f} {report.unit}/s  {row.ratio:>7.3f} x"
        for row in report.rows
    ]
    lines += [f"  {'met' if met else 'MISSED':<6}  {budget}" for budget, met in report.budgets.items()]
    return "\n".join(lines)
