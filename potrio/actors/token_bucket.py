"""A token bucket: so much per second on average, so much at once; it says how long to wait instead of being polled.

Pure: the time is an argument, on any clock that does not run faster than the one the other side measures with. A clock
that jumps back gives nothing for free: the tokens stay, and fill from there.
"""

from __future__ import annotations

import math
from typing import Final

from potrio.errors import ConfigError

__all__ = ["TokenBucket"]

SLACK: Final = 1e-9
"""Of a token: what rounding may cost is not waited for, or a wait could end a breath before its token is there."""


class TokenBucket:
    """Holds at most ``burst`` tokens and fills by ``rate`` a second; it is full at first.

    In any window of t seconds at most ``burst + rate * t`` tokens leave it.
    """

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        if not rate > 0:
            raise ConfigError("rate", f"must be above 0, not {rate}")
        if not burst >= 1:
            raise ConfigError("burst", f"must be at least 1, not {burst}")
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._at = -math.inf

    def tokens(self, now: float) -> float:
        """How many are there."""
        if self.rate == math.inf or self.burst == math.inf:
            return math.inf
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        return self._tokens

    def wait(self, now: float, count: float = 1.0) -> float:
        """Seconds until ``count`` tokens will be there if nobody takes any; 0.0 if they are. May be asked for more
        than the bucket holds: then it is the time in which so many come.
        """
        missing = count - self.tokens(now)
        return 0.0 if missing <= SLACK else missing / self.rate

    def take(self, now: float, count: float = 1.0) -> float:
        """Take ``count`` tokens and return 0.0; where they are not there, take none and return the wait for them."""
        wait = self.wait(now, count)
        if wait == 0.0 and self._tokens != math.inf:
            self._tokens = max(0.0, self._tokens - count)
        return wait

    def is_full(self, now: float) -> bool:
        """Nothing would be lost by forgetting it?"""
        return self.tokens(now) >= self.burst - SLACK
