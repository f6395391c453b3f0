"""Orders and deals: opened, refused, settled, listed, cancelled, copied, doubled, rolled over."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from potrio.protocol.messages.base import (
    Flag,
    Integer,
    Message,
    Price,
    RequestId,
    Seconds,
    Symbol,
    Text,
    WholeStamp,
    check_money,
    check_symbol,
    normalise_flag,
)
from potrio.protocol.messages.wire import bare, rows, structured

__all__ = [
    "CLIENT_EVENTS",
    "SERVER_EVENTS",
    "CancelOrder",
    "ClosedDeals",
    "CopyOrder",
    "CopySignalOrder",
    "Deal",
    "DealsClosed",
    "DoubleUp",
    "OpenOrder",
    "OpenedDeals",
    "OrderFailed",
    "OrderOpened",
    "Outcome",
    "RequestOpenedDeals",
    "Rollover",
    "Side",
]

OPTION_TYPE_TURBO: Final = 100
"""``optionType`` of a trade with a duration, the only kind clients send."""


class Side(enum.Enum):
    """What a trade bets on: ``CALL`` that the price rises, ``PUT`` that it falls. The value is the wire's word."""

    CALL = "call"
    PUT = "put"

    @property
    def command(self) -> int:
        """The number deals carry for it: 0 or 1."""
        return 0 if self is Side.CALL else 1

    @classmethod
    def from_wire(cls, value: str | int) -> Side:
        """Read either spelling of the wire: ``"call"``/``"put"`` (any case) or ``0``/``1``.

        Raises:
            ValueError: it is neither.
        """
        if isinstance(value, str):
            return cls(value.lower())
        if value in (0, 1):
            return cls.PUT if value else cls.CALL
        raise ValueError("a side is call or put, 0 or 1")


class Outcome(enum.Enum):
    """How a deal ended."""

    WON = "won"
    LOST = "lost"
    DRAW = "draw"

    @classmethod
    def of(cls, profit: Decimal) -> Outcome:
        """Classify the signed profit of a **closed** deal; an open one carries the profit it may make."""
        if profit > 0:
            return cls.WON
        return cls.LOST if profit < 0 else cls.DRAW


Percent: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1000)] | Price


class Deal(Message, frozen=True, kw_only=True):
    """One deal, open or closed, as every event about deals carries it; the order of keys is the captured one.

    ``None`` means that the venue did not say (and is not written); ``UNSET`` that the key was absent where ``null``
    is a value of its own. All times are server clock.

    Attributes:
        profit: while open what the deal may win; once closed its signed result.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    open_time: Text | None = None
    close_time: Text | None = None
    open_timestamp: WholeStamp
    close_timestamp: WholeStamp
    refund_time: Text | UnsetType | None = UNSET
    refund_timestamp: WholeStamp | UnsetType | None = UNSET
    uid: Integer | None = None
    is_demo: Flag | None = None
    amount: Decimal
    profit: Decimal
    percent_profit: Percent
    percent_loss: Percent | None = None
    open_price: Price
    copy_ticket: Text | None = None
    close_price: Price | None = None
    command: Annotated[int, msgspec.Meta(ge=0, le=1)]
    asset: Symbol
    open_ms: Seconds | None = None
    close_ms: Seconds | None = None
    option_type: Integer | None = None
    is_rollover: bool | None = None
    is_copy_signal: bool | None = None
    is_ai: bool | None = msgspec.field(default=None, name="isAI")
    currency: Text | None = None
    amount_usd: Decimal | None = msgspec.field(default=None, name="amountUSD")

    def __post_init__(self) -> None:
        check_symbol(self.asset, self.id)
        check_money(self.amount, self.profit, self.amount_usd)
        normalise_flag(self, "is_demo")

    @property
    def side(self) -> Side:
        """What the deal bets on."""
        return Side.from_wire(self.command)

    @property
    def is_closed(self) -> bool:
        """Whether the deal itself says that it is over: it has a closing price or the millisecond of its closing."""
        return bool(self.close_price) or self.close_ms is not None

    @property
    def outcome(self) -> Outcome | None:
        """How the deal ended; None while it is open."""
        return Outcome.of(self.profit) if self.is_closed else None

    @property
    def won(self) -> bool:
        """Closed with a profit."""
        return self.outcome is Outcome.WON

    @property
    def lost(self) -> bool:
        """Closed with a loss."""
        return self.outcome is Outcome.LOST

    @property
    def draw(self) -> bool:
        """Closed at the opening price: the stake came back."""
        return self.outcome is Outcome.DRAW


# --- what a client asks ----------------------------------------------------------------------------------------------


class OpenOrder(Message, frozen=True, kw_only=True):
    """Client: ``openOrder``; answered by `OrderOpened` with the same request id, or by `OrderFailed` without one."""

    asset: Symbol
    amount: Decimal
    action: Side
    is_demo: Flag
    request_id: RequestId | UnsetType = UNSET
    option_type: Integer = msgspec.field(
        default_factory=lambda: OPTION_TYPE_TURBO
    )  # a factory is never omitted
    time: Seconds | None = None  # duration

    def __post_init__(self) -> None:
        check_symbol(self.asset)
        check_money(self.amount)
        normalise_flag(self, "is_demo")


class CancelOrder(Message, frozen=True):
    """Client: ``cancelOrder``: close an open deal early."""

    ticket: Text


class CopyOrder(Message, frozen=True):
    """Client: ``copyOrder``: open a deal like another trader's."""

    copy_ticket: Text


