"""An order's handle: waiting ends with the deal, the result or a typed error; cancelling never touches the order."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.order_handle import Draw, Lost, OrderHandle, OrderView, Won, as_result
from potrio.errors import ClientClosed, OrderDenied, OrderRejected, OutcomeUnknown
from potrio.limits import RESULT_GRACE
from potrio.protocol.messages.trading import Outcome, Side

from .conftest import deal, settle


@pytest.fixture
def handle():
    return OrderHandle(
        OrderIntent(
            request_id="mine",
            asset="EURUSD_otc",
            side=Side.CALL,
            amount=Decimal(10),
            duration_s=60,
            is_demo=True,
            created_wall=0.0,
            expires_at=5.0,
        )
    )


def show(handle, state, one=None, reason=None, anomalies=()) -> None:
    handle.update(OrderView(state=state, deal=one, reason=reason, anomalies=anomalies))


def test_it_says_what_it_is(handle):
    assert repr(handle) == "<OrderHandle mine CALL 10 EURUSD_otc 60s: new>"
    assert handle.request_id == "mine"


async def test_opened_waits_for_the_deal_through_unknown(autojump_clock, handle):
    found = []

    async def wait() -> None:
        found.append(await handle.opened())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        for state in (OrderState.SENT, OrderState.UNKNOWN):
            show(handle, state)
            await settle()
            assert found == []
        show(handle, OrderState.OPEN, deal())
    assert found == [deal()]


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        (OrderState.DENIED, OrderDenied, "late"),
        (OrderState.REJECTED, OrderRejected, "late"),
        (OrderState.VOID, OutcomeUnknown, "mine"),
    ],
)
@pytest.mark.parametrize("wait", [OrderHandle.opened, OrderHandle.result])
async def test_an_end_without_a_deal_is_a_typed_error_for_those_who_wait_and_who_come_later(
    autojump_clock, handle, state, error, said, wait
):
    async with trio.open_nursery() as nursery:

        async def early() -> None:
            with pytest.raises(error, match=said):
                await wait(handle)

        nursery.start_soon(early)
        await settle()
        show(handle, state, reason="late")
    with pytest.raises(error, match=said):
        await wait(handle)


async def test_result_waits_for_the_settlement_not_for_the_deal(autojump_clock, handle):
    show(handle, OrderState.OPEN, deal(profit=9))
    with trio.move_on_after(10) as scope:
        await handle.result()
    assert scope.cancelled_caught
    show(handle, OrderState.SETTLED, deal(profit=-10, close_price=1.0))
    result = await handle.result()
    assert isinstance(result, Lost)
    assert result.profit == -10
    assert (await handle.opened()).profit == -10


@pytest.mark.parametrize(("profit", "kind"), [("0.01", Won), ("-0.01", Lost), ("0", Draw)])
def test_results_by_the_sign_of_the_profit(profit, kind):
    assert type(as_result(deal(profit=profit))) is kind


async def test_wait_change_tells_states_and_does_not_raise(autojump_clock, handle):
    seen = []

    async def watch() -> None:
        while len(seen) < 2:
            seen.append(await handle.wait_change())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await settle()
        show(handle, OrderState.SENT)
        await settle()
        show(handle, OrderState.SENT, anomalies=("odd",))
        await settle()
        assert seen == [OrderState.SENT], "a note is not a change of state"
        show(handle, OrderState.REJECTED)
    assert seen == [OrderState.SENT, OrderState.REJECTED]


async def test_when_nobody_writes_any_more_the_fate_is_open(autojump_clock, handle):
    show(handle, OrderState.OPEN, deal())
    handle.fail(ClientClosed("closed"))
    assert (await handle.opened()).id == "d1"
    with pytest.raises(OutcomeUnknown, match="mine"):
        await handle.result()
    assert await handle.wait_change() is OrderState.OPEN


async def test_an_order_that_has_ended_is_not_failed_by_closing(autojump_clock, handle):
    show(handle, OrderState.SETTLED, deal(profit=1, close_price=1.0))
    handle.fail(ClientClosed("closed"))
    assert isinstance(await handle.result(), Won)


async def test_result_ends_after_the_close_time_and_the_handle_lives_on(autojump_clock, handle):
    due = trio.current_time() + 60
    handle.update(OrderView(state=OrderState.OPEN, deal=deal(), due_at=due))
    with pytest.raises(OutcomeUnknown, match="open, and overdue for 60 s"):
        await handle.result()
    assert trio.current_time() == due + RESULT_GRACE
    handle.update(OrderView(state=OrderState.SETTLED, deal=deal(profit=-10), due_at=due))
    assert isinstance(await handle.result(), Lost)
    assert handle.outcome is Outcome.LOST


async def test_the_end_of_waiting_moves_with_what_is_known(autojump_clock, handle):
    start = trio.current_time()
    handle.update(OrderView(state=OrderState.SENT, due_at=start + 10))
    caught = []

    async def wait() -> None:
        with pytest.raises(OutcomeUnknown) as info:
            await handle.result(grace=5.0)
        caught.append((trio.current_time() - start, info.value.request_id))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(3)
        handle.update(OrderView(state=OrderState.OPEN, deal=deal(), due_at=start + 100))
    assert caught == [(105.0, "mine")]


async def test_nothing_heard_at_all_ends_opened_too(autojump_clock, handle):
    handle.update(OrderView(state=OrderState.UNKNOWN, due_at=trio.current_time() + 60))
    with pytest.raises(OutcomeUnknown, match="unknown, and overdue"):
        await handle.opened()


async def test_changes_tell_state_and_cause_and_end_with_the_order(autojump_clock, handle):
    for state, cause in ((OrderState.NEW, "taken on"), (OrderState.SENT, "written on connection 1")):
        handle.update(OrderView(state=state, cause=cause))
        handle.update(OrderView(state=state, cause=cause, reason="the same state is no change"))
    handle.update(OrderView(state=OrderState.DENIED, cause="late", reason="late"))
    told = [(change.state, change.cause) async for change in handle.changes()]
    assert told == [
        (OrderState.NEW, "taken on"),
        (OrderState.SENT, "written on connection 1"),
        (OrderState.DENIED, "late"),
    ]
    assert [change.state for change in handle.log] == [state for state, _ in told]


async def test_changes_of_an_order_that_is_left_open_do_not_just_end(autojump_clock, handle):
    handle.update(OrderView(state=OrderState.SENT))
    handle.fail(ClientClosed("closed"))
    changes = handle.changes()
    assert (await changes.__anext__()).state is OrderState.SENT
    with pytest.raises(OutcomeUnknown, match="closed"):
        await changes.__anext__()


async def test_waiting_for_a_change_of_an_order_that_has_ended_ends_with_the_client(handle, autojump_clock):
    """A rejected order may still turn out to be open, as long as somebody listens to the venue."""
    show(handle, OrderState.REJECTED, reason="no")
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(handle.wait_change)
            await settle()
            handle.fail(ClientClosed("closed"))
        assert await handle.wait_change() is OrderState.REJECTED
    with pytest.raises(OrderRejected):
        await handle.result()
