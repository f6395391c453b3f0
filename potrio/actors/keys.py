"""The names by which the actors of a client find each other."""

from __future__ import annotations

from typing import Any

from potrio.supervision.child_spec import Key

__all__ = ["CONNECTION", "HISTORY", "JOURNAL", "MONITOR", "ORDER_BOOK", "PINGER", "ROUTER"]

# An actor's message type is defined in its own module, which imports this one; so the keys say Any here, and each
# module that tells an actor something takes the message from the module that defines it.
CONNECTION: Key[Any] = Key("connection")
PINGER: Key[Any] = Key("pinger")
ROUTER: Key[Any] = Key("router")
ORDER_BOOK: Key[Any] = Key("order_book")
HISTORY: Key[Any] = Key("history")
JOURNAL: Key[Any] = Key("journal")
MONITOR: Key[Any] = Key("monitor")
