"""The system's wall clock is set while a client runs: nothing that it concludes depends on that."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

import potrio
from loadsim.venue import Fault, FaultKind

ASSET = "EURUSD_otc"
EPOCH = 1_770_000_000.0


def utc() -> float:
    return EPOCH + trio.current_time()


@pytest.mark.parametrize("jump_s", [-7200.0, -3600.0, -1800.0, 1800.0, 3600.0, 86_400.0])
async def test_ticks_and_the_venues_time_stay_what_they_are(autojump_clock, connect, network, jump_s):
    async with connect() as client, client.ticks(ASSET) as ticks:
        await ticks.receive()
        network.wall_jump_s = jump_s
        for number in range(60):
            tick = await ticks.receive()
            assert isinstance(tick, potrio.Tick)
            assert tick.timestamp == pytest.approx(utc(), abs=2)
            if number == 20:
                await client.reconnect()
                while not isinstance(await ticks.receive(), potrio.Tick):
                    pass
        assert client.venue_time().timestamp() == pytest.approx(utc(), abs=2)


@pytest.mark.parametrize("jump_s", [-3600.0, 7200.0])
@pytest.mark.parametrize("streams", [True, False])
async def test_an_order_whose_answer_was_lost_is_found_all_the_same(
    autojump_clock, connect, network, venue, jump_s, streams
):
    async with connect() as client:
        if streams:
            reader = await client.ticks(ASSET)
        network.wall_jump_s = 60.0
        for event in ("successopenOrder", "updateOpenedDeals", "updateOpenedDeals"):
            venue.exchange.plan.add((Fault(kind=FaultKind.LOSE, event=event),))
        handle = await client.place(ASSET, "call", Decimal(5), duration=30)
        await trio.sleep(2)
        network.wall_jump_s += jump_s
        await client.reconnect()
        outcome = await handle.result(grace=200)
        assert isinstance(outcome, potrio.Won | potrio.Lost | potrio.Draw)
        assert handle.deal is not None
        assert handle.state.value == "settled"
        assert abs(handle.opened_at.timestamp() - utc()) < 300
        if streams:
            reader.close()


async def test_where_no_stream_is_read_one_asset_is_asked_for_to_tell_what_happened(
    autojump_clock, connect, network
):
    async with connect() as client:
        await trio.sleep(5)
        asked = client.statistics().events_sent.get("changeSymbol", 0)
        network.wall_jump_s = 3600.0
        client.venue_time()  # it is noticed as the clock is looked at
        await client.refresh_balance()
        await trio.sleep(5)
        assert client.statistics().events_sent["changeSymbol"] == asked + 1
        assert client.venue_time().timestamp() == pytest.approx(utc(), abs=2)
