"""A pending order's handle: waiting ends with the ticket, the order or a typed error; cancelling says what it did."""

from __future__ import annotations

import pytest
import trio

from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.order_handle import OrderHandle, OrderView
from potrio.actors.pending_evidence import PendingState
from potrio.actors.pending_handle import CancelOutcome, PendingHandle, PendingView
from potrio.errors import ClientClosed, OrderDenied, OrderRejected, OutcomeUnknown
from potrio.protocol.messages.trading import Side

from .conftest import deal, settle
from .pending_stage import intent


@pytest.fixture
def asked():
    return []


@pytest.fixture
def handle(asked):
    return PendingHandle(intent(), asked.append)


def show(handle, state, **more) -> None:
    handle.update(PendingView(state=state, **more))


def test_it_says_what_it_is(handle):
    assert repr(handle).startswith("<PendingHandle p1 CALL 10 EURUSD_otc at 2026-")
    assert "at 1.2 5s: new" in repr(PendingHandle(intent(opens_in=None)))


async def test_its_ticket_its_order_and_its_result(autojump_clock, handle):
    order = OrderHandle(
        OrderIntent(
            request_id="t",
            asset="A",
            side=Side.CALL,
            amount=handle.intent.amount,
            duration_s=5,
            is_demo=True,
            created_wall=0.0,
            expires_at=0.0,
        )
    )
    seen: list = []

    async def wait(what) -> None:
        seen.append(await what())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, handle.working)
        nursery.start_soon(wait, handle.triggered)
        nursery.start_soon(wait, handle.result)
        show(handle, PendingState.WORKING, ticket="t")
        await settle()
        assert seen == ["t"]
        show(handle, PendingState.TRIGGERED, ticket="t", order=order)
        await settle()
        assert seen == ["t", order]
        order.update(OrderView(state=OrderState.SETTLED, deal=deal(profit=-10)))
    assert seen[2].profit == -10
    assert [change.state async for change in handle.changes()] == [
        PendingState.WORKING,
        PendingState.TRIGGERED,
    ]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (PendingState.DENIED, OrderDenied),
        (PendingState.CANCELLED, OrderDenied),
        (PendingState.REJECTED, OrderRejected),
        (PendingState.VOID, OutcomeUnknown),
        (PendingState.TRIGGERED, OutcomeUnknown),
    ],
)
async def test_an_end_without_an_order_is_a_typed_error(autojump_clock, handle, state, error):
    show(handle, state, cause="why")
    with pytest.raises(error):
        await handle.triggered()


async def test_cancel_asks_once_and_waits_for_what_becomes_of_it(autojump_clock, handle, asked):
    outcomes: list[CancelOutcome] = []

    async def cancel() -> None:
        outcomes.append(await handle.cancel())

    async with trio.open_nursery() as nursery:
        show(handle, PendingState.WORKING, ticket="t")
        nursery.start_soon(cancel)
        await settle()
        assert (asked, outcomes) == (["p1"], [])
        show(handle, PendingState.WORKING, ticket="t", cancel_refused="NOT_FOUND")
    show(handle, PendingState.CANCELLED, ticket="t", cause="cancelled")
    outcomes.append(await handle.cancel())
    assert asked == ["p1"]
    assert outcomes == [
        CancelOutcome("t", False, PendingState.WORKING, "NOT_FOUND"),
        CancelOutcome("t", True, PendingState.CANCELLED),
    ]


async def test_closing_ends_all_waiting(autojump_clock, handle):
    show(handle, PendingState.CANCEL_SENT, ticket="t")
    handle.fail(ClientClosed("closed"))
    changes = handle.changes()
    await changes.__anext__()
    for wait in (handle.triggered, handle.cancel_outcome, changes.__anext__):
        with pytest.raises(OutcomeUnknown, match="closed"):
            await wait()
