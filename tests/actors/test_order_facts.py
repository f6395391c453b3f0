"""What the venue says about orders: deals, refusals, ends told before beginnings; each goes to its own order."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from potrio.actors.evidence import OrderState
from potrio.actors.order_clock import OrderClock
from potrio.errors import OrderRejected
from potrio.limits import SETTLEMENT_GRACE
from potrio.protocol.messages.trading import (
    ClosedDeals,
    DealsClosed,
    OpenedDeals,
    OrderFailed,
    OrderOpened,
    Side,
)

from .conftest import ASSET, EPOCH, OTHER, deal


async def test_a_refusal_goes_to_the_order_in_flight(autojump_clock, desk):
    one, two, other = await desk.place(), await desk.place(), await desk.place(OTHER)
    await desk.written(one)
    await desk.written(other)
    await desk.tell(OrderFailed(error="busy", asset=ASSET))
    with pytest.raises(OrderRejected):
        await one.opened()
    assert (two.state, other.state) == (OrderState.NEW, OrderState.SENT)
    assert desk.submitted()[-1] == "r2"


async def test_a_refusal_is_never_for_an_order_that_has_not_left(autojump_clock, desk):
    one, other = await desk.place(), await desk.place(OTHER)
    await desk.written(other)
    await desk.tell(OrderFailed(error="MaxDemoTrades"))
    assert (one.state, other.state) == (OrderState.NEW, OrderState.REJECTED)


async def test_a_refusal_without_an_asset_goes_by_the_amount(autojump_clock, desk):
    one, other = await desk.place(amount=10), await desk.place(OTHER, amount=7)
    await desk.written(one)
    await desk.written(other)
    await desk.tell(OrderFailed(error="no", amount=Decimal(7)))
    assert (one.state, other.state) == (OrderState.SENT, OrderState.REJECTED)


async def test_a_refusal_that_is_still_under_way_when_the_link_is_new_already(autojump_clock, desk):
    """The refusal comes before `LinkLost`, in order with the data, although the link's state is ahead of it."""
    handle = await desk.place()
    await desk.written(handle)
    desk.link.begin("ws://venue")
    await desk.tell(OrderFailed(error="busy", asset=ASSET))
    assert handle.state is OrderState.REJECTED


async def test_a_deal_without_our_id_is_found_by_its_terms(autojump_clock, desk):
    handle = await desk.place(duration=60)
    await desk.written(handle)
    await desk.lost()
    await trio.sleep(1)
    await desk.up(OpenedDeals([deal("x", opened=1), deal("y", side=Side.PUT, opened=1)]))
    assert (handle.state, handle.deal.id) == (OrderState.OPEN, "x")
    assert list(desk.book.external) == ["y"]


async def test_a_deal_bound_by_likeness_goes_to_the_order_the_venue_names(autojump_clock, desk):
    """I3: A was lost and never arrived; B, just like it, opened. The list came before B's answer."""
    lost = await desk.place()
    await desk.written(lost)
    await desk.lost()
    await desk.up()
    named = await desk.place()
    await desk.written(named)
    await desk.tell(OpenedDeals([deal("b", opened=0)]))
    assert lost.deal is not None
    await desk.tell(OrderOpened(deal("b", opened=0), named.request_id))
    assert (lost.deal, lost.state) == (None, OrderState.UNKNOWN)
    assert named.deal.id == "b"
    assert any("belongs to" in note for note in lost.anomalies)


async def test_external_deals_become_ours_when_the_venue_says_so(autojump_clock, desk):
    handle = await desk.place()
    await desk.written(handle)
    await desk.tell(OpenedDeals([deal("d"), deal("foreign", amount=3)]))
    assert set(desk.book.external) == {"d", "foreign"}
    await desk.tell(OrderOpened(deal("d"), "r1"))
    assert set(desk.book.external) == {"foreign"}
    await desk.tell(DealsClosed(None, [deal("foreign", amount=3, close_price=1.0)]))
    await desk.tell(OpenedDeals([deal("foreign", amount=3)]))
    assert desk.book.external["foreign"].is_closed, "an older copy does not undo what is known"


async def test_an_end_that_was_told_before_the_beginning_counts(autojump_clock, desk):
    """A delayed ``successopenOrder`` comes after the deal's close event, which nobody could place by then."""
    handle = await desk.place()
    await desk.written(handle)
    await desk.tell(DealsClosed(None, [deal("d", close_price=1.2)]))
    assert handle.state is OrderState.SENT
    await desk.tell(OrderOpened(deal("d"), "r1"))
    assert handle.state is OrderState.SETTLED
    assert (await handle.result()).profit == 9
    assert not desk.book.external


async def test_a_list_that_says_nothing_new_costs_no_look_and_another_result_is_noted(
    autojump_clock, desk, monkeypatch
):
    """Every login and every close bring the list of closed deals; in it a deal has more fields than in its event."""
    handle = await desk.place()
    await desk.written(handle)
    await desk.tell(OrderOpened(deal("d"), "r1"))
    await desk.tell(DealsClosed(None, [deal("d", close_price=1.2)]))
    looks, look = [], OrderClock.look
    monkeypatch.setattr(OrderClock, "look", lambda clock, order: looks.append(order) or look(clock, order))
    await desk.tell(ClosedDeals([deal("d", close_price=1.2, close_ms=5)]))
    assert (looks, handle.anomalies) == ([], ())
    await desk.tell(ClosedDeals([deal("d", close_price=1.2, profit=-10)]))
    assert (len(looks), len(handle.anomalies)) == (1, 1)
    assert (await handle.result()).profit == 9


@pytest.mark.parametrize(("opened", "state"), [(60.0, OrderState.UNKNOWN), (200.0, OrderState.VOID)])
async def test_a_deal_of_nobody_that_is_just_like_it_but_for_its_time_leaves_it_in_doubt(
    autojump_clock, desk, opened, state
):
    """The machine may have dozed while the order was on its way, or the venue's clock have gone wrong."""
    handle = await desk.place(duration=900)
    await desk.written(handle)
    desk.account.clock.observe(EPOCH + 7200, EPOCH)
    await desk.lost()
    await desk.up()
    for _ in range(4):
        await trio.sleep(2 * SETTLEMENT_GRACE)
        await desk.tell(OpenedDeals([deal("d9", opened=opened, for_s=900)]))
    assert handle.state is state
    assert list(desk.book.external) == ["d9"]
