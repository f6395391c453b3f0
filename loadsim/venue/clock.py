"""The venue's clock: wall time read once at the start, carried on by the monotonic clock, plus the venue's offset.

A wall clock that jumps therefore moves no deadline and repeats no tick, and under a virtual clock the venue's time is
virtual too.
"""

from __future__ import annotations

from potrio.seam import REAL, Seam

__all__ = ["VenueClock"]


class VenueClock:
    """Only inside `trio.run`."""

    def __init__(self, offset_s: int, seam: Seam = REAL) -> None:
        self._seam = seam
        self._offset_s = offset_s
        self._anchor = seam.wall() - seam.now()
        self.started = seam.now()

    def now(self) -> float:
        """Return the time of timers."""
        return self._seam.now()

    def unix(self) -> float:
        """Return Unix time."""
        return self._anchor + self._seam.now()

    def stamp(self) -> float:
        """Return the venue's time, as it stamps what it sends (`protocol.md` rule 18)."""
        return self.unix() + self._offset_s

    def stamp_ms(self) -> int:
        """Return the venue's time in whole milliseconds."""
        return int(self.stamp() * 1000)

    def timer_at(self, stamp: float) -> float:
        """Return the time of timers at which the venue's clock will show ``stamp``."""
        return stamp - self._offset_s - self._anchor
