"""What goes wrong between client and venue, and that the client heals: streams, orders, exactly one socket."""

from __future__ import annotations

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import AuthError, ClientFailed, Gap, LinkPhase, OrderDenied, OrderState

from .conftest import ASSET, OTHER, balance_at, crash, hurt, orders_at, until


async def read_until(stream, enough, within: float = 60.0) -> list:
    seen = []
    with trio.fail_after(within):
        while not enough(seen):
            seen.append(await stream.receive())
    return seen


def in_order_and_whole(items, asset: str = ASSET) -> None:
    """Ticks ascend, and where time jumps further than a market ever pauses there is a gap."""
    last = None
    for item in items:
        if isinstance(item, Gap):
            last = None
            continue
        if item.asset != asset:
            continue
        assert last is None or last < item.timestamp <= last + 5, "a silent gap"
        last = item.timestamp


async def test_a_drop_is_noticed_at_once_and_healed(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.phase is not LinkPhase.READY, 5)
        assert client.stale
        await until(lambda: client.phase is LinkPhase.READY, 10)
        await until(lambda: not client.stale, 5)
        assert client.statistics().reconnects == 1
        assert venue.stats()["connections"]["now"] == 1


@pytest.mark.parametrize("restart_s", [0, 20])
async def test_a_stream_goes_on_after_a_drop_without_a_silent_gap(autojump_clock, connect, venue, restart_s):
    async with connect() as client, client.ticks(ASSET, OTHER) as stream:
        seen = await read_until(stream, lambda seen: len(seen) >= 10)
        if restart_s:
            hurt(venue, FaultKind.RESTART, delay_ms=restart_s * 1000)
        else:
            hurt(venue, FaultKind.DROP)
        await until(lambda: client.statistics().reconnects == 1)
        seen += await read_until(stream, lambda seen: len(seen) >= 30 + restart_s * 4)
        in_order_and_whole(seen)
        in_order_and_whole(seen, OTHER)
        assert not any(isinstance(item, Gap) for item in seen), (
            "the venue's recent ticks reach back far enough"
        )


async def test_a_gap_is_told_when_the_venue_does_not_say_what_was_missed(autojump_clock, connect, venue):
    async with connect() as client, client.ticks(ASSET) as stream:
        await read_until(stream, lambda seen: len(seen) >= 3)
        hurt(venue, FaultKind.LOSE, event="updateHistoryNew", count=None)
        hurt(venue, FaultKind.DROP)
        seen = await read_until(stream, lambda seen: any(isinstance(item, Gap) for item in seen))
        gap = next(item for item in seen if isinstance(item, Gap))
        assert (gap.reason, gap.asset) == ("reconnect", ASSET)
        assert gap.since is not None
        assert gap.until is None or gap.until > gap.since


async def test_many_drops_leave_one_socket_and_one_of_each_task(autojump_clock, connect, venue):
    async with connect() as client:
        await trio.sleep(2)
        tasks = trio.lowlevel.current_statistics().tasks_living
        for _ in range(5):
            before = client.statistics().reconnects
            hurt(venue, FaultKind.DROP)
            await until(lambda before=before: client.statistics().reconnects > before)
            await until(lambda: client.phase is LinkPhase.READY)
        await until(lambda: venue.stats()["connections"]["now"] == 1)
        await until(lambda: trio.lowlevel.current_statistics().tasks_living <= tasks)
        pings = venue.stats()["ps_received"]
        await trio.sleep(60)
        assert venue.stats()["ps_received"] - pings == 3


async def test_a_silent_venue_is_found_out_by_the_watchdog(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.HALF_OPEN)
        silent = trio.current_time()
        await until(lambda: client.statistics().reconnects == 1, 60)
        assert 20 < trio.current_time() - silent < 25 + 20 + 1 + 5
        assert any("silent" in fact.text for fact in client.history)
        await until(lambda: client.phase is LinkPhase.READY)


@pytest.mark.parametrize("kind", [FaultKind.GARBAGE, FaultKind.BARE_41])
async def test_nonsense_ends_the_connection_not_the_client(autojump_clock, connect, venue, kind):
    async with connect() as client:
        hurt(venue, kind)
        await until(lambda: client.statistics().reconnects == 1)
        await until(lambda: client.phase is LinkPhase.READY)
        assert len(await client.candles(ASSET, "1m", 3)) == 3


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATE, FaultKind.REORDER])
async def test_a_broken_frame_is_survived(autojump_clock, connect, venue, kind):
    async with connect() as client, client.ticks(ASSET) as stream:
        await stream.receive()
        hurt(venue, kind, event="updateStream")
        seen = await read_until(stream, lambda seen: len(seen) >= 20)
        in_order_and_whole(seen)


