"""The order book against a connection that answers as told: each order once, nobody waits for ever."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from potrio.actors import book as book_module
from potrio.actors.account import AccountState
from potrio.actors.book import Book
from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.keys import CONNECTION, ORDER_BOOK
from potrio.actors.link import (
    LinkLost,
    LinkPhase,
    LinkState,
    LinkUp,
    NotSent,
    Resync,
    SubmitOrder,
    Transmit,
    Written,
)
from potrio.actors.order_book import RECONCILIATIONS_MAX, PlaceOrder, order_book
from potrio.errors import OrderDenied, OrderRejected, OutcomeUnknown
from potrio.limits import ORDER_ACK_TIMEOUT, SETTLEMENT_GRACE
from potrio.protocol.messages.trading import (
    ClosedDeals,
    DealsClosed,
    OpenedDeals,
    OrderFailed,
    OrderOpened,
    RequestOpenedDeals,
    Side,
)
from potrio.supervision.mailbox_spec import unbounded
from potrio.supervision.spec import child
from potrio.testing.network import MemoryNetwork

from .conftest import ASSET, EPOCH, OTHER, crash, deal, recording, running, settle


class Desk:
    """An order book, and a connection that does nothing by itself."""

    def __init__(self) -> None:
        self.seam = MemoryNetwork(epoch=EPOCH)
        self.book, self.account, self.link = Book(), AccountState(), LinkState()
        self.account.clock.observe(
            EPOCH + 7200, EPOCH
        )  # lists prove nothing while the venue's clock is not known
        self.told: list = []
        self.count = 0

    def children(self):
        return (
            recording(CONNECTION, self.told),
            child(
                order_book, self.book, self.account, self.link, self.seam, id=ORDER_BOOK, mailbox=unbounded()
            ),
        )

    async def tell(self, *messages) -> None:
        for message in messages:
            self.sup.ref(ORDER_BOOK).tell(message)
        await settle()

    async def up(self, *lists) -> None:
        self.link.begin("ws://venue")
        self.link.enter(LinkPhase.READY, self.seam.now())
        await self.tell(LinkUp(self.link.epoch, self.seam.now()), *lists)

    async def lost(self) -> None:
        self.link.enter(LinkPhase.RECONNECTING, self.seam.now())
        await self.tell(LinkLost(self.link.epoch, "gone", self.seam.now()))

    async def place(
        self, asset=ASSET, side=Side.CALL, duration=60, valid_for=5.0, request_id=None, amount=10
    ):
        self.count += 1
        intent = OrderIntent(
            request_id=request_id or f"r{self.count}",
            asset=asset,
            side=side,
            amount=Decimal(amount),
            duration_s=duration,
            is_demo=True,
            created_wall=self.seam.wall(),
            expires_at=self.seam.now() + valid_for,
        )
        handle = await self.sup.ref(ORDER_BOOK).ask(PlaceOrder(intent))
        await settle()
        return handle

    async def written(self, handle) -> None:
        await self.tell(Written(handle.request_id, self.link.epoch, self.seam.now(), self.seam.wall()))

    def submitted(self) -> list[str]:
        return [message.request_id for message in self.told if isinstance(message, SubmitOrder)]

    def asked(self) -> list:
        return [message for message in self.told if isinstance(message, Transmit | Resync)]


@pytest.fixture
async def desk(autojump_clock):
    desk = Desk()
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up()
        yield desk


# --- the way out -----------------------------------------------------------------------------------------------------


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


# --- reconciliation --------------------------------------------------------------------------------------------------


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
