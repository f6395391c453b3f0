"""Restart intensity: a sliding window over the restarts of one supervisor (pure)."""

from __future__ import annotations

import math

import msgspec

from potrio.actor_errors import ChildSpecInvalid

__all__ = ["Intensity", "Limit"]


class Limit(msgspec.Struct, frozen=True):
    """More than ``restarts`` within any ``within`` seconds end the supervisor. A restart of a group counts once.

    Example:
        >>> Limit(2, within=60)
        Limit(restarts=2, within=60)
    """

    restarts: float = 3
    within: float = 5.0

    def __post_init__(self) -> None:
        if not self.restarts >= 0:
            raise ChildSpecInvalid("limit", f"restarts must be >= 0, not {self.restarts}")
        if not 0 < self.within < math.inf:
            raise ChildSpecInvalid("limit", f"within must be a positive number of seconds, not {self.within}")

    @classmethod
    def never(cls) -> Limit:
        """Restart for ever. Has to be written out, because it is seldom what one wants."""
        return cls(math.inf)


class Intensity:
    """The restarts of the last ``within`` seconds. Holds at most ``restarts + 1`` moments."""

    __slots__ = ("_limit", "_moments")

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._moments: list[float] = []

    def add(self, now: float) -> bool:
        """Count one restart; tell whether it is still allowed.

        A restart exactly ``within`` seconds ago is outside the window, so that ``restarts`` every ``within`` seconds
        may go on for ever.
        """
        if self._limit.restarts == math.inf:
            return True
        moments = self._moments
        while moments and moments[0] <= now - self._limit.within:
            del moments[0]
        moments.append(now)
        return len(moments) <= self._limit.restarts
