"""The limiter: how much may be sent for one account and from one address, by all sessions that share a `RateLimits`.

Four token buckets for each account and for each address: one for every message, one for each lane (orders,
subscriptions, requests). A message leaves when all of them allow it. Who is not allowed yet has a place in a queue:
those of a higher lane, and those who came earlier, have their tokens kept for them, so that a flood of history takes
nothing from an order, and nobody starves in its own lane. A part of each message bucket is kept for the higher lanes,
where nobody has to wait.

Nothing here waits or knows a clock: a `Gate` answers how long it will be. `turnstile.py` holds what waits meanwhile.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Hashable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from potrio.actors.token_bucket import TokenBucket
from potrio.errors import ConfigError, RateLimited
from potrio.limits import RATE_BACK_OFF, RATE_BACK_OFF_MAX, RATE_HOLD_MAX, RATE_WAIT_MIN
from potrio.protocol.ssid import Ssid

__all__ = [
    "FREE_EVENTS",
    "ORDER_EVENTS",
    "UNLIMITED",
    "Gate",
    "Lane",
    "LaneStatistics",
    "Rate",
    "RateLimits",
    "Rates",
    "account_of",
    "address_of",
    "check_rate",
    "lane_of",
    "refused_lane",
]


class Lane(enum.IntEnum):
    """What goes first when not everything may go."""

    ORDERS = 0
    SUBSCRIPTIONS = 1
    REQUESTS = 2


ORDER_EVENTS: Final = frozenset(
    {
        *("openOrder", "cancelOrder", "openPendingOrder", "cancelPendingOrder", "cancelPendingOrders"),
        *("copyOrder", "copySignalOrder", "deals/double-up", "deals/rollover", "deals/ai"),
        *("openExpress", "openFreeTrade"),
    }
)
SUBSCRIPTION_EVENTS: Final = frozenset(
    {"changeSymbol", "subfor", "unsubfor", "subscribeSymbol", "unSubscribeSymbol"}
)
FREE_EVENTS: Final = frozenset({"auth", "ps", "ping-server"})
"""Without these the session itself would end: they never wait."""


REFUSAL_BYTES: Final = 512
TOO_MANY_WORDS: Final = (
    b"too_many_re",
    b"too_many_or",
    b"too_many_me",
    b"rate_limit",
    b"ratelimit",
    b"throttl",
    b"flood",
)
"""Not ``MaxDemoTrades`` and its like, which mean deals that are open, not messages that were sent."""


def lane_of(name: str) -> Lane | None:
    """The lane of an event from the client; None for what is never held up."""
    if name in FREE_EVENTS:
        return None
    if name in ORDER_EVENTS:
        return Lane.ORDERS
    return Lane.SUBSCRIPTIONS if name in SUBSCRIPTION_EVENTS else Lane.REQUESTS


def account_of(ssid: Ssid) -> Hashable:
    """What tells one account's budget from another's; the token itself stays a `Secret`."""
    return (ssid.uid if ssid.uid is not None else ssid.session, ssid.is_demo)


def check_rate(
    lane: Lane, wait: float, now: float, wall: float, until: float, patience: float = RATE_HOLD_MAX
) -> None:
    """Refuse at once what could not leave before ``until``, or within ``patience`` seconds.

    Args:
        wait: what the limiter forecasts.
        now, until: on the clock of deadlines.
        wall: Unix seconds, for the error.

    Raises:
        RateLimited: it would have to wait too long; nothing was sent.
    """
    if wait > 0.0 and (wait > patience or now + wait > until):
        raise RateLimited(lane.name.lower(), wall + wait, wait)


def address_of(url: str | None) -> Hashable:
    """What tells one venue's budget from another's; all regions of the public one are the same venue."""
    return "public" if url is None else urlsplit(url).netloc.lower()


def refused_lane(name: str, payload: bytes) -> Lane | None:
    """The lane of a request that the venue refused for being one too many (``fail`` + its name); None: not for that.

    What the real service says is not known; these are the words that such services use.
    """
    said = payload[:REFUSAL_BYTES].lower().replace(b" ", b"_")
    return lane_of(name.removeprefix("fail")) if any(word in said for word in TOO_MANY_WORDS) else None


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many ``per_second`` on average, and ``burst`` at once."""

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        if not self.per_second > 0:
            raise ConfigError("per_second", f"must be above 0, not {self.per_second}")
        if not self.burst >= 1:
            raise ConfigError("burst", f"must be at least 1, not {self.burst}")


