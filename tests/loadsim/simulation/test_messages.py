"""The message level exchanges three names, and gives them back."""

from __future__ import annotations

from loadsim.simulation.messages import message_level
from loadsim.venue import front
from potrio.actors import wire


def test_the_names_are_given_back():
    before = (wire.dial, front.accept, front.Connection)
    with message_level():
        assert all(
            a is not b for a, b in zip(before, (wire.dial, front.accept, front.Connection), strict=True)
        )
    assert before == (wire.dial, front.accept, front.Connection)


def test_both_levels_do_the_same_work(outcome_of):
    """A seed without faults on a network without chance: the venue hears the same on both."""
    one, other = outcome_of(10, level="message"), outcome_of(10, level="bytes")
    assert one.counted["orders"] == other.counted["orders"] > 0
    assert one.counted["faults"] == 0
    assert abs(one.counted["ticks"] - other.counted["ticks"]) <= 3
