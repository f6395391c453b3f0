"""The policies of slow subscribers as values."""

from __future__ import annotations

import math

import pytest

from potrio.supervision import blocking, bounded, disconnect, latest, latest_of, ring
from potrio.supervision.topic_policy import Policy


def test_D4_policies() -> None:
    assert ring(3) == Policy(bounded(3), "ring", 3)
    assert blocking(3) == Policy(bounded(3), "blocking", 3)
    assert disconnect(3) == Policy(bounded(3), "disconnect", 3)
    assert latest_of(type) == Policy(latest(type), "ring", math.inf)
    assert ring() == ring(256)


@pytest.mark.parametrize("make", [ring, blocking, disconnect])
def test_D4_a_bad_capacity_is_refused(make) -> None:
    with pytest.raises(ValueError, match="capacity"):
        make(0)
