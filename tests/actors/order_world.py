"""An order book without tasks, and the world it lives in: a connection, a venue and a clock, as plain calls.

The real clerk of the order book handles real messages; what would be its mailbox, timers and neighbours are lists here.
A run costs microseconds where one with actors costs milliseconds, so that a search can afford thousands.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec

from potrio.actors.account import AccountState
from potrio.actors.book import Book
from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.link import LinkLost, LinkState, LinkUp, NotSent, Resync, SubmitOrder, Transmit, Written
from potrio.actors.order_book import _Clerk
from potrio.actors.pending_desk import PendingDesk
from potrio.actors.pending_evidence import PendingIntent
from potrio.actors.phases import LinkPhase
from potrio.protocol.messages.trading import ClosedDeals, DealsClosed, OpenedDeals, OrderFailed, OrderOpened

from .conftest import EPOCH, deal

AT_STAKE = {OrderState.SENT, OrderState.UNKNOWN, OrderState.OPEN, OrderState.SETTLING}


class Clock:
    """What a Seam and a context are to the clerk: time, timers, neighbours."""

    def __init__(self, told: Any) -> None:
        self.time = 0.0
        self.timers: list[Any] = []
        self.order = count()
        self.tell = told
        self.muted = False

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return EPOCH + self.time

    def lookup(self, key: Any) -> Any:
        return self

    def after(self, delay: float, message: Any) -> Any:
        timer = Timer()
        if not self.muted:
            heapq.heappush(self.timers, (self.time + delay, next(self.order), timer, message))
        return timer


class Timer:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Answer:
    """A call that is answered at once."""

    def reply(self, handle: Any) -> None:
        self.handle = handle

    def fail(self, error: Exception) -> None:
        raise error


class Desk:
    """The clerk on its stage. Everything it hears is kept in ``heard``, to be replayed (I11)."""

    def __init__(self) -> None:
        self.clock = Clock(self.told)
        self.book, self.account, self.link = Book(), AccountState(), LinkState()
        self.account.clock.observe(EPOCH + 7200, EPOCH)
        self.heard: list[tuple[float, int, bool, Any]] = []
        self.start()

    def start(self) -> None:
        """A first, or after a crash another, incarnation."""
        self.clock.timers.clear()
        self.clerk = _Clerk(self.clock, self.book, self.account, self.link, self.clock, None)  # type: ignore[arg-type]  # stands in for both
        self.clerk.resume()
        self.pending = PendingDesk(self.clock, self.book, self.clerk.clock)  # type: ignore[arg-type]  # stands in for it
        self.pending.resume()

    def told(self, message: Any) -> None:
        """What the clerk tells its neighbours."""

    def hear(self, message: Any) -> None:
        self.heard.append((self.clock.time, self.link.epoch, self.link.ready, message))
        self.do(message)

    def do(self, message: Any) -> None:
        match message:
            case OrderIntent():
                self.clerk.sending.place(message, Answer())  # type: ignore[arg-type]  # a call to it
            case PendingIntent():
                self.pending.sending.place(message, Answer())  # type: ignore[arg-type]  # a call to it
            case "crash":
                self.start()
            case _ if self.pending.take(message):
                pass
            case _:
                self.clerk.handle(message)
                self.pending.follow(message)

    def replay(self, heard: list[tuple[float, int, bool, Any]]) -> None:
        self.clock.muted = True  # the timers that rang are in the log
        for self.clock.time, epoch, ready, message in heard:
            self.link.epoch = epoch
            self.link.phase = LinkPhase.READY if ready else LinkPhase.RECONNECTING
            self.do(message)

    def digest(self) -> Any:
        """Everything that the book knows, comparable."""
        orders = {rid: msgspec.structs.asdict(evidence) for rid, evidence in self.book.orders.items()}
        states = {rid: (handle.state, handle.log, handle.due_at) for rid, handle in self.book.handles.items()}
        return orders, states, dict(self.book.owner), dict(self.book.external), list(self.book.anomalies)


class World(Desk):
    """The connection and the venue. ``truth`` is what the venue knows; the desk hears only what gets through."""

    LATENCY_MAX_S = 7.0

    def __init__(self) -> None:
        self.outstanding: deque[SubmitOrder] = deque()
        self.writes: Counter[str] = Counter()
        self.limbo: list[
            tuple[float, str, int, str]
        ] = []  # when it arrives, which, on which link, and its fate
        self.wire: deque[Any] = deque()  # from the venue, on this link
        self.deals: dict[str, Any] = {}  # what the venue has: deal id -> deal
        self.mine: dict[str, str] = {}  # deal id -> request id
        self.refused: set[str] = set()
        self.told_deals: set[str] = set()
        self.settled: dict[str, Any] = {}
        self.resync = False
        self.placed = 0
        super().__init__()

    # --- the connection ----------------------------------------------------------------------------------------------

    def told(self, message: Any) -> None:
        match message:
            case SubmitOrder(request_id=rid):
                assert not self.writes[rid], "I1: handed over again after it was written"
                assert rid not in [one.request_id for one in self.outstanding], "I1: handed over twice"
                self.outstanding.append(message)
            case Transmit(epoch=epoch):
                if self.link.ready and epoch == self.link.epoch:
                    self.wire.append(OpenedDeals(self.open_deals()))
            case Resync(epoch=epoch):
                self.resync |= epoch == self.link.epoch
            case _:
                pass  # the monitor's

    def up(self) -> None:
        if not self.link.ready:
            self.link.epoch += 1
            self.link.phase = LinkPhase.READY
            self.resync = False
            self.hear(LinkUp(self.link.epoch, self.clock.time))
            self.wire.extend([OpenedDeals(self.open_deals()), ClosedDeals(self.closed_deals()[-20:])])

    def down(self) -> None:
        if self.link.ready:
            self.link.phase = LinkPhase.RECONNECTING
            self.wire.clear()
            while self.outstanding:
                self.answer("lost")
            self.hear(LinkLost(self.link.epoch, "gone", self.clock.time))

    def answer(self, fate: str, latency: float = 0.0) -> None:
        """The connection writes the oldest order, or gives it back. ``fate``: accept, refuse or lost on its way."""
        if not self.outstanding:
            return
        order = self.outstanding.popleft()
        rid, late = order.request_id, self.clock.time > order.expires_at
        if late or not self.link.ready:
            self.hear(NotSent(rid, "expired" if late else "not connected", late))
            return
        self.writes[rid] += 1
        if fate != "lost":
            self.limbo.append((self.clock.time + latency, rid, self.link.epoch, fate))
        self.hear(Written(rid, self.link.epoch, self.clock.time, self.clock.wall()))

    # --- the venue ---------------------------------------------------------------------------------------------------

    def open_deals(self) -> list[Any]:
        return [one for one in self.deals.values() if not one.is_closed]

    def closed_deals(self) -> list[Any]:
        return [one for one in self.deals.values() if one.is_closed]

    def decide(self) -> None:
        """Requests that have arrived are accepted or refused; who asked on a link that is gone hears nothing."""
        for item in sorted(self.limbo):
            when, rid, epoch, fate = item
            if when > self.clock.time:
                continue
            self.limbo.remove(item)
            hears = self.link.ready and epoch == self.link.epoch
            intent = self.book.orders[rid].intent
            if fate == "refuse":
                if hears:
                    self.refused.add(rid)
                    self.wire.append(OrderFailed(error="no", asset=intent.asset, amount=intent.amount))
                continue
            id = f"d-{rid}"
            self.deals[id] = deal(
                id, intent.asset, intent.side, int(self.clock.time), intent.duration_s, amount=intent.amount
            )
            self.mine[id] = rid
            if hears:
                self.wire.append(OrderOpened(self.deals[id], rid))

    def expire(self) -> None:
        ended = []
        for id, one in self.deals.items():
            if not one.is_closed and one.close_timestamp - 7200 <= self.clock.wall():
                profit = Decimal((-1) ** len(ended) * 5)
                self.deals[id] = msgspec.structs.replace(one, profit=profit, close_price=1.2)
                ended.append(self.deals[id])
        if ended and self.link.ready:
            self.wire.extend([DealsClosed(None, ended), ClosedDeals(self.closed_deals()[-20:])])

    def outsider(self, amount: int) -> None:
        """Somebody else trades on the account; no order of ours is of that amount."""
        id = f"x-{len(self.deals)}"
        self.deals[id] = deal(id, opened=int(self.clock.time), for_s=60, amount=1000 + amount)
        if self.link.ready:
            self.wire.append(OrderOpened(self.deals[id]))

    # --- time --------------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        until = self.clock.time + seconds
        while True:
            timers = self.clock.timers
            moments = [timers[0][0]] if timers else []
            moments += [item[0] for item in self.limbo]
            moments += [one.close_timestamp - 7200 - EPOCH for one in self.open_deals()]
            moment = min((m for m in moments if m > self.clock.time), default=until + 1)
            self.settle_moment()
            if moment > until:
                break
            self.clock.time = moment
        self.clock.time = until
        self.settle_moment()

    def settle_moment(self) -> None:
        self.decide()
        self.expire()
        timers = self.clock.timers
        while timers and timers[0][0] <= self.clock.time:
            _, _, timer, message = heapq.heappop(timers)
            if not timer.cancelled:
                self.hear(message)

    def deliver(self, times: int = 1, copies: int = 1) -> None:
        for _ in range(times):
            if not self.wire:
                return
            message = self.wire.popleft()
            for one in getattr(message, "deals", None) or [getattr(message, "deal", None)]:
                if one is not None:
                    self.told_deals.add(one.id)
            for _ in range(copies):
                self.hear(message)

    def lose(self) -> None:
        """A message of the venue does not arrive."""
        if self.wire:
            self.wire.popleft()

    def become_calm(self) -> None:
        """The venue decides, the link works, what is asked for is answered; then every order ends (I9)."""
        self.down()
        self.advance(self.LATENCY_MAX_S)
        for _ in range(400):
            self.up()
            while self.outstanding:
                self.answer("accept")
                self.advance(0.01)
            self.deliver(1000)
            if self.resync:
                self.down()
                self.up()
                self.deliver(1000)
            self.advance(7)
            self.deliver(1000)
            if all(handle.state.ended for handle in self.book.handles.values()):
                return
        raise AssertionError(f"I9: never ended: {list(self.book.live)}")
