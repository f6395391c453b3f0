"""P1 to P3 against the venue's records: what it heard and when, what deals it has, and what the clients say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec
import trio

from loadsim.soak.verdict import Verdict
from loadsim.venue.accounts import AccountKey
from loadsim.venue.connection import Connection
from loadsim.venue.deals import Deal
from loadsim.venue.server import Venue
from potrio.actors.evidence import OrderState
from potrio.actors.order_handle import OrderHandle
from potrio.actors.pending_evidence import PendingState
from potrio.actors.pending_handle import PendingHandle
from potrio.protocol.events import AuthRequested, EventReceived, SessionEvent

__all__ = ["Placed", "VenueEar", "check_account", "check_handle", "check_orders", "pending_name"]

LATE_S: Final = 0.05
"""From the bytes of a frame to the venue's ear, in a network without delays."""

ORDER_EVENTS: Final = ("openOrder", "openPendingOrder")


class Placed(msgspec.Struct):
    """An order that a user of the soak asked for.

    Attributes:
        name: what the venue's ear knows it by.
        expires_at: it must not be heard later (trio's clock).
        handle: None where `place` raised: then the venue must never hear it.
        is_old: another client placed it, before this one was opened.
    """

    request_id: str
    name: str
    expires_at: float
    handle: OrderHandle | PendingHandle | None = None
    is_old: bool = False


class VenueEar:
    """Listens at the venue's door: how often each order came, what came before the login, what came too late.

    Attributes:
        heard: orders of either kind by request id, each however often it came.
        deadlines: until when an order may come.
    """

    def __init__(self, venue: Venue, verdict: Verdict) -> None:
        self.heard: Counter[str] = Counter()
        self.deadlines: dict[str, float] = {}
        self.logins = 0
        self._verdict = verdict
        self._in_login: Connection | None = None
        self._exchange = venue.exchange
        self._received = venue.exchange.received
        venue.exchange.received = self._listen  # type: ignore[method-assign]  # the ear at the door

    def _listen(self, connection: Connection, event: SessionEvent) -> Iterator[None]:
        now = trio.current_time()
        if isinstance(event, AuthRequested):
            self.logins += 1
            self._in_login = connection
            try:
                yield from self._received(connection, event)
            finally:
                self._in_login = None
            return
        if isinstance(event, EventReceived):
            # Sessions keep what came before the login until it is accepted, and give it then.
            early = self._in_login is connection
            self._verdict.check("P3", not early, f"{event.name} was sent before the login", now)
            if event.name in ORDER_EVENTS:
                self._order(connection, event, now)
        yield from self._received(connection, event)

    def _order(self, connection: Connection, event: EventReceived, now: float) -> None:
        request: Any = msgspec.json.decode(event.payload)
        name = str(request.get("requestId"))
        if event.name != "openOrder":
            visitor = self._exchange._seats[connection].visitor
            name = pending_name(
                0 if visitor is None else visitor.key.uid, Decimal(str(request.get("amount")))
            )
        self.heard[name] += 1
        times = self.heard[name]
        self._verdict.check("P1", times == 1, f"order {name} came {times} times", now)
        deadline = self.deadlines.get(name)
        if self._verdict.check("P3", deadline is not None, f"nobody placed order {name}", now):
            late = now - (deadline or now)
            self._verdict.check("P3", late <= LATE_S, f"order {name} came {late:.3f} s too late", now)


def check_orders(placed: Iterable[Placed], venue: Venue, ear: VenueEar, verdict: Verdict) -> None:
    """Compare every order with the venue's books, when all should have ended."""
    deals: dict[str, list[Deal]] = {}
    for deal in (*venue.exchange.book.deals()[0], *venue.exchange.book.deals()[1]):
        deals.setdefault(name_of(deal), []).append(deal)
    now = trio.current_time()
    for order in placed:
        heard, true = ear.heard[order.name], deals.get(order.request_id, [])
        match order.handle:
            case None:
                held = not heard and not true
                verdict.check("P3", held, f"order {order.request_id} was refused here, and heard there", now)
            case OrderHandle() as handle:
                check_handle(handle, heard, true, verdict, now)
            case PendingHandle() as pending:
                check_pending(pending, heard, verdict, now)


def check_handle(handle: OrderHandle, heard: int, deals: list[Deal], verdict: Verdict, now: float) -> None:
    """One order: it has ended, in one way, and that is the way it ended at the venue."""
    name, state = handle.request_id, handle.state
    if not verdict.check("P2", state.ended, f"order {name} is still {state.value} in calm weather", now):
        return
    ends = [change for change in handle.log if change.state.ended]
    final = [change for change in ends if change.state in (OrderState.SETTLED, OrderState.DENIED)]
    once = len(ends) == 1 or (bool(handle.anomalies) and len(final) <= 1)
    verdict.check("P2", once, f"order {name} ended {len(ends)} times: {handle.log}", now)
    match state:
        case OrderState.DENIED:
            verdict.check("P2", not heard, f"order {name} is denied, but the venue heard it", now)
        case OrderState.REJECTED | OrderState.VOID:
            held = not deals
            verdict.check("P2", held, f"order {name} is {state.value}, but the venue has its deal", now)
        case OrderState.SETTLED:
            deal = deals[0] if len(deals) == 1 else None
            same = deal is not None and handle.deal is not None and deal.profit == handle.deal.profit
            verdict.check(
                "P2", same, f"order {name} is settled with {handle.deal}, the venue has {deals}", now
            )
        case _:
            raise AssertionError(f"{state} is no end")


def check_pending(handle: PendingHandle, heard: int, verdict: Verdict, now: float) -> None:
    """One pending order: it has ended, and what it became has ended."""
    name, state = handle.request_id, handle.state
    if not verdict.check("P2", state.ended, f"pending order {name} is still {state.value}", now):
        return
    ends = [change for change in handle.log if change.state.ended]
    verdict.check("P2", len(ends) == 1 or bool(handle.anomalies), f"pending order {name}: {handle.log}", now)
    if state is PendingState.DENIED:
        verdict.check("P2", not heard, f"pending order {name} is denied, but the venue heard it", now)
    elif state is PendingState.TRIGGERED and handle.order is not None:
        order = handle.order
        verdict.check("P2", order.state.ended, f"the order of pending {name} is {order.state.value}", now)


def check_account(balance: Decimal, venue: Venue, key: AccountKey, verdict: Verdict) -> None:
    """The balance to the cent, and the venue's own books."""
    account, now = venue.exchange.book.accounts[key], trio.current_time()
    held = balance == account.balance
    verdict.check("P2", held, f"the balance of {key.uid} is {balance}, the venue has {account.balance}", now)
    held = account.balance + account.staked == account.deposited + account.earned
    verdict.check("P2", held, f"the venue's books of {key.uid} do not add up", now)


def pending_name(uid: int, amount: Decimal) -> str:
    """A pending order carries no id: users of the soak never ask for two of the same amount."""
    return f"pending-{uid}-{amount:.2f}"


def name_of(deal: Deal) -> str:
    """What the client called it; the venue keeps that as JSON."""
    return str(msgspec.json.decode(deal.request_id)) if deal.request_id else ""
