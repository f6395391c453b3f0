"""The hash stands for everything, the words for the newest."""

from __future__ import annotations

from loadsim.simulation.clock import SimClock
from loadsim.simulation.history import EVENTS_KEPT, History


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
