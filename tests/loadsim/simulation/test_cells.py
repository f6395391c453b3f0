"""The cells are those that can be, each once."""

from __future__ import annotations

from loadsim.simulation.cells import CELLS, KINDS, PHASES, POSSIBLE, STATES
from potrio.actors.evidence import OrderState
from potrio.actors.phases import LinkPhase


def test_each_cell_is_there_once():
    assert len(set(CELLS)) == len(CELLS) == len(KINDS) * len(POSSIBLE)


def test_states_and_phases_are_the_products():
    assert set(STATES) - {"none"} == {state.value for state in OrderState if not state.ended}
    assert set(PHASES) < {phase.value for phase in LinkPhase}
