"""Orders against a venue: accepted, refused, denied, settled, and never twice, on both transports."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio

from loadsim.venue import FaultKind
from potrio import (
    Draw,
    Lost,
    OrderDenied,
    OrderNotFound,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    Side,
    Won,
)
from potrio.limits import ORDER_ACK_TIMEOUT
from potrio.protocol.messages.trading import ClosedDeals

from .conftest import ASSET, LIVE_SSID, OTHER, balance_at, hurt, orders_at, until


async def test_an_order_opens_settles_and_moves_the_balance(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place(ASSET, Side.CALL, Decimal("10.50"), duration=5)
        deal = await handle.opened()
        assert (deal.asset, deal.side, deal.amount) == (ASSET, Side.CALL, Decimal("10.5"))
        assert handle.state is OrderState.OPEN
        await until(lambda: client.balance == Decimal("49989.50"))
        result = await handle.result()
        assert handle.state is OrderState.SETTLED
        match result:
            case Won():
                assert result.profit == (Decimal("10.50") * deal.percent_profit / 100).quantize(
                    Decimal("0.01")
                )
            case Lost():
                assert result.profit == Decimal("-10.50")
            case Draw():
                assert result.profit == 0
        await until(lambda: client.balance == 50_000 + result.profit)
        assert client.balance == balance_at(venue)
        assert orders_at(venue) == {handle.request_id: 1}


async def test_parallel_orders_each_get_their_own_answer(autojump_clock, connect, venue):
    async with connect() as client:
        assets = [asset.symbol for asset in client.assets.values() if asset.is_active and asset.is_otc][:8]
        handles = {
            asset: await client.place(asset, "put", 5 + n, duration=5) for n, asset in enumerate(assets)
        }
        for n, (asset, handle) in enumerate(handles.items()):
            deal = await handle.opened()
            assert (deal.asset, deal.amount) == (asset, 5 + n)
        profit = sum([(await handle.result()).profit for handle in handles.values()], Decimal(0))
        await until(lambda: client.balance == 50_000 + profit)
        assert set(orders_at(venue).values()) == {1}


async def test_two_orders_on_one_asset_wait_for_each_other(autojump_clock, connect, venue):
    async with connect() as client:
        one = await client.place(ASSET, "call", 10, duration=5)
        two = await client.place(ASSET, "call", 10, duration=5)
        assert (await one.opened()).id != (await two.opened()).id
        assert orders_at(venue) == {one.request_id: 1, two.request_id: 1}


async def test_a_refusal_is_typed_and_goes_to_the_right_order(autojump_clock, connect, venue):
    hurt(venue, FaultKind.REFUSE, error="MARKET_BUSY")
    async with connect() as client:
        one = await client.place(ASSET, "call", 10, duration=5)
        two = await client.place(ASSET, "call", 10, duration=5)
        other = await client.place(OTHER, "call", 10, duration=5)
        with pytest.raises(OrderRejected) as caught:
            await one.opened()
        assert caught.value.code == "MARKET_BUSY"
        assert one.state is OrderState.REJECTED
        await two.opened()
        await other.opened()


async def test_the_venues_own_limit_reaches_the_caller(autojump_clock, connect, venue):
    async with connect() as first, connect() as second:
        assets = [asset.symbol for asset in first.assets.values() if asset.is_active and asset.is_otc]
        for asset in assets[:10]:
            await (await first.place(asset, "call", 1, duration=60)).opened()
        with pytest.raises(OrderDenied, match="no more at once"):
            await first.place(assets[10], "call", 1, duration=60)
        handle = await second.place(assets[10], "call", 1, duration=60)
        with pytest.raises(OrderRejected, match="MaxDemoTrades"):
            await handle.result()


@pytest.mark.parametrize(
    ("asset", "side", "amount", "duration", "said"),
    [
        ("NOSUCH", "call", 1, 60, "not among"),
        (ASSET, "up", 1, 60, "side"),
        (ASSET, "call", 0, 60, "positive"),
        (ASSET, "call", -5, 60, "positive"),
        (ASSET, "call", "NaN", 60, "positive"),
        (ASSET, "call", "Infinity", 60, "positive"),
        (ASSET, "call", "ten", 60, "number"),
        (ASSET, "call", 1.5, 60, "float"),
        (ASSET, "call", True, 60, "float"),
        (ASSET, "call", "1.005", 60, "cents"),
        (ASSET, "call", 1, 1, "at least"),
        (ASSET, "call", 1, 10**6, "at most"),
        (ASSET, "call", 1, 60.0, "whole seconds"),
    ],
)
async def test_an_order_that_cannot_be_right_is_denied_before_it_is_sent(
    autojump_clock, connect, venue, asset, side, amount, duration, said
):
    async with connect() as client:
        with pytest.raises(OrderDenied, match=said):
            await client.place(asset, side, amount, duration=duration)
        assert orders_at(venue) == {}


async def test_a_closed_market_is_denied(autojump_clock, connect):
    async with connect() as client:
        closed = next(asset.symbol for asset in client.assets.values() if not asset.is_active)
        with pytest.raises(OrderDenied, match="closed"):
            await client.place(closed, "call", 1, duration=60)


async def test_a_live_account_must_be_armed(autojump_clock, connect, venue):
    async with connect(LIVE_SSID.replace("a0test0session0of0potrio0x", PHP)) as client:
        assert not client.is_demo
        with pytest.raises(OrderDenied, match="arm_live"):
            await client.place(ASSET, "call", 1, duration=60)
        assert orders_at(venue) == {}
    async with connect(LIVE_SSID.replace("a0test0session0of0potrio0x", PHP), arm_live=True) as client:
        await (await client.place(ASSET, "call", 1, duration=60)).opened()


PHP = (
    'a:4:{s:10:\\"session_id\\";s:32:\\"0123456789abcdef0123456789abcdef\\";s:10:\\"ip_address\\";s:9:\\"127.0.0.1\\";'
    's:10:\\"user_agent\\";s:11:\\"Mozilla/5.0\\";s:13:\\"last_activity\\";i:1732926685;}31666d2d31666d2d31666d2d31666d2d'
)


async def test_the_same_id_gives_the_same_handle(autojump_clock, connect, venue):
    async with connect() as client:
        one = await client.place(ASSET, "call", 10, duration=60, request_id="mine-1")
        again = await client.place(ASSET, "call", 10, duration=60, request_id="mine-1")
        assert again is one
        with pytest.raises(ValueError, match="other terms"):
            await client.place(ASSET, "put", 10, duration=60, request_id="mine-1")
        await one.opened()
        closed = {
            name: msgspec.structs.replace(asset, is_active=False) for name, asset in client.assets.items()
        }
        client._shared.account.set_assets(closed)
        assert await client.place(ASSET, "call", 10, duration=60, request_id="mine-1") is one, (
            "nothing is sent"
        )
        await client.pause()
        assert await client.place(ASSET, "call", 10, duration=60, request_id="mine-1") is one
        with pytest.raises(OrderDenied, match="paused"):
            await client.place(ASSET, "call", 10, duration=60, request_id="mine-2")
        await client.resume()
        assert orders_at(venue) == {"mine-1": 1}


async def test_trade_is_place_and_result(autojump_clock, connect):
    async with connect() as client:
        result = await client.trade(ASSET, "call", 10, duration=5)
        assert isinstance(result, Won | Lost | Draw)


async def test_cancelling_trade_names_the_order_that_lives_on(autojump_clock, connect, venue):
    async with connect() as client:
        with trio.move_on_after(1):
            await client.trade(ASSET, "call", 10, duration=60, request_id="mine-2")
        await until(lambda: client.orders["mine-2"].state is OrderState.OPEN)
        assert orders_at(venue) == {"mine-2": 1}


# --- answers that do not come ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["successopenOrder", "successcloseOrder"])
async def test_a_lost_answer_is_made_up_for_by_the_venues_lists(autojump_clock, connect, venue, lost):
    hurt(venue, FaultKind.LOSE, event=lost)
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=30)
        result = await handle.result()
        await until(lambda: client.balance == 50_000 + result.profit)
        assert orders_at(venue) == {handle.request_id: 1}


async def test_an_order_the_venue_never_heard_is_unknown_then_void_and_never_sent_again(
    autojump_clock, connect, venue
):
    hurt(venue, FaultKind.LOSE_REQUEST, event="openOrder")
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=120)
        await until(lambda: handle.state is OrderState.SENT)
        placed = trio.current_time()
        await until(lambda: handle.state is OrderState.UNKNOWN)
        assert trio.current_time() - placed < ORDER_ACK_TIMEOUT + 5
        with pytest.raises(OutcomeUnknown):
            await handle.result()
        assert handle.state is OrderState.VOID
        assert client.statistics().events_sent["openOrder"] == 1
        assert client.balance == 50_000


@pytest.mark.parametrize(
    "event", ["successopenOrder", "successcloseOrder", "updateClosedDeals", "updateOpenedDeals"]
)
async def test_an_answer_told_twice_counts_once(autojump_clock, connect, venue, event):
    hurt(venue, FaultKind.DUPLICATE, event=event, count=None)
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=5)
        result = await handle.result()
        await until(lambda: client.balance == 50_000 + result.profit)
        assert handle.anomalies == ()


async def test_closing_the_client_ends_the_waiting_and_says_that_the_fate_is_open(autojump_clock, connect):
    async with trio.open_nursery() as nursery:
        caught: list[Exception] = []
        async with connect() as client:
            handle = await client.place(ASSET, "call", 10, duration=60)
            await handle.opened()

            async def wait() -> None:
                with pytest.raises(OutcomeUnknown) as info:
                    await handle.result()
                caught.append(info.value)

            nursery.start_soon(wait)
            await trio.sleep(1)
    assert handle.request_id in str(caught[0])


# --- looking things up, and what is told of changes ------------------------------------------------------------------


async def test_an_order_is_found_by_either_id_and_an_unknown_one_fails_at_once(autojump_clock, connect):
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=5)
        deal = await handle.opened()
        assert client.order(handle.request_id) is client.order(deal.id) is handle
        assert (handle.closes_at - handle.opened_at).total_seconds() == 5
        assert abs((handle.opened_at - client.venue_time()).total_seconds()) < 2
        assert await client.result(deal.id) == await client.result(handle.request_id) == await handle.result()
        before = trio.current_time()
        with pytest.raises(OrderNotFound, match="nobody"):
            await client.result("nobody")
        with pytest.raises(OrderNotFound):
            client.order("nobody")
        assert trio.current_time() == before


async def test_the_result_of_a_deal_that_was_placed_elsewhere(autojump_clock, connect):
    async with connect() as client, connect() as elsewhere:
        handle = await elsewhere.place(ASSET, "call", 10, duration=5)
        deal = await handle.opened()
        await until(lambda: deal.id in client.external_deals)
        result = await client.result(deal.id)
        assert result.profit == (await handle.result()).profit
        assert (await client.result(deal.id)).profit == result.profit


async def test_a_deal_placed_elsewhere_that_was_told_as_closed_has_a_result_whatever_its_fields_lack(
    autojump_clock, connect
):
    async with connect() as client, connect() as elsewhere:
        deal = await (await elsewhere.place(ASSET, "call", 10, duration=60)).opened()
        await until(lambda: deal.id in client.external_deals)
        client._shared.book.keep_external(msgspec.structs.replace(deal, profit=Decimal(-10)), closed=True)
        with trio.fail_after(1):
            assert isinstance(await client.result(deal.id), Lost)


@pytest.mark.parametrize("valid_for", [-1, float("nan"), "2s", None])
async def test_a_time_to_live_that_is_none_is_denied(autojump_clock, connect, valid_for):
    async with connect() as client:
        with pytest.raises(OrderDenied, match="valid_for"):
            await client.place(ASSET, "call", 1, duration=60, valid_for=valid_for)


async def test_exposure_and_changes_follow_an_order(autojump_clock, connect):
    async with connect() as client:
        assert client.exposure == 0
        handle = await client.place(ASSET, "call", "10.50", duration=5)
        await handle.opened()
        assert client.exposure == Decimal("10.50")
        changes = [change async for change in handle.changes()]
        assert [change.state.value for change in changes] == ["new", "sent", "open", "settling", "settled"]
        assert [change.cause for change in changes[:2]] == ["taken on", "written on connection 1"]
        assert changes[2].cause == f"deal {handle.deal_id}: answer"
        assert all(change.at.utcoffset().total_seconds() == 0 for change in changes)
        assert sorted(change.at for change in changes) == [change.at for change in changes]
        assert (client.exposure, handle.outcome) == (0, handle.deal.outcome)


async def test_a_result_that_never_comes_ends_in_unknown_and_the_handle_lives_on(
    autojump_clock, connect, venue
):
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=5)
        await handle.opened()
        closes = handle.closes_at
        for event in ("successcloseOrder", "updateClosedDeals"):
            hurt(venue, FaultKind.LOSE, event=event, count=None)
        with pytest.raises(OutcomeUnknown, match="overdue"):
            await handle.result()
        assert 60 <= (client.venue_time() - closes).total_seconds() < 62
        assert handle.state is OrderState.SETTLING
        assert client.exposure == 10
        venue.exchange.plan.clear()
        await handle.result(grace=1000.0)


async def test_a_contradiction_is_in_the_anomalies_and_in_the_story(autojump_clock, connect):
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=5)
        await handle.result()
        deal = handle.deal
        corrected = msgspec.structs.replace(deal, profit=deal.profit + 1)
        client.supervisor.ref("account/order_book").tell(ClosedDeals([corrected]))
        await until(lambda: client.anomalies)
        (anomaly,) = client.anomalies
        assert (anomaly.request_id, client.anomalies_total) == (handle.request_id, 1)
        assert handle.deal == deal
        await until(lambda: [fact.text for fact in client.history if fact.kind == "anomaly"] != [])
