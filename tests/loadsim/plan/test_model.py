"""The plan's vocabulary: every action and fault a plan may name has its parameters and its player."""

from __future__ import annotations

from loadsim.plan.model import ACTIONS, Limits
from loadsim.plan.parse import PARAMETERS


def test_every_action_has_its_parameters() -> None:
    assert set(ACTIONS) == set(PARAMETERS)


def test_limits_are_those_of_the_specification() -> None:
    limits = Limits()

    assert (limits.lag_p99_ms, limits.cpu_pct, limits.omitted, limits.coverage_pct) == (20.0, 85.0, 0, 100.0)
