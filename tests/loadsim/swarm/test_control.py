"""The venue's pages from outside: counters, faults that come and go one by one, a venue that is not there."""

from __future__ import annotations

import pytest

from loadsim.swarm.control import VenueControl
from potrio.errors import PotrioError


async def test_counters_and_faults(real_venue) -> None:
    control = VenueControl(real_venue.url)
    assert (await control.stats())["ticks_sent"] == 0
    refuse, delay = (
        {"kind": "refuse_connection", "count": None},
        {"kind": "delay", "delay_ms": 5, "count": None},
    )
    await control.add_faults([refuse])
    await control.add_faults([delay])
    kinds = [rule["kind"] for rule in real_venue.exchange.plan.rules()]
    assert kinds == ["refuse_connection", "delay"]
    await control.remove_faults([refuse])
    assert [rule["kind"] for rule in real_venue.exchange.plan.rules()] == ["delay"]
    await control.remove_faults([delay])
    assert real_venue.exchange.plan.rules() == []


async def test_a_fault_that_is_none_is_refused(real_venue) -> None:
    with pytest.raises(PotrioError, match="/faults"):
        await VenueControl(real_venue.url).add_faults([{"kind": "earthquake"}])


async def test_nobody_there() -> None:
    with pytest.raises(PotrioError, match="does not answer GET /stats"):
        await VenueControl("ws://127.0.0.1:1/").stats()
