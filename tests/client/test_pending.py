"""Pending orders against a venue: at a time, at a price, taken back, and never twice, whatever gets lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import OrderDenied, OrderNotFound, OrderRejected, OrderState, PendingState, Side

from .conftest import ASSET, OTHER, crash, hurt, until


def soon(client, seconds: int) -> datetime:
    return (client.venue_time() + timedelta(seconds=seconds)).replace(microsecond=0)


def waiting_at(venue) -> list:
    return list(venue.exchange.pending)


async def test_an_order_at_a_time_waits_opens_and_settles(autojump_clock, connect, venue):
    async with connect() as client:
        opens = soon(client, 20)
        handle = await client.place_pending(ASSET, Side.CALL, Decimal("7.50"), at_time=opens, duration=5)
        ticket = await handle.working()
        assert handle.state is PendingState.WORKING
        assert [order.ticket for order in waiting_at(venue)] == [ticket]
        assert (list(client.pending), handle.opens_at) == ([handle.request_id], opens)
        assert client.exposure == 0, "the stake is taken when it opens"
        order = await handle.triggered()
        assert handle.state is PendingState.TRIGGERED
        assert (order.request_id, order.state, order.opened_at) == (ticket, OrderState.OPEN, opens)
        assert client.order(ticket) is client.order(order.deal_id) is order
        assert client.exposure == Decimal("7.50")
        result = await handle.result()
        await until(lambda: client.balance == 50_000 + result.profit)
        assert (client.pending, client.external_deals) == ({}, {})
        assert [change.state.value for change in handle.log] == ["new", "sent", "working", "triggered"]
        assert client.statistics().events_sent["openPendingOrder"] == 1


async def test_an_order_at_a_price_opens_when_it_is_reached(autojump_clock, connect, venue):
    async with connect() as client, client.ticks(ASSET) as ticks:
        price = (await ticks.receive()).price
        handle = await client.place_pending(ASSET, "put", 5, at_price=round(price * 1.0001, 5), duration=5)
        await handle.working()
        with trio.fail_after(900):
            order = await handle.triggered()
        assert (order.deal.side, order.deal.amount) == (Side.PUT, 5)
        await order.result()


async def test_cancelling_one(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 300), duration=5)
        await handle.working()
        outcome = await handle.cancel()
        assert (outcome.cancelled, outcome.state, outcome.ticket) == (
            True,
            PendingState.CANCELLED,
            handle.ticket,
        )
        assert waiting_at(venue) == []
        assert await handle.cancel() == outcome, "an ended order is not asked for again"
        with pytest.raises(OrderDenied, match="cancelled"):
            await handle.triggered()


async def test_cancelling_several_reports_each(autojump_clock, connect, venue):
    async with connect() as client, connect() as elsewhere:
        one, two, three = [
            await client.place_pending(ASSET, "call", 5 + n, at_time=soon(client, 300), duration=5)
            for n in range(3)
        ]
        tickets = [await handle.working() for handle in (one, two, three)]
        await until(lambda: set(elsewhere.pending) == set(tickets))
        hurt(venue, FaultKind.LOSE, event="successupdatePending", count=None)
        await elsewhere.pending_order(tickets[1]).cancel()
        venue.exchange.plan.clear()
        report = await client.cancel_pending([one, two.request_id, tickets[2]])
        assert [outcome.cancelled for outcome in report.values()] == [True, False, True]
        assert (report[two.request_id].reason, two.state) == (
            "the venue does not have it",
            PendingState.WORKING,
        )
        assert client.statistics().events_sent["cancelPendingOrders"] == 1
        with pytest.raises(OrderNotFound):
            await client.cancel_pending([one, "nobody"])


async def test_cancelling_before_it_is_sent_means_that_it_never_is(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.stale)
        handle = await client.place_pending(
            ASSET, "call", 5, at_time=soon(client, 300), duration=5, valid_for=60
        )
        outcome = await handle.cancel()
        assert (outcome.cancelled, handle.state) == (True, PendingState.DENIED)
        await client.wait_ready()
        await trio.sleep(5)
        assert waiting_at(venue) == []


async def test_a_refusal_is_typed(autojump_clock, connect, venue):
    hurt(venue, FaultKind.REFUSE, event="openPendingOrder", error="OPEN_TIME")
    async with connect() as client:
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 300), duration=5)
        with pytest.raises(OrderRejected, match="OPEN_TIME"):
            await handle.working()
        assert handle.state is PendingState.REJECTED


async def test_an_order_that_fails_when_it_is_due_is_rejected(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place_pending(
            ASSET, "call", 5, at_time=soon(client, 20), duration=5, min_payout=100
        )
        await handle.working()
        with pytest.raises(OrderRejected, match="PAYOUT_TOO_LOW"):
            await handle.triggered()


@pytest.mark.parametrize("lost", ["successopenPendingOrder", "successupdatePending"])
async def test_a_lost_answer_is_made_up_for_by_the_list(autojump_clock, connect, venue, lost):
    async with connect() as client:
        hurt(venue, FaultKind.LOSE, event=lost)
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 60), duration=5)
        await handle.working()
        await handle.result()
        assert client.statistics().events_sent["openPendingOrder"] == 1


async def test_an_order_the_venue_never_heard_is_unknown_then_void_and_never_sent_again(
    autojump_clock, connect, venue
):
    hurt(venue, FaultKind.LOSE_REQUEST, event="openPendingOrder")
    async with connect() as client:
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 600), duration=5)
        await until(lambda: handle.state is PendingState.UNKNOWN)
        await until(lambda: handle.state is PendingState.UNKNOWN)
        await until(lambda: handle.state is PendingState.VOID, within=120)
        assert client.statistics().events_sent["openPendingOrder"] == 1
        assert waiting_at(venue) == []


async def test_a_lost_opening_is_found_after_the_time_has_passed(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 30), duration=60)
        await handle.working()
        hurt(venue, FaultKind.LOSE, event="successopenOrder")
        hurt(venue, FaultKind.LOSE, event="successupdatePending")
        order = await handle.triggered()
        assert order.state is OrderState.OPEN
        await order.result()


async def test_an_outage_over_the_opening_and_the_close(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 30), duration=5)
        await handle.working()
        await trio.sleep(25)
        with trio.move_on_after(20):
            while True:
                hurt(venue, FaultKind.DROP)
                await trio.sleep(0.2)
        result = await handle.result()
        await until(lambda: client.balance == 50_000 + result.profit)
        assert client.external_deals == {}


async def test_a_lost_cancellation_is_asked_for_again(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 600), duration=5)
        await handle.working()
        hurt(venue, FaultKind.LOSE_REQUEST, event="cancelPendingOrder")
        assert (await handle.cancel()).cancelled
        assert client.statistics().events_sent["cancelPendingOrder"] == 2


async def test_a_lost_confirmation_of_a_cancellation(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 600), duration=5)
        await handle.working()
        hurt(venue, FaultKind.LOSE, event="successcancelPendingOrder")
        assert (await handle.cancel()).cancelled
        assert client.statistics().events_sent["cancelPendingOrder"] == 1, "the list says it"


@pytest.mark.parametrize("event", ["successopenPendingOrder", "successupdatePending", "successopenOrder"])
async def test_news_told_twice_count_once(autojump_clock, connect, venue, event):
    hurt(venue, FaultKind.DUPLICATE, event=event, count=None)
    async with connect() as client:
        handles = [
            await client.place_pending(ASSET, "call", 5, at_time=soon(client, 30), duration=5)
            for _ in range(2)
        ]
        orders = [await handle.triggered() for handle in handles]
        assert len({order.deal_id for order in orders}) == 2
        for order in orders:
            await order.result()
        assert client.anomalies == []


async def test_a_crash_of_the_order_book_loses_nothing(autojump_clock, connect, venue):
    async with connect() as client:
        handle = await client.place_pending(ASSET, "call", 5, at_time=soon(client, 30), duration=5)
        crash(client, "account/order_book")
        await trio.sleep(0.5)
        other = await client.place_pending(OTHER, "call", 5, at_time=soon(client, 30), duration=5)
        for one in (handle, other):
            await one.result()
        assert client.statistics().events_sent["openPendingOrder"] == 2


async def test_the_same_id_gives_the_same_handle(autojump_clock, connect):
    async with connect() as client:
        opens = soon(client, 300)
        one = await client.place_pending(ASSET, "call", 5, at_time=opens, duration=5, request_id="mine")
        assert (
            await client.place_pending(ASSET, "call", 5, at_time=opens, duration=5, request_id="mine") is one
        )
        with pytest.raises(ValueError, match="other terms"):
            await client.place_pending(ASSET, "put", 5, at_time=opens, duration=5, request_id="mine")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either"),
        ({"at_price": 1.1, "at_time": datetime(2030, 1, 1, tzinfo=UTC)}, "either"),
        ({"at_time": datetime(2030, 1, 1)}, "aware"),  # that is the point
        ({"at_time": datetime(2020, 1, 1, tzinfo=UTC)}, "past"),
        ({"at_time": datetime(2030, 1, 1, microsecond=5, tzinfo=UTC)}, "whole seconds"),
        ({"at_price": float("nan")}, "finite"),
        ({"at_price": -1}, "positive"),
        ({"at_price": 1.1, "min_payout": 101}, "percent"),
        ({"at_price": 1.1, "amount": 1.5}, "float"),
        ({"at_price": 1.1, "valid_for": -1}, "valid_for"),
        ({"at_price": 1.1, "valid_for": "2s"}, "valid_for"),
    ],
)
async def test_what_cannot_be_right_is_denied_before_it_is_sent(
    autojump_clock, connect, venue, options, said
):
    async with connect() as client:
        with pytest.raises(OrderDenied, match=said):
            await client.place_pending(ASSET, "call", **{"amount": 5, "duration": 5, **options})
        assert "openPendingOrder" not in client.statistics().events_sent
