"""The account's deals: open and closed, own and external, by page and filter, with totals.

The venue has no request for a page of deals: it tells all open ones after login and when asked, and the last twenty
closed ones after login and after each settlement (`protocol.md` 7.5). So pages are cut out of what is known here: what
the client saw since it was opened, and those twenty.
"""

from __future__ import annotations

from datetime import datetime

from potrio.client.core import ClientCore
from potrio.client.deal_records import DealPage, DealRecord, DealTotals, page_of, records_of, totals_of
from potrio.errors import ConfigError, OrderNotFound
from potrio.limits import CLOSED_DEALS_KEPT_MAX, SETTLEMENT_GRACE
from potrio.protocol.messages.trading import Outcome

__all__ = ["DealCalls"]

PER_PAGE = 50


class DealCalls(ClientCore):
    """What a client knows of deals; a part of `Client`. Nothing here waits."""

    def opened_deals(self) -> list[DealRecord]:
        """The deals that are open now, own and external ones; the one that closes first comes first.

        An own deal stays until its result is known. An external one is not listed any more where ten seconds after its
        close time nobody has told its result: it is open no more (`deal` still shows it).
        """
        clock, wall = self._shared.account.clock, self._config.seam.wall()
        found = [
            record
            for record in self._records()
            if not record.is_closed
            and (
                record.request_id is not None
                or clock.to_wall(record.deal.close_timestamp) + SETTLEMENT_GRACE > wall
            )
        ]
        return found[::-1]

    def closed_deals(
        self,
        *,
        page: int = 1,
        per_page: int = PER_PAGE,
        asset: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        outcome: Outcome | str | None = None,
    ) -> DealPage:
        """One page of the closed deals that are known, newest first, with the totals of all that match.

        At most the newest 1000 are kept, and none from before `clear_closed_deals`.

        Args:
            page: from 1.
            per_page: 1 to 1000.
            asset: only of this symbol.
            since: only those that closed at or after this aware datetime.
            until: only those that closed before it.
            outcome: only ``"won"``, ``"lost"`` or ``"draw"``.

        Raises:
            ConfigError: an argument that cannot be meant.
        """
        for name, value, most in (("page", page, None), ("per_page", per_page, CLOSED_DEALS_KEPT_MAX)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= (most or value):
                raise ConfigError(name, f"must be a whole number from 1{f' to {most}' if most else ''}")
        return page_of(self._matching(asset, since, until, outcome), page, per_page)

    def deal_totals(
        self,
        *,
        asset: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        outcome: Outcome | str | None = None,
    ) -> DealTotals:
        """The totals of the closed deals that match; arguments and errors as `closed_deals`."""
        return totals_of(self._matching(asset, since, until, outcome))

    def deal(self, id: str) -> DealRecord:
        """The deal of this id, open or closed, listed or cleared.

        Raises:
            OrderNotFound: none of this id is known.
        """
        for record in self._records():
            if record.id == id:
                return record
        raise OrderNotFound(id)

    def clear_closed_deals(self) -> int:
        """Begin lists and totals anew: deals that are closed by now are left out of them for good. Returns how many.

        Nothing else is forgotten: `deal`, handles and results still know them, and the venue's telling them again does
        not bring them back.
        """
        gone = [record.id for record in self._matching(None, None, None, None)]
        cleared, known = self._shared.deals_cleared, {record.id for record in self._records()}
        cleared.intersection_update(known)  # what the book has forgotten needs no remembering here
        cleared.update(gone)
        return len(gone)

    def _records(self) -> list[DealRecord]:
        return records_of(self._shared.book, self._shared.account.clock)

    def _matching(
        self, asset: str | None, since: datetime | None, until: datetime | None, outcome: Outcome | str | None
    ) -> list[DealRecord]:
        for name, value in (("since", since), ("until", until)):
            if value is not None and value.tzinfo is None:
                raise ConfigError(name, "must be an aware datetime; a naive one names no moment")
        try:
            wanted = None if outcome is None else Outcome(outcome)
        except ValueError:
            raise ConfigError("outcome", f"is won, lost or draw, not {outcome!r}") from None
        cleared = self._shared.deals_cleared
        known = [record for record in self._records() if record.is_closed and record.id not in cleared]
        return [
            record
            for record in known[:CLOSED_DEALS_KEPT_MAX]
            if (asset is None or record.asset == asset)
            and (since is None or record.closes_at >= since)
            and (until is None or record.closes_at < until)
            and (wanted is None or record.outcome is wanted)
        ]
