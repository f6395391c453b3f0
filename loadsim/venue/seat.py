"""What the venue knows of one connection besides its account: its deadlines and its budget of events."""

from __future__ import annotations

from typing import Final

from loadsim.venue.visitor import Visitor

__all__ = ["Seat"]

BURST_S: Final = 10.0
"""A connection may send the events of so many seconds at once."""


class Seat:
    """The seat of one connection.

    Args:
        now: when it was taken.
        auth_timeout_s: until when the client must have logged in.
        budget: events per second, on average.
    """

    __slots__ = ("_allowance", "_asked", "_auth_timeout_s", "_budget", "_login_by", "last_ps", "visitor")

    def __init__(self, now: float, *, auth_timeout_s: float, budget: float) -> None:
        self.visitor: Visitor | None = None
        self.last_ps = now
        self._auth_timeout_s = auth_timeout_s
        self._login_by = now + auth_timeout_s
        self._budget = budget
        self._allowance = budget * BURST_S
        self._asked = now

    def deadline(self, ps_deadline_s: float) -> float:
        """When the connection is to be ended."""
        if self.visitor is None:
            return self._login_by
        return self.last_ps + ps_deadline_s

    def login(self, visitor: Visitor, now: float) -> None:
        """Note who it is; the time for ``ps`` begins."""
        self.visitor = visitor
        self.last_ps = now

    def logout(self, now: float) -> None:
        """Note that nobody is logged in any more."""
        self.visitor = None
        self._login_by = now + self._auth_timeout_s

    def allow(self, now: float, cost: float = 1.0) -> bool:
        """Take one event, or work that costs as much, from the budget (a token bucket); False if it is used up."""
        full = self._budget * BURST_S
        self._allowance = min(full, self._allowance + (now - self._asked) * self._budget)
        self._asked = now
        if self._allowance < cost:
            return False
        self._allowance -= cost
        return True
