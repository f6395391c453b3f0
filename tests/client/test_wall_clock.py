"""The system's wall clock is set, or the machine sleeps, while a client runs: nothing that it concludes is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

import potrio
from loadsim.venue import Fault, FaultKind

from .conftest import OTHER, check_candles, orders_at, read_closed, ticks_at

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
        await trio.sleep(5)
        assert client.statistics().events_sent["changeSymbol"] == asked + 1
        assert client.venue_time().timestamp() == pytest.approx(utc(), abs=2)


# --- a machine that sleeps: no time passes on its clock of deadlines, while it does everywhere else -------------------


@pytest.fixture
def fall_asleep(network, venue):
    """Let this many seconds pass for the venue and for the system's wall clock, and for nothing else."""

    def slept(seconds: float, *, link: bool = True) -> None:
        network.wall_jump_s += seconds
        pass_time(venue, seconds)
        if not link:
            venue.exchange.hurt_at_once([Fault(kind=FaultKind.DROP)])

    return slept


def pass_time(venue, seconds: float) -> None:
    venue.exchange._clock._anchor += seconds
    venue.exchange.changed()  # what is due has become due


def after(network) -> float:
    return utc() + network.wall_jump_s


SLEEPS_S = [4.0, 30.0, 600.0, 1800.0, 3600.0, 90_000.0]


@pytest.mark.parametrize("slept_s", SLEEPS_S)
@pytest.mark.parametrize("link", [True, False], ids=["link survives", "link is lost"])
async def test_ticks_after_a_sleep_have_the_venues_times_and_none_is_lost_unseen(
    autojump_clock, connect, network, venue, fall_asleep, slept_s, link
):
    async with connect() as client, client.ticks(ASSET, OTHER) as ticks:
        for _ in range(10):
            await ticks.receive()
        fall_asleep(slept_s, link=link)
        woke = after(network)
        items = []
        with trio.move_on_after(20):
            async for item in ticks:
                items.append(item)
        for asset in (ASSET, OTHER):
            own = [item for item in items if item.asset == asset]
            got = [item for item in own if isinstance(item, potrio.Tick)]
            stamps = [tick.timestamp for tick in got]
            assert stamps == sorted(stamps)
            gap = next((item for item in own if isinstance(item, potrio.Gap)), None)
            told = ticks_at(venue, woke, after(network) - 1, asset)
            if gap is not None:
                told = [row for row in told if gap.until is not None and row.timestamp >= gap.until]
            assert {row.timestamp for row in told} <= set(stamps)
            assert len(got) > 20
        assert client.venue_time().timestamp() == pytest.approx(after(network), abs=1)
        assert client._shared.router.feeds.unbelievable == 0
        assert client._shared.account.clock.zone_s == 7200


@pytest.mark.parametrize("slept_s", SLEEPS_S)
async def test_a_tick_that_waited_while_it_slept_is_handed_out_and_misleads_nobody(
    autojump_clock, connect, network, venue, fall_asleep, slept_s
):
    async with connect() as client, client.ticks(ASSET) as ticks:
        before = await ticks.receive()
        network.wall_jump_s += slept_s  # it wakes up, and reads what had come before it fell asleep
        for _ in range(2):
            stale = await ticks.receive()
            assert 0 < stale.timestamp - before.timestamp < 5
        pass_time(venue, slept_s)
        last = stale.timestamp
        for number in range(30):
            tick = await ticks.receive()
            assert isinstance(tick, potrio.Tick)
            assert last <= tick.timestamp <= after(network)
            assert number < 10 or tick.timestamp == pytest.approx(after(network), abs=2)
            last = tick.timestamp
        assert client.venue_time().timestamp() == pytest.approx(after(network), abs=1)


@pytest.mark.parametrize("slept_s", [600.0, 3600.0])
async def test_asked_for_again_before_the_first_tick_a_stream_is_bridged(
    autojump_clock, connect, network, venue, fall_asleep, slept_s
):
    async with connect() as client, client.ticks(ASSET) as ticks:
        before = await ticks.receive()
        fall_asleep(slept_s)
        await client.reconnect()
        last, gaps = before.timestamp, 0
        with trio.move_on_after(10):
            async for item in ticks:
                if isinstance(item, potrio.Gap):
                    gaps += 1
                    continue
                assert item.timestamp >= last
                last = item.timestamp
        assert gaps <= 1
        assert last == pytest.approx(after(network), abs=2)


@pytest.mark.parametrize("slept_s", [30.0, 3600.0])
@pytest.mark.parametrize("link", [True, False], ids=["link survives", "link is lost"])
async def test_an_order_of_before_and_one_of_after_end_as_the_venue_says(
    autojump_clock, connect, network, venue, fall_asleep, slept_s, link
):
    async with connect() as client:
        first = await client.place(ASSET, "call", Decimal(5), duration=60)
        await first.opened()
        fall_asleep(slept_s, link=link)
        handles = [first, await client.place(ASSET, "call", Decimal(7), duration=60)]
        handles.append(await client.place(OTHER, "put", Decimal(3), duration=60))
        for handle in handles:
            accepted = True
            try:
                outcome = await handle.result(grace=300)
            except potrio.OutcomeUnknown:
                accepted = False
                assert handle.state is potrio.OrderState.VOID
            else:
                assert isinstance(outcome, potrio.Won | potrio.Lost | potrio.Draw)
                assert handle.opened_at.timestamp() >= EPOCH
            assert orders_at(venue).get(handle.request_id, 0) == accepted
            assert accepted or not link
        assert client.venue_time().timestamp() == pytest.approx(after(network), abs=1)


async def test_an_idle_client_asks_the_venue_how_long_it_slept_once_anybody_looks(
    autojump_clock, connect, network, venue
):
    async with connect() as client:
        await trio.sleep(5)
        network.wall_jump_s += 3600.0
        venue.exchange._clock._anchor += 3600.0
        client.venue_time()
        await trio.sleep(2)
        assert client.venue_time().timestamp() == pytest.approx(after(network), abs=1)
    network.wall_jump_s += 3600.0
    client.venue_time()  # nobody is left who could ask


@pytest.mark.parametrize("slept_s", [30.0, 600.0, 3600.0])
async def test_candles_go_on_after_a_sleep_as_if_nothing_had_been(
    autojump_clock, connect, network, venue, fall_asleep, slept_s
):
    async with connect() as client, client.live_candles(ASSET, 5) as candles:
        items = await read_closed(candles, 3)
        fall_asleep(slept_s, link=False)
        items += await read_closed(candles, int(slept_s / 5) + 5)
        closed = check_candles(venue, items, 5)
        assert closed[-1].time + 5 == pytest.approx(after(network), abs=12)


@pytest.mark.parametrize("set_s", [600.0, -600.0, 5.0])
async def test_an_order_between_a_clock_that_is_set_and_a_sleep_is_found_all_the_same(
    autojump_clock, connect, network, venue, fall_asleep, set_s
):
    async with connect() as client, client.ticks(ASSET) as ticks:
        await ticks.receive()
        network.wall_jump_s += set_s
        client.venue_time()
        await trio.sleep(0.6)
        for event in ("successopenOrder", "updateOpenedDeals", "updateOpenedDeals"):
            venue.exchange.plan.add((Fault(kind=FaultKind.LOSE, event=event),))
        handle = await client.place(ASSET, "call", Decimal(5), duration=7200)
        await trio.sleep(0.7)
        fall_asleep(3600.0, link=False)
        with trio.fail_after(300):
            await handle.opened()
        assert handle.opened_at.timestamp() == pytest.approx(EPOCH, abs=10)