class CopySignalOrder(Message, frozen=True, kw_only=True):
    """Client: ``copySignalOrder``: open a deal as a signal says; ``signal_id`` is ``1784998080-EURUSD_otc-10800``."""

    symbol: Symbol
    amount: Decimal
    expired_at: WholeStamp
    action: Side
    is_demo: Flag
    request_id: RequestId | UnsetType = UNSET
    created_at: WholeStamp
    timeframe: Seconds
    signal_id: Text

    def __post_init__(self) -> None:
        check_symbol(self.symbol)
        check_money(self.amount)
        normalise_flag(self, "is_demo")


class DoubleUp(Message, frozen=True):
    """Client: ``deals/double-up``: open the same deal again."""

    ticket: Text


class Rollover(Message, frozen=True):
    """Client: ``deals/rollover``: pay to move a deal's expiry."""

    ticket: Text
    amount: Decimal

    def __post_init__(self) -> None:
        check_money(self.amount)


class RequestOpenedDeals(Message, frozen=True):
    """Client: ``updateOpenedDeals``: ask for `OpenedDeals`."""


# --- what a venue answers --------------------------------------------------------------------------------------------


class OrderOpened(Message, frozen=True):
    """Server: ``successopenOrder``. The request id is in this event only, never in a later copy of the deal.

    Attributes:
        request_id: as the client named it, of any JSON type; ``UNSET`` where the event is not for the one who asked.
    """

    deal: Deal
    request_id: RequestId | UnsetType = UNSET


class OrderFailed(Message, frozen=True, kw_only=True):
    """Server: ``failopenOrder``. It names no request: match it by amount and asset, oldest first.

    Attributes:
        error: the venue's word, empty where it gave none. With ``MaxDemoTrades`` the amount is the limit.
    """

    error: Text
    amount: Decimal | None = None
    asset: Symbol | None = None
    request_id: RequestId | UnsetType = UNSET

    def __post_init__(self) -> None:
        check_symbol(self.asset)
        check_money(self.amount)


class DealsClosed(Message, frozen=True):
    """Server: ``successcloseOrder``: the deals that just expired. ``profit`` is the sum of the positive results."""

    profit: Decimal | None
    deals: list[Deal]
    rejected: int = 0

    def __post_init__(self) -> None:
        check_money(self.profit)


class OpenedDeals(Message, frozen=True):
    """Server: ``updateOpenedDeals``: every open deal; after login and when asked, not when one is opened."""

    deals: list[Deal]
    rejected: int = 0


class ClosedDeals(Message, frozen=True):
    """Server: ``updateClosedDeals``: the last closed deals, newest first; after login and after each settlement."""

    deals: list[Deal]
    rejected: int = 0


# --- wire; answers to orders have forms of their own: `trading_wire` -------------------------------------------------

CLIENT_EVENTS: Final = (
    structured(OpenOrder, "openOrder"),
    structured(CancelOrder, "cancelOrder"),
    structured(CopyOrder, "copyOrder"),
    structured(CopySignalOrder, "copySignalOrder"),
    structured(DoubleUp, "deals/double-up"),
    structured(Rollover, "deals/rollover"),
    bare(RequestOpenedDeals, "updateOpenedDeals"),
)

SERVER_EVENTS: Final = (
    rows(OpenedDeals, Deal, "updateOpenedDeals"),
    rows(ClosedDeals, Deal, "updateClosedDeals"),
)
