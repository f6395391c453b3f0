"""Draw a results file: ``docs/plots/*.svg``, the pictures of docs/performance.md.

Run by ``make plots`` with the peers' environment, which has matplotlib. Arguments: the results file (default: the one
written last) and the folder. The same file gives the same pictures, byte by byte, so that only new figures change them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams |= {"svg.hashsalt": "potrio", "svg.fonttype": "none", "font.size": 9, "axes.axisbelow": True}

from matplotlib import pyplot  # noqa: E402  # the backend is chosen before it is loaded

HERE = Path(__file__).parent
OURS, THEIRS, MISSED = "#1f6f8b", "#b8b8b8", "#c0504d"

Figures = dict[str, Any]


def bars(title: str, figures: dict[str, float], unit: str, path: Path) -> None:
    """Horizontal bars on a logarithmic axis, the best on top; ours are coloured."""
    ordered = sorted(figures.items(), key=lambda each: each[1])
    figure, axes = pyplot.subplots(figsize=(7, 0.6 + 0.3 * len(ordered)))
    names = [name for name, _ in ordered]
    drawn = axes.barh(
        names,
        [value for _, value in ordered],
        color=[OURS if name.startswith("potrio") else THEIRS for name in names],
    )
    axes.bar_label(drawn, [f" {value:,.0f}" for _, value in ordered])
    axes.set(xscale="log", xlabel=unit, title=title)
    axes.margins(x=0.25)
    axes.grid(axis="x", alpha=0.3)
    save(figure, path)


def ticks(found: Figures, folder: Path) -> None:
    """B1: everybody's ticks a second."""
    rows = [each for each in found["budgets"] if each["id"] in ("B1a", "B1b", "B1c")]
    first = next(each for each in rows if each["id"] == "B1a")
    figures = dict(first["peers"])
    for each in rows:
        figures[each["name"].partition(", beside")[0]] = each["ours"]
    bars("Ticks from the socket to user code", figures, first["unit"] + ", logarithmic", folder / "ticks.svg")


def budgets(found: Figures, folder: Path) -> None:
    """Every budget with a limit: how much of it is used, or by how much it is exceeded."""
    rows = []
    for each in found["budgets"]:
        share = share_of(each["budget"], each["ratio"])
        if share is not None:
            rows.append((f"{each['id']} {each['name']}", share, each["met"]))
    figure, axes = pyplot.subplots(figsize=(7, 0.6 + 0.24 * len(rows)))
    rows.reverse()
    axes.barh(
        range(len(rows)), [share for _, share, _ in rows], color=[OURS if met else MISSED for *_, met in rows]
    )
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows], fontsize=7)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set(
        xscale="log",
        xlabel="times as good as the budget asks for (left of the line: missed)",
        title="Budgets",
    )
    axes.grid(axis="x", alpha=0.3)
    save(figure, folder / "budgets.svg")


def share_of(budget: str, ratio: float) -> float | None:
    """How many times as good as the budget asks for; None where it asks for nothing.

    ``>= 40 x somebody`` and ``<= 1.05`` are about the ratio itself; of ``<= 8 us`` the ratio is that to the budget.
    """
    found = re.match(r"(>=|<=) ([\d.,]+)(?: (\S+))?", budget)
    if found is None or ratio <= 0:
        return None
    sign, limit, unit = found[1], float(found[2].replace(",", "")), found[3]
    share = ratio / (limit if unit in (None, "x") else 1.0)
    return share if sign == ">=" else 1 / share


def growth(found: Figures, folder: Path) -> None:
    """G1, G2, G3: the cost of a tick against subscriptions, subscribers and connections."""
    rows = [each for each in found["budgets"] if each["id"].startswith("G")]
    figure, axes = pyplot.subplots(figsize=(7, 3.2))
    for each in rows:
        costs = next(value for key, value in each["details"].items() if key.startswith("microseconds"))
        sizes = [int(size) for size in costs]
        axes.plot(
            sizes, list(costs.values()), marker="o", label=f"{each['name']} (exponent {each['ours']:.2f})"
        )
    axes.set(xscale="log", yscale="log", xlabel="how many", ylabel="microseconds a tick", title="Growth")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    save(figure, folder / "growth.svg")


def save(figure: Any, path: Path) -> None:
    """Write one picture; without its date, which would make every one another."""
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


PLOTS: dict[str, Callable[[Figures, Path], None]] = {"B1": ticks, "B": budgets, "G": growth}


def main() -> int:
    """Draw what the file has figures for."""
    results = sorted((HERE / "results").glob("*.json"), key=lambda path: path.stat().st_mtime)
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else results[-1]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE.parent / "docs" / "plots"
    folder.mkdir(exist_ok=True)
    found = json.loads(source.read_text())
    for wanted, draw in PLOTS.items():
        if any(each["id"].startswith(wanted) for each in found["budgets"]):
            draw(found, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
