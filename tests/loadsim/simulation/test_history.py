"""The hash stands for everything, the words for the newest."""

from __future__ import annotations

from loadsim.simulation.clock import SimClock
from loadsim.simulation.history import EVENTS_KEPT, HASHED_AT_ONCE, History


def test_each_event_changes_the_hash_and_orders_have_their_story():
    history = History(SimClock())
    hashes = {history.hash()}
    history.say("placed", "r1")
    hashes.add(history.hash())
    history.wire(">", 1, ["2"])
    hashes.add(history.hash())
    history.item("EURUSD_otc", 1.0)
    hashes.add(history.hash())
    assert len(hashes) == 4
    assert "placed" in history.orders["r1"][0]
    for _ in range(2 * EVENTS_KEPT):
        history.say("more")
    assert len(history.events) == EVENTS_KEPT


def test_the_hash_does_not_depend_on_when_it_is_asked_for():
    asked, unasked = History(SimClock()), History(SimClock())
    for number in range(2 * HASHED_AT_ONCE + 1):
        for history in (asked, unasked):
            history.item("EURUSD_otc", number)
        asked.hash()
    assert asked.hash() == unasked.hash()


def test_what_is_sent_may_be_changed_afterwards():
    history, same = History(SimClock()), History(SimClock())
    messages = ["2"]
    history.wire(">", 1, messages)
    messages.append("3")
    same.wire(">", 1, ["2"])
    assert history.hash() == same.hash()
