"""The truth about what was on the wire, counted by the venue: ``GET /stats`` shows it as JSON.

A client's own counters are compared with these. So everything is counted where it happens: a frame when it was handed
to the network or came from it, an event by its name, an order by its request id, each however often it comes. Names
are bounded: what a stranger invents is counted as ``(other)`` after the first few hundred.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from loadsim.venue.deals import Book
from loadsim.venue.wire import number

__all__ = ["Stats"]

NAMES_MAX: Final = 300
NAME_CHARS_MAX: Final = 64
OTHER: Final = "(other)"


class Tally(dict[str, int]):
    """Counts by name, with a bound on names."""

    def count(self, name: str, by: int = 1) -> None:
        """Count one more."""
        name = name[:NAME_CHARS_MAX]
        if name not in self and len(self) >= NAMES_MAX:
            name = OTHER
        self[name] = self.get(name, 0) + by


class Stats:
    """All counters of one venue, since its start."""

    def __init__(self) -> None:
        self.connections_opened = 0
        self.connections_closed = 0
        self.connections_peak = 0
        self.connections_refused = 0
        self.authenticated = 0
        self.rejected = 0
        self.http_requests = 0
        self.text_received = 0
        self.binary_received = 0
        self.text_sent = 0
        self.binary_sent = 0
        self.pings_sent = 0
        self.pongs_received = 0
        self.ps_received = 0
        self.deals_opened = 0
        self.deals_settled = 0
        self.deals_cancelled = 0
        self.events_received = Tally()
        self.events_sent = Tally()
        self.violations = Tally()
        self.faults = Tally()
        self.closes = Tally()

    @property
    def connections(self) -> int:
        """How many are open now."""
        return self.connections_opened - self.connections_closed

    @property
    def ticks_sent(self) -> int:
        """How many ticks were handed to the network: each is alone in its event (`protocol.md` rule 10)."""
        return self.events_sent.get("updateStream", 0)

    def opened(self) -> None:
        """Count a connection."""
        self.connections_opened += 1
        self.connections_peak = max(self.connections_peak, self.connections)

    def closed(self, reason: str) -> None:
        """Count the end of a connection and why it ended."""
        self.connections_closed += 1
        self.closes.count(reason)

    def received(self, messages: Iterable[str | bytes]) -> None:
        """Count WebSocket messages from a client."""
        for message in messages:
            if isinstance(message, bytes):
                self.binary_received += 1
            else:
                self.text_received += 1
                if message[:1] == "3":
                    self.pongs_received += 1

    def sent(self, messages: Iterable[str | bytes]) -> None:
        """Count WebSocket messages that were handed to the network."""
        for message in messages:
            if isinstance(message, bytes):
                self.binary_sent += 1
            else:
                self.text_sent += 1
                if message == "2":
                    self.pings_sent += 1

    def snapshot(self, book: Book, *, uptime_s: float, stamp: float) -> dict[str, Any]:
        """Return everything as plain values; no session is among them."""
        return {
            "uptime_s": round(uptime_s, 3),
            "stamp": round(stamp, 3),
            "connections": {
                "now": self.connections,
                "peak": self.connections_peak,
                "opened": self.connections_opened,
                "closed": self.connections_closed,
                "refused": self.connections_refused,
                "authenticated": self.authenticated,
                "rejected": self.rejected,
                "closes": dict(self.closes),
            },
            "frames": {
                "text_received": self.text_received,
                "binary_received": self.binary_received,
                "text_sent": self.text_sent,
                "binary_sent": self.binary_sent,
            },
            "pings_sent": self.pings_sent,
            "pongs_received": self.pongs_received,
            "ps_received": self.ps_received,
            "ticks_sent": self.ticks_sent,
            "http_requests": self.http_requests,
            "events_received": dict(self.events_received),
            "events_sent": dict(self.events_sent),
            "orders": dict(book.orders),
            "deals": {
                "opened": self.deals_opened,
                "settled": self.deals_settled,
                "cancelled": self.deals_cancelled,
            },
            "accounts": _accounts(book),
            "violations": dict(self.violations),
            "faults": dict(self.faults),
        }


def _accounts(book: Book) -> list[dict[str, Any]]:
    return [
        {
            "uid": account.uid,
            "isDemo": int(account.is_demo),
            "balance": number(account.balance),
            "staked": number(account.staked),
            "deposited": number(account.deposited),
            "earned": number(account.earned),
            "open": len(book.opened(account.key)),
            "won": account.won,
            "lost": account.lost,
            "draw": account.drawn,
            "cancelled": account.cancelled,
        }
        for account in book.accounts.values()
    ]
