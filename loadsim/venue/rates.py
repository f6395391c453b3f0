"""What one client and one account may send how often: the venue's own count, by sliding windows.

Apart from the client's limiter on purpose: that one fills buckets, this one remembers moments and counts those of the
last seconds, so that neither can share a mistake of the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Final

from msgspec import Struct

from potrio.errors import ConfigError

__all__ = ["REFUSABLE", "TOO_MANY", "Punishment", "RateBook", "RateConfig", "Window", "kind_of"]

ORDERS: Final = frozenset(
    {"openOrder", "cancelOrder", "openPendingOrder", "cancelPendingOrder", "cancelPendingOrders"}
)
SUBSCRIPTIONS: Final = frozenset(
    {"changeSymbol", "subfor", "unsubfor", "subscribeSymbol", "unSubscribeSymbol"}
)
UNCOUNTED: Final = frozenset({"auth", "ps", "ping-server"})
REFUSABLE: Final = frozenset({"openOrder", "openPendingOrder"})
"""Refused by their desk, in the shape that such a refusal has."""

TOO_MANY: Final = "TOO_MANY_REQUESTS"
"""The word of a refusal; what the real service says is not known."""

COUNT_MAX: Final = 100_000
ACCOUNTS_MAX: Final = 10_000


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """At most ``count`` in any ``seconds``."""

    count: int
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= COUNT_MAX:
            raise ConfigError("count", f"must be from 1 to {COUNT_MAX}")
        if not 0 < self.seconds <= 3600:
            raise ConfigError("seconds", "must be above 0 and at most 3600")


class Punishment(Enum):
    """What is done about an event too many."""

    COUNT = "count"
    """It is counted as a violation, and served."""
    REFUSE = "refuse"
    """It is not served: ``fail`` + its name, with the error ``TOO_MANY_REQUESTS``."""
    CLOSE = "close"
    """The connection is closed with 1008, as one that keeps breaking the rules is."""


class RateConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often one account may send, over all its connections; what is None is not limited.

    Attributes:
        messages: everything but ``auth`` and ``ps``.
        orders: placing and cancelling.
        subscriptions: starting and ending streams.
        requests: history and everything else.
        connection_messages: the same as ``messages``, of each connection.
        punishment: of each event too many.
        patience: after so many refusals of one connection it is closed with 1008; None: never.
    """

    messages: Window | None = None
    orders: Window | None = None
    subscriptions: Window | None = None
    requests: Window | None = None
    connection_messages: Window | None = None
    punishment: Punishment = Punishment.REFUSE
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.patience is not None and not 1 <= self.patience <= COUNT_MAX:
            raise ConfigError("patience", f"must be from 1 to {COUNT_MAX}, or left out")

    @property
    def is_limited(self) -> bool:
        """Whether there is anything to count."""
        return any(self.windows().values()) or self.connection_messages is not None

    def windows(self) -> dict[str, Window | None]:
        """The limits of an account by kind."""
        return {
            "messages": self.messages,
            "orders": self.orders,
            "subscriptions": self.subscriptions,
            "requests": self.requests,
        }


def kind_of(event: str) -> str:
    """The kind of an event; empty for what is not counted."""
    if event in UNCOUNTED:
        return ""
    if event in ORDERS:
        return "orders"
    return "subscriptions" if event in SUBSCRIPTIONS else "requests"


class _Log:
    """The moments of one kind that are still in the window."""

    __slots__ = ("moments",)

    def __init__(self) -> None:
        self.moments: deque[float] = deque()

    def has_room(self, window: Window, now: float) -> bool:
        moments = self.moments
        while moments and moments[0] <= now - window.seconds:
            moments.popleft()
        return len(moments) < window.count


class RateBook:
    """Who sent what lately.

    Args:
        config: how much is allowed.
        count: counts each event too many by a name: ``rate`` and the limit's.
    """

    def __init__(self, config: RateConfig, count: Callable[[str], None]) -> None:
        self._config = config
        self._count = count
        self._windows = {kind: window for kind, window in config.windows().items() if window is not None}
        self._logs: dict[Hashable, dict[str, _Log]] = {}
        self._refusals: dict[Hashable, int] = {}
        self._is_limited = config.is_limited

    def judge(self, account: Hashable, connection: Hashable, event: str, now: float) -> Punishment | None:
        """Count one event; returns what is done about it where it is one too many."""
        broken = self._take(account, connection, event, now)
        if not broken:
            return None
        self._count(f"rate {broken}")
        refusals = self._refusals[connection] = self._refusals.get(connection, 0) + 1
        if self._config.patience is not None and refusals >= self._config.patience:
            return Punishment.CLOSE
        return self._config.punishment

    def _take(self, account: Hashable, connection: Hashable, event: str, now: float) -> str:
        """Note one event, or return the limit that it breaks: one too many takes no room."""
        kind = kind_of(event) if self._is_limited else ""
        if not kind:
            return ""
        owned = [(account, each, self._windows[each]) for each in ("messages", kind) if each in self._windows]
        if self._config.connection_messages is not None:
            owned.append((connection, "connection_messages", self._config.connection_messages))
        logs = [(self._log(owner, each), each, window) for owner, each, window in owned]
        for log, each, window in logs:
            if not log.has_room(window, now):
                return each
        for log, _, _ in logs:
            log.moments.append(now)
        return ""

    def forget(self, connection: Hashable) -> None:
        """The connection has gone."""
        self._logs.pop(connection, None)
        self._refusals.pop(connection, None)

    def _log(self, owner: Hashable, kind: str) -> _Log:
        logs = self._logs.get(owner)
        if logs is None:
            while len(self._logs) >= ACCOUNTS_MAX:
                del self._logs[next(iter(self._logs))]
            logs = self._logs[owner] = {}
        return logs.setdefault(kind, _Log())
