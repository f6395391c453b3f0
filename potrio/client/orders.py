"""Checks of an order before it may go to the wire: against the venue's live list, not a table of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from decimal import Decimal, InvalidOperation, localcontext
from typing import TypeVar

from potrio.actor_errors import ActorError
from potrio.actors.book import Book
from potrio.actors.evidence import OrderState
from potrio.errors import OrderDenied
from potrio.limits import CONCURRENT_ORDERS_MAX, MONEY_MAX, SYMBOL_CHARS_MAX
from potrio.protocol.messages.market import Asset
from potrio.protocol.messages.trading import Side

__all__ = ["as_amount", "as_side", "check_order", "taken_on"]

H = TypeVar("H")

MONEY_DIGITS = 64
"""Digits to compare amounts with: `MONEY_MAX` and the cents fit in easily, whatever the caller's context is."""

EXPOSED = {OrderState.NEW, OrderState.SENT, OrderState.UNKNOWN, OrderState.OPEN}
"""States in which an order counts against the venue's limit of concurrent orders."""


def check_order(
    assets: Mapping[str, Asset],
    asset: str,
    side: Side | str,
    amount: Decimal | int | str,
    duration_s: int,
    book: Book,
    *,
    live: bool,
    arm_live: bool,
    request_id: str | None,
) -> tuple[Side, Decimal]:
    """Return side and amount in their own types if the order may be placed.

    Raises:
        OrderDenied: with what is wrong; nothing has been sent.
    """
    if live and not arm_live:
        raise OrderDenied("this is a live account; open the client with arm_live=True to trade real money")
    known = assets.get(asset)
    if known is None:
        raise OrderDenied(f"{asset!r} is not among the venue's assets")
    if not known.is_active:
        raise OrderDenied(f"{asset} is closed now")
    if request_id not in book.handles and request_id not in book.pending.handles:  # else it is no further one
        exposed = sum(book.handles[live].state in EXPOSED for live in book.live) + len(book.pending.live)
        if exposed >= CONCURRENT_ORDERS_MAX:
            raise OrderDenied(f"{exposed} orders are open, and the venue allows no more at once")
    check_duration(known, duration_s)
    check_request_id(request_id)
    return as_side(side), as_amount(amount)


async def taken_on(asked: Awaitable[H], handles: Mapping[str, H], request_id: str) -> H:
    """Wait for the order book's answer; where it crashed over the question, what it had written down by then decides.

    Cancelling before the handle is returned means that nothing was placed.

    Raises:
        OrderDenied: the book ended without having taken the order on; nothing was placed.
    """
    try:
        return await asked
    except ActorError as error:
        handle = handles.get(request_id)
        if handle is None:
            raise OrderDenied(
                "the order book ended before it took the order on; nothing was placed"
            ) from error
        return handle


def as_side(side: Side | str) -> Side:
    """Read a side by value or name."""
    if isinstance(side, Side):
        return side
    try:
        return Side(str(side).lower())
    except ValueError:
        raise OrderDenied(f"a side is 'call' or 'put', not {side!r}") from None


def as_amount(amount: Decimal | int | str) -> Decimal:
    """Read a stake exactly: positive, finite, whole cents."""
    if isinstance(amount, float | bool):
        raise OrderDenied(
            "an amount is a Decimal, an int or a decimal string; binary floats are not exact money"
        )
    try:
        exact = Decimal(amount)
    except (InvalidOperation, TypeError, ValueError):
        raise OrderDenied(f"an amount is a number, not {amount!r}") from None
    if not exact.is_finite() or exact <= 0:
        raise OrderDenied(f"an amount is a positive number, not {amount}")
    if exact > MONEY_MAX:
        raise OrderDenied(f"an amount is {MONEY_MAX} at most")
    with localcontext(prec=MONEY_DIGITS):
        cents = exact.quantize(Decimal("0.01"))
        if exact != cents:
            raise OrderDenied("an amount has whole cents, not fractions of them")
    return min(exact, cents, key=lambda same: len(str(same)))


def check_request_id(request_id: str | None) -> None:
    """Refuse an id that the wire cannot carry and give back unchanged."""
    if request_id is None:
        return
    if not isinstance(request_id, str) or not request_id.isprintable():
        raise OrderDenied("a request id is printable text")
    if not 0 < len(request_id) <= SYMBOL_CHARS_MAX:
        raise OrderDenied(f"a request id has 1 to {SYMBOL_CHARS_MAX} characters, not {len(request_id)}")


def check_duration(asset: Asset, duration_s: int) -> None:
    """Refuse a duration the asset does not offer: its listed ones, or any from its quick-trade minimum on."""
    if isinstance(duration_s, bool) or not isinstance(duration_s, int):
        raise OrderDenied(f"a duration is whole seconds, not {duration_s!r}")
    offered = sorted(duration.time for duration in asset.durations)
    least = min(asset.minimum_timeframe_s, *offered) if offered else asset.minimum_timeframe_s
    if duration_s < least:
        raise OrderDenied(f"{asset.symbol} can be traded for {least} s at least, not {duration_s}")
    if offered and duration_s > offered[-1]:
        raise OrderDenied(f"{asset.symbol} can be traded for {offered[-1]} s at most, not {duration_s}")
