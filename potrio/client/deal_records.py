"""The account's deals as one list (pure): own and external ones, each once, with totals that are exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from potrio.actors.book import Book
from potrio.actors.evidence import OrderState
from potrio.protocol.messages.trading import Deal, Outcome, Side
from potrio.protocol.server_clock import ServerClock

__all__ = ["DealPage", "DealRecord", "DealTotals", "page_of", "records_of", "totals_of"]

MONEY_DIGITS: Final = 64
"""Enough for the sum of a million of the largest and finest amounts the wire may carry, whatever the context is."""


class DealRecord(msgspec.Struct, frozen=True):
    """One deal with its times in UTC; ``deal`` is the venue's own account of it, in the venue's stamps.

    Attributes:
        request_id: of the order of this client that it belongs to; None for a deal that was made elsewhere.
        is_closed: the venue has told its result.
    """

    deal: Deal
    request_id: str | None
    is_closed: bool
    opened_at: datetime
    closes_at: datetime

    @property
    def id(self) -> str:
        """The venue's id."""
        return self.deal.id

    @property
    def asset(self) -> str:
        """The symbol."""
        return self.deal.asset

    @property
    def side(self) -> Side:
        """What it bets on."""
        return self.deal.side

    @property
    def amount(self) -> Decimal:
        """The stake."""
        return self.deal.amount

    @property
    def profit(self) -> Decimal | None:
        """The signed result; None while it is open."""
        return self.deal.profit if self.is_closed else None

    @property
    def outcome(self) -> Outcome | None:
        """Won, lost or draw; None while it is open."""
        return Outcome.of(self.deal.profit) if self.is_closed else None


class DealTotals(msgspec.Struct, frozen=True):
    """Sums over closed deals, exact to the last digit the venue told; ``profit`` is signed."""

    count: int
    won: int
    lost: int
    draw: int
    staked: Decimal
    profit: Decimal


class DealPage(msgspec.Struct, frozen=True):
    """One page of closed deals, newest first.

    Attributes:
        page: from 1.
        pages: how many there are; 1 where nothing matches.
        total: deals on all pages.
        totals: over all pages.
    """

    deals: tuple[DealRecord, ...]
    page: int
    pages: int
    total: int
    totals: DealTotals


def records_of(book: Book, clock: ServerClock) -> list[DealRecord]:
    """All deals the book knows, the one that closes last first; an owned deal is its order's, and nobody else's."""
    found = {deal.id: record_of(deal, None, deal.is_closed, clock) for deal in book.external.values()}
    for request_id, handle in book.handles.items():
        if handle.deal is not None:
            settled = handle.state is OrderState.SETTLED
            found[handle.deal.id] = record_of(handle.deal, request_id, settled, clock)
    return sorted(found.values(), key=newest, reverse=True)


def record_of(deal: Deal, request_id: str | None, is_closed: bool, clock: ServerClock) -> DealRecord:
    """A deal with its times in UTC."""
    opened = clock.to_utc(deal.open_timestamp) + min(deal.open_ms or 0, 999) / 1000
    closes = clock.to_utc(deal.close_timestamp)
    return DealRecord(
        deal, request_id, is_closed, datetime.fromtimestamp(opened, UTC), datetime.fromtimestamp(closes, UTC)
    )


def newest(record: DealRecord) -> tuple[int, int, int, int, str]:
    """By close time, then by open time; the id makes the order the same every time."""
    deal = record.deal
    return deal.close_timestamp, deal.close_ms or 0, deal.open_timestamp, deal.open_ms or 0, deal.id


def totals_of(records: Iterable[DealRecord]) -> DealTotals:
    """Add closed deals up; open ones do not count."""
    closed = [record for record in records if record.is_closed]
    outcomes = [record.outcome for record in closed]
    with localcontext(prec=MONEY_DIGITS):
        return DealTotals(
            count=len(closed),
            won=outcomes.count(Outcome.WON),
            lost=outcomes.count(Outcome.LOST),
            draw=outcomes.count(Outcome.DRAW),
            staked=sum((record.deal.amount for record in closed), Decimal(0)),
            profit=sum((record.deal.profit for record in closed), Decimal(0)),
        )


def page_of(records: Sequence[DealRecord], page: int, per_page: int) -> DealPage:
    """Cut one page out; a page past the last is empty."""
    pages = max(1, -(-len(records) // per_page))
    shown = tuple(records[(page - 1) * per_page : page * per_page])
    return DealPage(shown, page, pages, len(records), totals_of(records))
