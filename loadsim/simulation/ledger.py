"""The venue's own record of a run, kept beside the venue while it runs: what it heard on which connection, and when."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from loadsim.simulation.history import History
from loadsim.venue.connection import Connection
from loadsim.venue.deals import Deal
from loadsim.venue.server import Venue
from potrio.protocol.events import EventReceived
from potrio.protocol.server_session import ServerSession

__all__ = ["VenueLedger", "Violation"]


class Violation(msgspec.Struct, frozen=True):
    """Something that must never be. ``order`` is the request id of the order concerned, where there is one."""

    invariant: str
    text: str
    order: str = ""


class VenueLedger:
    """Listens at the venue's exchange.

    Attributes:
        heard: events of each connection, by name.
        logged_in: connections that have authenticated at least once.
        violations: what was seen while the run went on.
        moved: when (virtual seconds) the venue's clock was put forward, and by how much.
        on_order: called after an order was heard.
    """

    def __init__(
        self, venue: Venue, history: History, journal: Callable[[], sqlite3.Connection | None]
    ) -> None:
        self.venue = venue
        self.heard: dict[int, Counter[str]] = {}
        self.logged_in: set[int] = set()
        self.violations: list[Violation] = []
        self.moved: list[tuple[float, float]] = []
        self._history = history
        self._journal = journal
        exchange = venue.exchange
        self._event = exchange._event
        exchange._event = self._listen  # type: ignore[method-assign]  # the ear at the door

    def _listen(self, connection: Connection, event: EventReceived) -> Iterator[None]:
        number = connection.number
        self.heard.setdefault(number, Counter())[event.name] += 1
        if self.venue.exchange._seats[connection].visitor is not None:
            self.logged_in.add(number)
        if event.name == "openOrder":
            request_id = str(msgspec.json.decode(event.payload).get("requestId"))
            self._history.say(f"the venue hears order {request_id}", request_id)
            self._check_journal(request_id)
        return self._event(connection, event)

    @contextmanager
    def watching_logins(self) -> Iterator[None]:
        """Note what clients send before their login is accepted: the venue's session keeps it back until then."""
        accept = ServerSession.accept_auth

        def accepted(session: ServerSession, payload: bytes) -> Any:
            early = list(accept(session, payload))
            for event in early:
                name = getattr(event, "name", type(event).__name__)
                self.violations.append(Violation("P6 ready means ready", f"{name} was sent before the login"))
            return early

        with patch.object(ServerSession, "accept_auth", accepted):
            yield

    def check_rejected(self, request_id: str) -> None:
        """An order has just become REJECTED: then the venue has heard and not accepted it (I7)."""
        if request_id not in self.venue.exchange.book.orders:
            self.violations.append(
                Violation("I7 no false REJECTED", "rejected before the venue heard it", request_id)
            )
        elif deals := self.deals().get(request_id):
            text = f"rejected while the venue has deal {deals[0].id}"
            self.violations.append(Violation("I7 no false REJECTED", text, request_id))

    def _check_journal(self, request_id: str) -> None:
        database = self._journal()
        if database is None:
            return
        found = database.execute("SELECT 1 FROM orders WHERE request_id = ?", (request_id,)).fetchone()
        if found is None:
            self.violations.append(
                Violation("I2 journal before wire", "sent, and its intent is not on disk", request_id)
            )

    def utc_at(self, now: float) -> float:
        """What the venue's clock showed at a moment of the virtual clock (Unix), with all its errors."""
        return self.venue.exchange._clock._anchor + now - sum(by_s for at, by_s in self.moved if at > now)

    def deals(self) -> dict[str, list[Deal]]:
        """All deals by the request id of their order."""
        book = self.venue.exchange.book
        found: dict[str, list[Deal]] = {}
        for key in book.accounts:
            for deal in (*book.opened(key), *book.closed(key, 1 << 30)):
                name: Any = msgspec.json.decode(deal.request_id) if deal.request_id else ""
                found.setdefault(str(name), []).append(deal)
        return found
