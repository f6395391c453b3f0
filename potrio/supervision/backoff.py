"""How long to wait before a restart: exponential, capped, with jitter from a generator that is handed in (pure)."""

from __future__ import annotations

import math
import random
from typing import Literal

import msgspec

from potrio.actor_errors import ChildSpecInvalid

__all__ = ["Backoff", "Jitter"]

Jitter = Literal["full", "equal", "none"]

DOUBLINGS_MAX = 64
"""Past this many doublings the cap has long been reached, and ``2 ** k`` would leave the range of floats."""


class Backoff(msgspec.Struct, frozen=True):
    """Delay number k is drawn from ``[0, min(cap, base * 2**(k - 1))]`` seconds (``jitter="full"``).

    Attributes:
        base: the first delay's upper end; 0 restarts at once.
        cap: no delay is longer.
        jitter: ``full``: anywhere in the range. ``equal``: its upper half. ``none``: its upper end.
        reset_after: k starts again at 1 once an incarnation was *ready* this long; a mere restart does not reset it.
    """

    base: float = 0.1
    cap: float = 30.0
    jitter: Jitter = "full"
    reset_after: float = 60.0

    def __post_init__(self) -> None:
        for name in ("base", "cap", "reset_after"):
            value = getattr(self, name)
            if not value >= 0:
                raise ChildSpecInvalid("backoff", f"{name} must be >= 0 seconds, not {value}")
        if self.cap == math.inf:
            raise ChildSpecInvalid("backoff", "cap must be finite")
        if self.jitter not in ("full", "equal", "none"):
            raise ChildSpecInvalid("backoff", f"jitter must be full, equal or none, not {self.jitter!r}")

    @classmethod
    def none(cls) -> Backoff:
        """Restart at once, always; the intensity limit is then the only brake."""
        return cls(base=0.0)

    def ceiling(self, attempt: int) -> float:
        """The upper end of delay number ``attempt`` (from 1)."""
        assert attempt >= 1
        return min(self.cap, self.base * 2.0 ** min(attempt - 1, DOUBLINGS_MAX))

    def delay(self, attempt: int, generator: random.Random) -> float:
        """Draw delay number ``attempt`` (from 1)."""
        ceiling = self.ceiling(attempt)
        if ceiling == 0.0:
            return 0.0
        match self.jitter:
            case "full":
                return generator.uniform(0.0, ceiling)
            case "equal":
                return generator.uniform(ceiling / 2, ceiling)
            case "none":
                return ceiling

    def next_attempt(self, attempt: int, ready_for: float) -> int:
        """The number of the delay after an incarnation that was ready for ``ready_for`` seconds (0: never ready)."""
        return 1 if 0 < self.reset_after <= ready_for else attempt + 1
