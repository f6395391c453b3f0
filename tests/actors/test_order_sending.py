"""Orders on their way out: handed over once, one unanswered per asset, in their turn or not at all."""

from __future__ import annotations

import pytest
import trio

from potrio.actors.evidence import OrderState
from potrio.actors.link import (
    LinkPhase,
    NotSent,
)
from potrio.errors import OrderDenied, OutcomeUnknown
from potrio.limits import ORDER_ACK_TIMEOUT
from potrio.protocol.messages.trading import (
    DealsClosed,
    OpenedDeals,
    OrderOpened,
    Side,
)

from .conftest import OTHER, deal


async def test_an_order_is_handed_over_once_and_lives_by_what_is_told(autojump_clock, desk):
    handle = await desk.place()
    assert (handle.state, desk.submitted()) == (OrderState.NEW, ["r1"])
    await desk.written(handle)
    assert handle.state is OrderState.SENT
    await desk.tell(OrderOpened(deal(), "r1"))
    assert (await handle.opened()).id == "d1"
    await desk.tell(DealsClosed(None, [deal(profit=-10, close_price=1.0)]))
    assert handle.state is OrderState.SETTLED
    assert (await handle.result()).profit == -10
    assert desk.submitted() == ["r1"]


async def test_one_unanswered_order_per_asset(autojump_clock, desk):
    one, two, other = await desk.place(), await desk.place(), await desk.place(OTHER)
    assert desk.submitted() == ["r1", "r3"]
    await desk.written(one)
    await desk.written(other)
    assert desk.submitted() == ["r1", "r3"]
    await desk.tell(OrderOpened(deal(), "r1"))
    assert desk.submitted() == ["r1", "r3", "r2"]
    assert two.state is OrderState.NEW


async def test_not_sent_waits_for_the_link_and_keeps_its_place(autojump_clock, desk):
    one, two = await desk.place(valid_for=60), await desk.place(valid_for=60)
    desk.link.enter(LinkPhase.RECONNECTING, 0)
    await desk.tell(NotSent("r1", "not connected"))
    assert (one.state, desk.submitted()) == (OrderState.NEW, ["r1"])
    await desk.lost()
    await desk.up()
    assert desk.submitted() == ["r1", "r1"]
    await desk.written(one)
    await desk.tell(OrderOpened(deal(), "r1"))
    assert desk.submitted() == ["r1", "r1", "r2"]
    assert two.state is OrderState.NEW


async def test_an_order_that_expires_while_it_waits_is_denied_and_never_handed_over(autojump_clock, desk):
    await desk.lost()
    handle = await desk.place(valid_for=5)
    await trio.sleep(4.9)
    assert handle.state is OrderState.NEW
    with pytest.raises(OrderDenied, match="not connected"):
        await handle.opened()
    await desk.up()
    assert desk.submitted() == []


async def test_what_the_connection_finds_final_is_denied_and_the_next_one_goes(autojump_clock, desk):
    one, _two = await desk.place(), await desk.place()
    await desk.tell(NotSent("r1", "expired before it could be sent", final=True))
    assert one.state is OrderState.DENIED
    assert desk.submitted() == ["r1", "r2"]


async def test_same_id_same_handle_other_terms_refused(autojump_clock, desk):
    one = await desk.place(request_id="mine")
    assert await desk.place(request_id="mine") is one
    with pytest.raises(ValueError, match="other terms"):
        await desk.place(request_id="mine", side=Side.PUT)
    assert desk.submitted() == ["mine"]


async def test_a_connection_that_never_answers_leaves_nobody_waiting(autojump_clock, desk):
    """The order was in its hand when it crashed: it may have been sent, so it is never handed over again."""
    handle = await desk.place(duration=60)
    await trio.sleep(ORDER_ACK_TIMEOUT + 1)
    assert handle.state is OrderState.UNKNOWN
    await desk.lost()
    await desk.up()
    await trio.sleep(1)
    for _ in range(2):
        await desk.tell(OpenedDeals([]))
        await trio.sleep(2)
    with pytest.raises(OutcomeUnknown):
        await handle.result()
    assert desk.submitted() == ["r1"]


async def test_a_new_link_proves_that_an_older_answer_was_lost(autojump_clock, desk):
    handle = await desk.place()
    await desk.lost()
    await desk.up()
    assert handle.state is OrderState.UNKNOWN
    assert desk.submitted() == ["r1"]


async def test_an_order_just_like_one_in_doubt_waits_for_its_fate(autojump_clock, desk):
    one = await desk.place()
    await desk.written(one)
    await desk.lost()
    await desk.up()
    twin = await desk.place(valid_for=2.0)
    other = await desk.place(amount=11)
    assert desk.submitted() == ["r1", "r3"], "one of other terms cannot be mistaken for it"
    with pytest.raises(OrderDenied, match="the fate of r1, an order just like it, is not known"):
        await twin.opened()
    await desk.written(other)
    await desk.tell(OrderOpened(deal("d3", amount=11), "r3"))
    patient = await desk.place(valid_for=60.0)
    assert desk.submitted() == ["r1", "r3"]
    await desk.tell(OpenedDeals([deal("d1")]))
    assert (one.state, desk.submitted()) == (OrderState.OPEN, ["r1", "r3", patient.request_id])
