"""Pending orders on a stage without tasks: a desk, what it told, and messages of the venue to tell it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from potrio.actors.link import LinkLost, LinkUp, NotSent, Resync, SubmitOrder, Transmit, Written
from potrio.actors.pending_evidence import PendingIntent
from potrio.actors.phases import LinkPhase
from potrio.protocol.messages.pending import NO_OPEN_TIME, PendingOrder, PendingOrders, show_open_time
from potrio.protocol.messages.trading import Side

from .conftest import ASSET, EPOCH
from .order_world import Desk

OPENS_IN = 60


def intent(
    number: int = 1, *, amount: int = 10, opens_in: int | None = OPENS_IN, **more: Any
) -> PendingIntent:
    stamp = None if opens_in is None else int(EPOCH) + 7200 + opens_in
    fields: dict[str, Any] = {
        "request_id": f"p{number}",
        "asset": ASSET,
        "side": Side.CALL,
        "amount": Decimal(amount),
        "duration_s": 5,
        "open_time": NO_OPEN_TIME if stamp is None else show_open_time(stamp),
        "open_stamp": stamp,
        "open_price": 1.2 if stamp is None else 0.0,
        "created_wall": EPOCH,
        "expires_at": 10.0,
    }
    return PendingIntent(**{**fields, **more})


def listed(ticket: str, of: PendingIntent) -> PendingOrder:
    message = of.message()
    return PendingOrder(
        ticket=ticket,
        open_type=message.open_type,
        amount=message.amount,
        symbol=message.asset,
        open_time=message.open_time,
        open_price=message.open_price,
        timeframe=message.timeframe,
        min_payout=message.min_payout,
        command=message.command,
    )


class Stage(Desk):
    """A desk, and a connection that does what the test says."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        super().__init__()
        self.up()

    def told(self, message: Any) -> None:
        self.said.append(message)

    def up(self) -> None:
        self.link.epoch += 1
        self.link.phase = LinkPhase.READY
        self.hear(LinkUp(self.link.epoch, self.clock.time))

    def lost(self) -> None:
        self.link.phase = LinkPhase.RECONNECTING
        self.hear(LinkLost(self.link.epoch, "gone", self.clock.time))

    def place(self, number: int = 1, **terms: Any):
        terms.setdefault("expires_at", self.clock.time + 10.0)
        self.hear(intent(number, **terms))
        return self.book.pending.handles[f"p{number}"]

    def written(self, number: int = 1) -> None:
        self.hear(Written(f"p{number}", self.link.epoch, self.clock.time, self.clock.wall()))

    def not_sent(self, number: int = 1, *, final: bool) -> None:
        self.hear(NotSent(f"p{number}", "not connected", final))

    def list(self, *orders: PendingOrder, rejected: int = 0) -> None:
        self.hear(PendingOrders(list(orders), rejected))

    def working(self, number: int = 1, **terms: Any):
        """An order that the venue has, under ticket ``t<number>``."""
        handle = self.place(number, **terms)
        self.written(number)
        known = [listed(e.ticket, e.intent) for e in self.book.pending.live.values() if e.ticket is not None]
        self.list(*known, listed(f"t{number}", handle.intent))
        return handle

    def advance(self, seconds: float) -> None:
        until = self.clock.time + seconds
        while (timers := self.clock.timers) and timers[0][0] <= until:
            moment, _, timer, message = timers.pop(0)
            timers.sort(key=lambda item: item[:2])
            self.clock.time = max(self.clock.time, moment)
            if not timer.cancelled:
                self.hear(message)
        self.clock.time = until

    def submitted(self) -> list[str]:
        return [message.request_id for message in self.said if isinstance(message, SubmitOrder)]

    def sent(self) -> list[Any]:
        return [message.message for message in self.said if isinstance(message, Transmit)]

    def resyncs(self) -> int:
        return sum(isinstance(message, Resync) for message in self.said)


def with_open_price(order: PendingOrder, price: float) -> PendingOrder:
    return msgspec.structs.replace(order, open_price=price)