UNLIMITED: Final = Rate(math.inf, math.inf)


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The budget of one account or one address.

    The defaults are far above what a person or a chart does, and half of what the simulated venue takes from one
    connection (200 events a second, 2000 at once): nobody has published what the real one takes.

    Attributes:
        messages: everything that is limited, together. Half of its burst is kept for orders and subscriptions, a
            quarter for orders.
        orders: placing and cancelling.
        subscriptions: starting and ending streams.
        requests: history and everything else.
    """

    messages: Rate = Rate(100.0, 1000.0)
    orders: Rate = Rate(50.0, 250.0)
    subscriptions: Rate = Rate(50.0, 250.0)
    requests: Rate = Rate(50.0, 500.0)

    @classmethod
    def unlimited(cls) -> Rates:
        """No limits at all."""
        return cls(messages=UNLIMITED, orders=UNLIMITED, subscriptions=UNLIMITED, requests=UNLIMITED)


KEPT: Final = (0.0, 0.25, 0.5)
"""The part of a message bucket that the messages of a lane leave to the higher ones."""


class LaneStatistics(msgspec.Struct, frozen=True):
    """Counters of one lane: sent, had to wait for their turn, and refused because it would have come too late."""

    sent: int
    waited: int
    denied: int


class _Counters:
    def __init__(self) -> None:
        self.sent = self.waited = self.denied = 0


class _Budget:
    """The buckets of one account or address, and who waits for them."""

    def __init__(self, rates: Rates) -> None:
        self.total = TokenBucket(rates.messages.per_second, rates.messages.burst)
        self.buckets = tuple(
            TokenBucket(rate.per_second, rate.burst)
            for rate in (rates.orders, rates.subscriptions, rates.requests)
        )
        burst = rates.messages.burst
        self.kept = tuple(0.0 if burst == math.inf else math.floor(burst * part) for part in KEPT)
        self.waiting: tuple[dict[Gate, None], ...] = ({}, {}, {})  # by lane, first come first
        self.blocked_until = [-math.inf] * 3  # the venue said that it was too much
        self.refusals = [0] * 3
        self.gates = 0

    def wait(self, lane: Lane, gate: Gate, now: float, count: int) -> float:
        """Seconds until ``gate`` may send ``count`` messages, those before it having sent theirs."""
        queue = self.waiting[lane]
        before = list(queue).index(gate) if gate in queue else len(queue)
        above = sum(self.able(higher, now) for higher in range(lane))
        return max(
            self.buckets[lane].wait(now, count + before),
            self.total.wait(now, count + before + above + self.kept[lane]),
            self.blocked_until[lane] - now,
        )

    def able(self, lane: int, now: float) -> int:
        """How many of those that wait in this lane wait for no more than the messages of all lanes.

        Those that their own lane holds up leave theirs to others: kept for them, it would be lost where the bucket of
        all is small, and nothing of the lanes below would leave as long as they wait.
        """
        waiting = len(self.waiting[lane])
        if not waiting or self.blocked_until[lane] > now:
            return 0
        there = self.buckets[lane].tokens(now) + RATE_WAIT_MIN
        return waiting if there >= waiting else int(there)

    def refused(self, lane: Lane, now: float) -> None:
        """Leave the venue alone for a while, twice as long each time; what was under way then counts once."""
        if now < self.blocked_until[lane]:
            return
        long_ago = now - self.blocked_until[lane] > RATE_BACK_OFF_MAX
        self.refusals[lane] = 0 if long_ago else self.refusals[lane] + 1
        self.blocked_until[lane] = now + min(RATE_BACK_OFF_MAX, RATE_BACK_OFF * 2.0 ** self.refusals[lane])

    def is_fresh(self, now: float) -> bool:
        """Nobody uses it, and a new one would be no different?"""
        buckets = (self.total, *self.buckets)
        return (
            not self.gates
            and all(bucket.is_full(now) for bucket in buckets)
            and all(now - until > RATE_BACK_OFF_MAX for until in self.blocked_until)
        )


class RateLimits:
    """The budgets that several clients of one trio run share: hand the same object to each `open_client`.

    Args:
        account: the budget of each account, whatever the session.
        address: the budget of all sessions together that go out from one address to one venue.

    Example:
        >>> limits = RateLimits(account=Rates(orders=Rate(2.0, 5)))
        >>> limits.statistics()[Lane.ORDERS]
        LaneStatistics(sent=0, waited=0, denied=0)
    """

    def __init__(self, account: Rates | None = None, address: Rates | None = None) -> None:
        self.account = account or Rates()
        self.address = address or Rates()
        self._budgets: dict[tuple[str, Hashable], _Budget] = {}
        self._counters = (_Counters(), _Counters(), _Counters())

    @classmethod
    def unlimited(cls) -> RateLimits:
        """No limits: for a venue of your own."""
        return cls(Rates.unlimited(), Rates.unlimited())

    def gate(self, account: Hashable, address: Hashable, now: float) -> Gate:
        """The way out of one session; close it when the session has ended."""
        for key in [key for key, budget in self._budgets.items() if budget.is_fresh(now)]:
            del self._budgets[key]
        return Gate(
            (
                self._budgets.setdefault(("account", account), _Budget(self.account)),
                self._budgets.setdefault(("address", address), _Budget(self.address)),
            ),
            self._counters,
        )

    def statistics(self) -> dict[Lane, LaneStatistics]:
        """The counters of all sessions together, by lane."""
        return {
            lane: LaneStatistics(c.sent, c.waited, c.denied)
            for lane, c in zip(Lane, self._counters, strict=True)
        }


class Gate:
    """Where one session asks whether it may send. Nothing here waits."""

    def __init__(self, budgets: tuple[_Budget, ...], counters: tuple[_Counters, ...]) -> None:
        self._budgets = budgets
        self._counters = counters
        self._open = True
        for budget in budgets:
            budget.gates += 1

    def ask(self, lane: Lane, now: float) -> float:
        """May one message of this lane leave? 0.0: yes, and it counts as sent. Else: ask again in so many seconds.

        A gate that has to wait keeps its place in the queue until it asks with success or `withdraw`s.
        """
        assert self._open, "a closed gate lets nothing pass"
        wait = self.forecast(lane, now)
        if wait > 0.0:
            fresh = [budget for budget in self._budgets if self not in budget.waiting[lane]]
            for budget in fresh:
                budget.waiting[lane][self] = None
            self._counters[lane].waited += bool(fresh)
            return max(wait, RATE_WAIT_MIN)
        for budget in self._budgets:
            budget.waiting[lane].pop(self, None)
            budget.buckets[lane].take(now)
            budget.total.take(now)
        self._counters[lane].sent += 1
        return 0.0

    def forecast(self, lane: Lane, now: float, count: int = 1) -> float:
        """Seconds until ``count`` messages of this lane would have left, if no one else came; takes nothing."""
        return max(0.0, *(budget.wait(lane, self, now, count) for budget in self._budgets))

    def withdraw(self, lane: Lane) -> None:
        """Nothing of this lane waits here any more."""
        for budget in self._budgets:
            budget.waiting[lane].pop(self, None)

    def denied(self, lane: Lane) -> None:
        """Count a message that was refused because its turn would have come too late."""
        self._counters[lane].denied += 1

    def refused(self, lane: Lane, now: float) -> None:
        """The venue said that it was too much: hold the lane up, for everybody of this account and this address."""
        for budget in self._budgets:
            budget.refused(lane, now)

    def close(self) -> None:
        """The session has ended; again does nothing."""
        if self._open:
            self._open = False
            for lane in Lane:
                self.withdraw(lane)
            for budget in self._budgets:
                budget.gates -= 1
