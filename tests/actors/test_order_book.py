"""The order book as an actor: crashes lose nothing, ended orders are forgotten, nobody waits for ever."""

from __future__ import annotations

import pytest
import trio

from potrio.actors import book as book_module
from potrio.actors.evidence import OrderState
from potrio.actors.keys import ORDER_BOOK
from potrio.actors.link import (
    LinkPhase,
    NotSent,
)
from potrio.errors import OutcomeUnknown
from potrio.limits import ORDER_ACK_TIMEOUT, SETTLEMENT_GRACE
from potrio.protocol.messages.trading import (
    DealsClosed,
    OpenedDeals,
    OrderOpened,
)

from .conftest import OTHER, crash, deal, settle

# --- crashes ---------------------------------------------------------------------------------------------------------


async def test_a_crash_between_handing_over_and_the_answer(autojump_clock, desk):
    """P1: whatever the answer was, the order is not handed over again; where it still comes, it counts."""
    handle = await desk.place()
    await crash(desk.sup, ORDER_BOOK)
    assert (handle.state, desk.submitted()) == (OrderState.UNKNOWN, ["r1"])
    await desk.written(handle)
    assert handle.state is OrderState.SENT
    await desk.tell(OrderOpened(deal(), "r1"))
    assert handle.state is OrderState.OPEN


@pytest.mark.parametrize("final", [True, False])
async def test_a_crash_before_not_sent_ends_in_denied(autojump_clock, desk, final):
    handle = await desk.place()
    await crash(desk.sup, ORDER_BOOK)
    await desk.tell(NotSent("r1", "not connected", final))
    assert handle.state is OrderState.DENIED
    assert desk.submitted() == ["r1"]


async def test_timers_survive_a_crash(autojump_clock, desk):
    sent = await desk.place()
    await desk.written(sent)
    await desk.lost()
    waiting = await desk.place(OTHER, valid_for=30)
    await crash(desk.sup, ORDER_BOOK)
    await trio.sleep(31)
    assert waiting.state is OrderState.DENIED
    await desk.up()
    await trio.sleep(SETTLEMENT_GRACE + 1)
    assert len(desk.asked()) == 1
    assert sent.state is OrderState.UNKNOWN


async def test_an_overdue_answer_is_noticed_after_a_crash(autojump_clock, desk):
    handle = await desk.place()
    await desk.written(handle)
    await crash(desk.sup, ORDER_BOOK)
    assert handle.state is OrderState.SENT
    await trio.sleep(ORDER_ACK_TIMEOUT)
    assert handle.state is OrderState.UNKNOWN


async def test_orders_that_waited_are_handed_over_after_a_crash(autojump_clock, desk):
    desk.link.enter(LinkPhase.RECONNECTING, 0)
    await desk.place(valid_for=60)
    await desk.place(OTHER, valid_for=60)
    desk.link.begin("ws://venue")
    desk.link.enter(LinkPhase.READY, 0)
    await crash(desk.sup, ORDER_BOOK)  # over its `LinkUp`, for instance
    assert desk.submitted() == ["r1", "r2"]


# --- memory ----------------------------------------------------------------------------------------------------------


async def test_ended_orders_are_forgotten_live_ones_never(autojump_clock, desk, monkeypatch):
    monkeypatch.setattr(book_module, "ORDERS_KEPT_MAX", 5)
    live = await desk.place()
    await desk.written(live)
    await desk.tell(OrderOpened(deal("live", for_s=3600), "r1"))
    for number in range(20):
        handle = await desk.place(OTHER)
        await desk.written(handle)
        await desk.tell(
            OrderOpened(deal(f"x{number}", OTHER), handle.request_id),
            DealsClosed(None, [deal(f"x{number}", OTHER, close_price=1.0)]),
        )
        assert handle.state is OrderState.SETTLED
    book = desk.book
    assert "r1" in book.orders
    assert len(book.orders) == len(book.handles) == len(book.owner) == 5
    assert set(book.live) == {"r1"}
    assert not book.submitted
    assert set(book.asked) <= {"r1"}
    assert not book.waiting
    await desk.tell(OpenedDeals([deal(f"f{number}") for number in range(9)]))
    assert len(book.external) == 5


async def test_closing_wakes_everyone_who_waits(autojump_clock, desk):
    handle = await desk.place()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(OutcomeUnknown):
                await handle.result()

        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await settle()
        desk.book.fail(RuntimeError("closed"))


async def test_an_unknown_message_is_a_crash_not_a_silence(autojump_clock, desk):
    await crash(desk.sup, ORDER_BOOK)
    assert desk.sup.tree().children[-1].incarnation == 2
