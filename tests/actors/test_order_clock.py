"""What is due for an order when: overdue answers, results that do not come, questions that have a limit."""

from __future__ import annotations

import trio

from potrio.actors.evidence import OrderState
from potrio.actors.link import (
    Transmit,
)
from potrio.actors.order_clock import RECONCILIATIONS_MAX
from potrio.limits import ORDER_ACK_TIMEOUT, SETTLEMENT_GRACE
from potrio.protocol.messages.trading import (
    ClosedDeals,
    OpenedDeals,
    OrderOpened,
    RequestOpenedDeals,
)

from .conftest import deal


async def test_an_overdue_answer_makes_it_unknown_and_asks_by_connecting_again(autojump_clock, desk):
    handle = await desk.place()
    await desk.written(handle)
    await trio.sleep(ORDER_ACK_TIMEOUT + 0.1)
    assert handle.state is OrderState.UNKNOWN
    (resync,) = desk.asked()
    assert resync.epoch == desk.link.epoch


async def test_a_lost_order_is_asked_for_and_void_after_two_lists(autojump_clock, desk):
    handle = await desk.place(duration=120)
    await desk.written(handle)
    await desk.lost()
    await desk.up(OpenedDeals([]), ClosedDeals([]))
    assert handle.state is OrderState.UNKNOWN
    await trio.sleep(SETTLEMENT_GRACE + 1)
    (request,) = desk.asked()
    assert request == Transmit(RequestOpenedDeals(), epoch=desk.link.epoch)
    await desk.tell(OpenedDeals([]), OpenedDeals([]))
    assert handle.state is OrderState.UNKNOWN, "the same list twice is one list"
    await trio.sleep(SETTLEMENT_GRACE + 1)
    assert len(desk.asked()) == 2
    await desk.tell(OpenedDeals([]))
    assert handle.state is OrderState.VOID


async def test_a_list_with_unreadable_rows_proves_nothing(autojump_clock, desk):
    handle = await desk.place(duration=120)
    await desk.written(handle)
    await desk.lost()
    await desk.up()
    for _ in range(3):
        await trio.sleep(11)
        await desk.tell(OpenedDeals([], rejected=1), ClosedDeals([], rejected=1))
    assert handle.state is OrderState.UNKNOWN


async def test_the_window_in_which_nothing_can_be_proven_is_waited_out(autojump_clock, desk):
    """Down until after the order would have closed: the lists of the login decide nothing, and nothing else comes."""
    handle = await desk.place(duration=60)
    await desk.written(handle)
    await desk.lost()
    await trio.sleep(70)
    await desk.up(OpenedDeals([]), ClosedDeals([]))
    with trio.fail_after(200):
        while handle.state is not OrderState.VOID:
            await trio.sleep(1)
            if desk.asked():
                desk.told.clear()
                await desk.lost()
                await desk.up(OpenedDeals([]), ClosedDeals([]))


async def test_a_result_that_does_not_come_is_asked_for(autojump_clock, desk):
    handle = await desk.place(duration=60)
    await desk.written(handle)
    await desk.tell(OrderOpened(deal(), "r1"))
    await trio.sleep(61)
    assert handle.state is OrderState.SETTLING
    assert desk.asked() == []
    await trio.sleep(SETTLEMENT_GRACE)
    assert len(desk.asked()) == 1


async def test_asking_has_a_limit_and_repeated_lists_do_not_use_it_up(autojump_clock, desk):
    handle = await desk.place(duration=60)
    await desk.written(handle)
    for _ in range(20):
        await desk.tell(OpenedDeals([deal()]), OrderOpened(deal(), "r1"))
    await trio.sleep(60 + SETTLEMENT_GRACE + 1)
    assert len(desk.asked()) == 1
    await trio.sleep(10_000)
    assert len(desk.asked()) == RECONCILIATIONS_MAX
    await desk.tell(ClosedDeals([deal(profit=0, close_price=1.1)]))
    assert handle.state is OrderState.SETTLED
