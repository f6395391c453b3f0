"""The users of a simulated client do what the plan says, and what they saw is in the history."""

from __future__ import annotations


def test_orders_questions_and_streams(outcome_of):
    outcome = outcome_of(3)
    assert outcome.counted["orders"] == len(outcome.orders) > 3
    assert outcome.counted["answers"] > 0
    assert all("is new: taken on" in " ".join(story) for story in outcome.orders.values())