async def test_a_slow_venue_is_waited_for(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.SLOW_DRAIN, delay_ms=500)
        assert len(await client.candles(ASSET, "1m", 10)) == 10


# --- orders in an outage ---------------------------------------------------------------------------------------------


async def test_an_order_open_when_the_link_breaks_settles_all_the_same(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=10)
        await handle.opened()
        hurt(venue, FaultKind.RESTART, delay_ms=20_000)
        result = await handle.result()
        await until(lambda: client.balance == 50_000 + result.profit)
        assert client.balance == balance_at(venue)


@pytest.mark.parametrize("event", ["openOrder", "successopenOrder"])
async def test_an_order_cut_off_before_its_answer_is_found_again(autojump_clock, connect, venue, event):
    """P1 and P2: sent once, its fate unknown for a while, and then as the venue says."""
    hurt(venue, FaultKind.DROP, event=event)
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=60)
        await until(lambda: handle.state not in (OrderState.NEW, OrderState.SENT))
        if event == "openOrder":
            await until(lambda: handle.state is OrderState.VOID)
        else:
            await handle.result()
            await until(lambda: client.balance == balance_at(venue))
        assert client.statistics().events_sent["openOrder"] == 1
        assert set(orders_at(venue).values()) <= {1}


async def test_an_order_placed_while_the_link_is_down_expires_unsent(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.RESTART, delay_ms=30_000)
        await until(lambda: client.phase is not LinkPhase.READY)
        handle = await client.place(ASSET, "call", 10, duration=60, valid_for=3)
        with pytest.raises(OrderDenied, match="not connected"):
            await handle.opened()
        await client.wait_ready()
        await trio.sleep(10)
        assert orders_at(venue) == {}


async def test_an_order_placed_while_the_link_is_down_is_sent_if_it_comes_back_in_time(
    autojump_clock, connect, venue
):
    async with connect() as client:
        hurt(venue, FaultKind.RESTART, delay_ms=5_000)
        await until(lambda: client.phase is not LinkPhase.READY)
        handle = await client.place(ASSET, "call", 10, duration=60, valid_for=30)
        await handle.opened()
        assert orders_at(venue) == {handle.request_id: 1}


# --- crashes ---------------------------------------------------------------------------------------------------------


def incarnations(client) -> dict[str, int]:
    found: dict[str, int] = {}

    def walk(node) -> None:
        found[node.path.rsplit("/", 1)[-1]] = node.incarnation
        for child in node.children:
            walk(child)

    walk(client.tree())
    return found


@pytest.mark.parametrize(
    ("victim", "region"),
    [
        ("link/connection", {"connection", "pinger", "router"}),
        ("link/router", {"router"}),
        ("account/order_book", {"order_book", "history"}),
        ("account/history", {"history"}),
        ("monitor", {"monitor"}),
    ],
)
async def test_a_crash_restarts_exactly_its_region_and_the_client_goes_on(
    autojump_clock, connect, venue, victim, region
):
    async with connect() as client, client.ticks(ASSET) as stream:
        await stream.receive()
        handle = await client.place(ASSET, "call", 10, duration=20)
        await handle.opened()
        before = incarnations(client)
        crash(client, victim)
        await until(lambda: {n for n, i in incarnations(client).items() if i != before.get(n)} == region)
        await client.wait_ready()
        assert len(await client.candles(ASSET, "1m", 3)) == 3
        in_order_and_whole(await read_until(stream, lambda seen: len(seen) >= 10))
        result = await handle.result()
        await until(lambda: client.balance == 50_000 + result.profit)
        assert orders_at(venue) == {handle.request_id: 1}


async def test_a_session_that_expires_ends_the_client_with_its_cause(autojump_clock, connect, venue):
    with pytest.raises(ClientFailed) as caught:
        async with connect() as client:
            hurt(venue, FaultKind.REJECT_AUTH, count=None)
            hurt(venue, FaultKind.DROP)
            await client.wait_change()
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, AuthError)
