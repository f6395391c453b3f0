"""The order book under generated plans: any mix of answers, losses, refusals, lists and crashes; the truth prevails.

Each plan is executed in virtual time against a venue that knows what really happened. While it runs the promises hold
at every step (P1, P2); when the world has become calm, every order has ended as the venue's books say.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from decimal import Decimal
from functools import partial

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.actors.evidence import OrderState
from potrio.actors.keys import CONNECTION, ORDER_BOOK
from potrio.actors.link import LinkPhase, NotSent, Resync, SubmitOrder, Transmit, Written
from potrio.actors.order_book import order_book
from potrio.errors import OrderDenied, OrderRejected, OutcomeUnknown
from potrio.protocol.messages.trading import (
    ClosedDeals,
    DealsClosed,
    OpenedDeals,
    OrderFailed,
    OrderOpened,
    Side,
)
from potrio.supervision.mailbox_spec import unbounded
from potrio.supervision.spec import child

from .conftest import ASSET, OTHER, Desk, crash, deal, recording, running, settle

DURATIONS = (5, 60, 900)
LATENCY_MAX_S = 7.0


class World(Desk):
    """The connection and the venue behind it, as moved by a plan."""

    def __init__(self) -> None:
        super().__init__()
        self.outstanding: list[SubmitOrder] = []
        self.writes: Counter[str] = Counter()
        self.arrived: list[str] = []  # at the venue, not decided
        self.written_on: dict[str, int] = {}
        self.refused: set[str] = set()
        self.open: dict[str, object] = {}  # request id -> deal
        self.closed: dict[str, object] = {}
        self.all: list = []
        self.settled: dict[str, object] = {}
        self.wanted_again: list[Resync] = []
        self.calm = False

    def children(self):
        return (
            recording(CONNECTION, self.told, self.on_told),
            child(
                order_book, self.book, self.account, self.link, self.seam, id=ORDER_BOOK, mailbox=unbounded()
            ),
        )

    def on_told(self, ctx, message) -> None:
        match message:
            case SubmitOrder():
                assert message.request_id not in [order.request_id for order in self.outstanding], (
                    "P1: twice at once"
                )
                assert not self.writes[message.request_id], "P1: again after it was written"
                self.outstanding.append(message)
            case Transmit(epoch=epoch):
                if self.link.ready and epoch == self.link.epoch:
                    ctx.lookup(ORDER_BOOK).tell(OpenedDeals(list(self.open.values())))
            case Resync(epoch=epoch) if epoch == self.link.epoch:
                self.wanted_again.append(message)

    # --- steps -------------------------------------------------------------------------------------------------------

    async def step(self, name: str, a: int, b: int) -> None:
        self.expire_deals()
        await self.decide_by(self.seam.now())
        await getattr(self, f"do_{name}")(a, b)
        self.check()

    async def do_place(self, a, b):
        if len(self.all) < 8:
            asset, side = (ASSET, OTHER)[a % 2], (Side.CALL, Side.PUT)[b % 2]
            handle = await self.place(asset, side, DURATIONS[b % 3], valid_for=(2.0, 30.0)[a // 2 % 2])
            self.all.append(handle)

    async def do_answer(self, a, b):
        """As the connection does: written while ready and in time, else not sent."""
        if not self.outstanding:
            return
        order = self.outstanding.pop(a % len(self.outstanding))
        rid, late = order.request_id, self.seam.now() > order.expires_at
        if late or not self.link.ready:
            await self.tell(NotSent(rid, "expired" if late else "not connected", late))
            return
        self.writes[rid] += 1
        self.written_on[rid] = self.link.epoch
        if b % 4:  # else it is lost on its way to the venue
            self.arrived.append(rid)
        await self.tell(Written(rid, self.link.epoch, self.seam.now(), self.seam.wall()))

    async def do_forget(self, a, b):
        """The connection crashed with the order in hand: before it was written."""
        if self.outstanding:
            self.outstanding.pop(a % len(self.outstanding))
            await self.go_down()

    async def do_accept(self, a, b):
        if not self.arrived:
            return
        rid = self.arrived.pop(a % len(self.arrived))
        intent = self.book.orders[rid].intent
        opened = deal(f"d-{rid}", intent.asset, intent.side, int(self.seam.now()), intent.duration_s)
        self.open[rid] = opened
        if b % 3 and self.hears(rid):  # else the answer is lost
            await self.tell(*[OrderOpened(opened, rid)] * (1 + b % 2))

    async def decide_by(self, when: float) -> None:
        """The venue's latency has a bound, below the time from which lists count as proof."""
        for rid in list(self.arrived):
            if when - self.book.orders[rid].written_at > LATENCY_MAX_S:
                await self.do_accept(self.arrived.index(rid), 0)

    async def do_refuse(self, a, b):
        if not self.arrived:
            return
        rid = self.arrived.pop(a % len(self.arrived))
        if self.hears(rid):
            await self.tell(OrderFailed(error="no", asset=self.book.orders[rid].intent.asset))
            self.refused.add(rid)

    async def do_down(self, a, b):
        await self.go_down()

    async def do_up(self, a, b):
        if not self.link.ready:
            await self.up(OpenedDeals(list(self.open.values())), ClosedDeals(self.last_closed()))

    async def do_lists(self, a, b):
        if self.link.ready:
            lists = (OpenedDeals(list(self.open.values())), ClosedDeals(self.last_closed()))
            await self.tell(lists[a % 2], *[lists[b % 2]] * (b % 3))

    async def do_sleep(self, a, b):
        length = (0.5, 3, 11, 70)[a % 4]
        await self.decide_by(self.seam.now() + length)
        await trio.sleep(length)
        self.expire_deals()
        if self.link.ready and b % 3 and self.closed:
            await self.tell(DealsClosed(None, list(self.closed.values())[-3:]))

    async def do_crash(self, a, b):
        await crash(self.sup, ORDER_BOOK)

    # --- the world ---------------------------------------------------------------------------------------------------

    def hears(self, rid: str) -> bool:
        return self.link.ready and self.written_on[rid] == self.link.epoch

    async def go_down(self) -> None:
        if self.link.ready:
            self.link.enter(LinkPhase.RECONNECTING, self.seam.now())
            for order in self.outstanding:
                await self.tell(
                    NotSent(order.request_id, "not connected", self.seam.now() > order.expires_at)
                )
            self.outstanding.clear()
            await self.lost()

    def last_closed(self) -> list:
        return list(self.closed.values())[-20:]

    def expire_deals(self) -> None:
        for rid, one in list(self.open.items()):
            if self.account.clock.to_wall(one.close_timestamp) <= self.seam.wall():
                fields = {name: getattr(one, name) for name in one.__struct_fields__}
                profit = Decimal(len(rid) - 2) * (-1) ** int(rid[1:])
                self.closed[rid] = type(one)(**{**fields, "profit": profit, "close_price": 1.2})
                del self.open[rid]

    def check(self) -> None:
        assert all(times <= 1 for times in self.writes.values())
        unanswered: Counter[str] = Counter()
        for order in self.outstanding:
            unanswered[order.message.asset] += 1
        for rid in self.arrived:
            if self.hears(rid):
                unanswered[self.book.orders[rid].intent.asset] += 1
        assert all(count <= 1 for count in unanswered.values()), "two unanswered orders on one asset"
        for handle in self.all:
            rid = handle.request_id
            if rid in self.settled:
                assert handle.state is OrderState.SETTLED, "SETTLED is absorbing"
                assert handle.deal == self.settled[rid]
            if handle.state is OrderState.SETTLED:
                assert handle.deal.id == f"d-{rid}", "somebody else's deal"
                self.settled[rid] = handle.deal
            if handle.state is OrderState.DENIED:
                assert not self.writes[rid], "denied, but it was written"
            if handle.state is OrderState.REJECTED:
                assert rid in self.refused, "rejected, but the venue did not refuse it"
            if handle.state is OrderState.VOID:
                assert rid not in self.open, "void, but the venue has it"
                assert rid not in self.closed, "void, but the venue has it"

    async def become_calm(self) -> None:
        """The venue decides on everything that arrived; the link works; what is asked for is answered."""
        for rid in list(self.arrived):
            await self.do_accept(self.arrived.index(rid), 0)
        await self.go_down()
        for _ in range(400):
            self.expire_deals()
            await self.do_up(0, 0)
            while self.outstanding:
                await self.do_answer(0, 1)
                for rid in list(self.arrived):
                    await self.do_accept(self.arrived.index(rid), 1)
            if self.wanted_again:
                self.wanted_again.clear()
                await self.go_down()
            await trio.sleep(7)
            self.check()
            if all(handle.state.ended for handle in self.all):
                return
        raise AssertionError(f"never ended: {[handle for handle in self.all if not handle.state.ended]}")

    def truth(self, handle) -> set[OrderState]:
        rid = handle.request_id
        if rid in self.closed:
            return {OrderState.SETTLED}
        if rid in self.refused:
            return {OrderState.REJECTED}
        return {OrderState.VOID} if self.writes[rid] else {OrderState.DENIED, OrderState.VOID}


