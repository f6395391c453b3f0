"""Cells of (fault, order, link): counted, and those that are missing named."""

from __future__ import annotations

from loadsim.simulation.cells import CELLS
from loadsim.simulation.coverage import covered, never, table


def test_what_was_reached_and_what_was_not():
    cells = {CELLS[0]: 3, CELLS[-1]: 1}
    assert covered(cells) == 2 / len(CELLS)
    assert len(never(cells)) == len(CELLS) - 2
    assert "/".join(CELLS[1]) in never(cells)
    assert f"of {len(CELLS)} cells" in table(cells)


def test_real_runs_reach_cells(outcome_of):
    assert set(outcome_of(5).cells) & set(CELLS)
