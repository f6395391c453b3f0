"""A circuit breaker: after some failures in a row nobody is let through for a while, and then one probe at a time.

Pure: a state machine with the time as an argument. Every call that is let through gets a `Ticket` of the generation
it began in; the generation changes with the state, so that what comes of an old call, however late, opens or closes
nothing. A probe whose caller goes away without an outcome gives its place to the next.
"""

from __future__ import annotations

import enum
import math
from typing import Final

import msgspec

from potrio.errors import ConfigError

__all__ = ["Breaker", "BreakerState", "BreakerStatistics", "Ticket"]

FAILURES: Final = 5
RECOVERY_S: Final = 10.0


class BreakerState(enum.Enum):
    """Where a breaker is."""

    CLOSED = "closed"
    """Everybody is let through."""
    OPEN = "open"
    """Nobody is."""
    HALF_OPEN = "half_open"
    """One is, and its outcome decides."""


class Ticket(msgspec.Struct, frozen=True):
    """One call that was let through."""

    generation: int
    number: int


class BreakerStatistics(msgspec.Struct, frozen=True):
    """Counters: calls let through and not, how they ended, outcomes that came too late to count, times it opened."""

    state: BreakerState
    entered: int
    rejected: int
    succeeded: int
    failed: int
    ignored: int
    opened: int


class Breaker:
    """Decides whether to call at all.

    Args:
        name: of what is protected; for errors.
        failures: so many in a row open it.
        recovery_s: from its opening to the first probe; a probe that fails opens it for as long again.
    """

    def __init__(self, name: str, *, failures: int = FAILURES, recovery_s: float = RECOVERY_S) -> None:
        if failures < 1:
            raise ConfigError("failures", f"must be at least 1, not {failures}")
        if not 0 < recovery_s < math.inf:
            raise ConfigError("recovery_s", f"must be a number of seconds > 0, not {recovery_s}")
        self.name = name
        self._failures_max = failures
        self._recovery_s = recovery_s
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._failures = 0  # in a row
        self._retry_at = -math.inf
        self._probe: Ticket | None = None
        self._number = 0
        self._entered = self._rejected = self._succeeded = self._failed = self._ignored = self._opened = 0

    def state(self, now: float) -> BreakerState:
        """Where it is; an open one is half open from the moment it may be tried."""
        if self._state is BreakerState.OPEN and now >= self._retry_at:
            self._enter(BreakerState.HALF_OPEN)
        return self._state

    def enter(self, now: float) -> Ticket | float:
        """Ask to be let through: a ticket, whose outcome must be told; or, where not, the seconds until it is worth
        asking again (while a probe is under way, as long as a failure of it would close the way).
        """
        state = self.state(now)
        if state is BreakerState.OPEN:
            self._rejected += 1
            return self._retry_at - now
        if state is BreakerState.HALF_OPEN and self._probe is not None:
            self._rejected += 1
            return self._recovery_s
        self._number += 1
        self._entered += 1
        ticket = Ticket(self._generation, self._number)
        if state is BreakerState.HALF_OPEN:
            self._probe = ticket
        return ticket

    def succeeded(self, ticket: Ticket, now: float) -> None:
        """The call was answered."""
        if not self._counts(ticket, now):
            return
        self._succeeded += 1
        self._failures = 0
        if self._state is BreakerState.HALF_OPEN:
            self._enter(BreakerState.CLOSED)

    def failed(self, ticket: Ticket, now: float) -> None:
        """The call failed in a way that speaks against the other side."""
        if not self._counts(ticket, now):
            return
        self._failed += 1
        self._failures += 1
        if self._state is BreakerState.HALF_OPEN or self._failures >= self._failures_max:
            self._enter(BreakerState.OPEN)
            self._retry_at = now + self._recovery_s
            self._opened += 1

    def abandoned(self, ticket: Ticket) -> None:
        """The caller has gone, or the call ended in a way that says nothing about the other side."""
        if self._probe == ticket:
            self._probe = None

    def statistics(self, now: float) -> BreakerStatistics:
        """The counters now."""
        return BreakerStatistics(
            self.state(now),
            self._entered,
            self._rejected,
            self._succeeded,
            self._failed,
            self._ignored,
            self._opened,
        )

    def _counts(self, ticket: Ticket, now: float) -> bool:
        """Does the outcome of this call say something about the present state?"""
        self.state(now)
        fits = ticket.generation == self._generation
        if self._state is BreakerState.HALF_OPEN:
            fits = ticket == self._probe
        self._ignored += not fits
        return fits

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._generation += 1
        self._failures = 0
        self._probe = None
