"""Pending orders: deals that are to be opened at a time, or when a price is reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache

from msgspec import Struct

from loadsim.venue.accounts import AccountKey
from loadsim.venue.deals import Command

__all__ = ["NO_TIME", "OpenType", "PendingBook", "PendingOrder", "read_time", "show_time"]

NO_TIME = "0000-00-00 00:00:00"
"""The ``openTime`` of an order that waits for a price (`protocol.md` 7.8)."""

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class OpenType(Enum):
    """What the order waits for; the number is the wire's."""

    TIME = 0
    PRICE = 1


class PendingOrder(Struct, frozen=True, kw_only=True):
    """One order that waits.

    Attributes:
        ticket: what it is cancelled by.
        number: the small ``id`` of the wire.
        open_ms: when it opens (TIME).
        rising: whether the price has to rise to ``open_price`` (PRICE).
    """

    ticket: str
    number: int
    uid: int
    is_demo: bool
    open_type: OpenType
    asset: str
    amount: Decimal
    command: Command
    timeframe_s: int
    min_payout: int
    created_ms: int
    open_ms: int = 0
    open_price: float = 0
    rising: bool = False

    @property
    def key(self) -> AccountKey:
        """The account it belongs to."""
        return AccountKey(self.uid, self.is_demo)

    def is_due(self, now_ms: int) -> bool:
        """Tell whether its time has come."""
        return self.open_type is OpenType.TIME and self.open_ms <= now_ms

    def is_reached(self, price: float) -> bool:
        """Tell whether this price opens it."""
        if self.open_type is not OpenType.PRICE:
            return False
        return price >= self.open_price if self.rising else price <= self.open_price


class PendingBook:
    """All orders that wait. They are few (the accounts' limits bound them), so a scan is fast enough."""

    def __init__(self) -> None:
        self._orders: dict[str, PendingOrder] = {}
        self.next_number = 1

    def __iter__(self) -> Iterator[PendingOrder]:
        return iter(tuple(self._orders.values()))

    def add(self, order: PendingOrder) -> None:
        """Let an order wait."""
        self._orders[order.ticket] = order
        self.next_number = max(self.next_number, order.number + 1)

    def remove(self, key: AccountKey, ticket: str) -> PendingOrder | None:
        """Take an order of this account out, whether it is cancelled or opens now."""
        order = self._orders.get(ticket)
        if order is None or order.key != key:
            return None
        return self._orders.pop(ticket)

    def of(self, key: AccountKey) -> list[PendingOrder]:
        """Return the account's waiting orders, oldest first."""
        return [order for order in self._orders.values() if order.key == key]

    def due(self, now_ms: int) -> list[PendingOrder]:
        """Return the orders whose time has come."""
        return sorted(
            (o for o in self._orders.values() if o.is_due(now_ms)), key=lambda o: (o.open_ms, o.number)
        )

    def reached(self, asset: str, price: float) -> list[PendingOrder]:
        """Return the orders that this price of the asset opens."""
        return [o for o in self._orders.values() if o.asset == asset and o.is_reached(price)]

    def next_time_ms(self) -> int | None:
        """Return when the next order opens by time."""
        return min((o.open_ms for o in self._orders.values() if o.open_type is OpenType.TIME), default=None)

    def watched(self) -> set[str]:
        """Return the assets whose price some order waits for."""
        return {o.asset for o in self._orders.values() if o.open_type is OpenType.PRICE}

    def restore(self, orders: Iterable[PendingOrder]) -> None:
        """Take back the orders of a state file."""
        for order in orders:
            self.add(order)


def read_time(text: str) -> int | None:
    """Return the venue stamp, in seconds, of a wall-clock time of the wire; None if it is not one."""
    try:
        moment = datetime.strptime(text, TIME_FORMAT)
    except ValueError:
        return None
    return int(moment.replace(tzinfo=UTC).timestamp())


@lru_cache(8_192)
def show_time(stamp: int) -> str:
    """Return a venue stamp as the wire writes times of day."""
    return datetime.fromtimestamp(stamp, UTC).strftime(TIME_FORMAT)