async def execute(plan) -> None:
    world = World()
    ended: list[str] = []

    async def wait_for(handle) -> None:
        with suppress(OrderDenied, OrderRejected, OutcomeUnknown):  # how it ends is checked by its state
            await handle.result()
        ended.append(handle.request_id)

    async with running(*world.children()) as world.sup, trio.open_nursery() as nursery:
        await world.up()
        for name, a, b in plan:
            before = len(world.all)
            await world.step(name, a, b)
            for handle in world.all[before:]:
                nursery.start_soon(wait_for, handle)
        await world.become_calm()
        await settle()
        assert sorted(ended) == sorted(handle.request_id for handle in world.all), "somebody still waits"
        for handle in world.all:
            assert handle.state in world.truth(handle), (handle, world.truth(handle))
        deals = [handle.deal.id for handle in world.all if handle.deal is not None]
        assert len(deals) == len(set(deals)), "one deal, one order"
        assert not world.book.external


STEPS = [
    "place",
    "place",
    "answer",
    "answer",
    "forget",
    "accept",
    "accept",
    "refuse",
    "down",
    "up",
    "lists",
    "sleep",
    "crash",
]
plans = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 11), st.integers(0, 11)), max_size=30)


@settings(max_examples=300, deadline=None)
@given(plans)
def test_property_every_order_ends_as_the_venue_says(plan):
    trio.run(partial(execute, plan), clock=trio.testing.MockClock(autojump_threshold=0))
