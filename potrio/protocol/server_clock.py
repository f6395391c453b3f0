"""An estimate of the venue's clock: its zone, its offset from ours, and how wrong that can be. Pure: no clock is read.

A stamp reaches us late, never early: of all differences "stamp - our time of arrival" the largest is the least
delayed, and nearest to the truth. A jump of our own clock, a stale price or a wild stamp must not steer it: what lies
far from the estimate counts only once several samples in a row agree on it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from potrio.protocol.clock_jumps import ClockJumps

__all__ = ["ServerClock"]

HOUR_S: Final = 3600
PRIOR_ZONE_S: Final = 7200
"""The venue's stamps are UTC+2 all year (``protocol.md`` 6.0): believed until the stream shows something else."""

ZONE_MAX_S: Final = 14 * HOUR_S
"""No place on earth is further from UTC; a stamp beyond is stale or garbage."""

WINDOW_S: Final = 120.0
BUCKET_S: Final = 1.0
"""The largest sample is sought in the last two minutes; one candidate is kept for each second of them."""

EARLY_S: Final = 1.0
LATE_S: Final = 3.0
"""A sample this much above, or below, the estimate is not believed alone."""

FIRST_SKEW_MAX_S: Final = 300.0
FIRST_SKEW_OTHER_ZONE_MAX_S: Final = 10.0
"""The very first sample is believed where it lies this near to the zone expected, or to another whole hour: a stale
price may come first, and rarely lies near."""

AGREE_COUNT: Final = 5
AGREE_SPREAD_S: Final = 1.0
AGREE_EARLY_S: Final = 2.0
AGREE_LATE_S: Final = 10.0
"""So many samples in a row that agree this closely over this time are the truth, however far from the estimate; over
a longer time where they come late, as a congested network delays evenly for a while. A stale stamp that is repeated
does not agree with itself: its difference grows with the time."""

DELAY_PRIOR_S: Final = 1.0
"""How late the least delayed sample may be, as long as no round trip has been measured."""

RESOLUTION_S: Final = 0.001
DRIFT: Final = 100e-6
"""Stamps have milliseconds; two quartz clocks part by at most 100 µs in a second."""


class ServerClock:
    """The venue's clock as seen from here. Feed it with `observe`; the estimate is there at any time.

    Our own wall clock is best one that does not jump (`potrio.transport.steady`). Where the system's does, `doubt`
    says so, and the next samples tell which was right: ours, because the system's was set, or the system's, because
    the machine slept. The zone is not measured anew by either. One sample shows that it slept, for nothing brings a
    stamp of the future; that it did not takes several over some time, for the first may have waited since before; and
    should those have deceived us, later ones still show it for a while.

    Attributes:
        observed: samples seen.
        rejected: samples not believed.
        jumps: times the estimate was thrown away because several samples agreed on another.
    """

    def __init__(self, *, prior_zone_s: int = PRIOR_ZONE_S, window_s: float = WINDOW_S) -> None:
        self.observed = 0
        self.rejected = 0
        self.jumps = 0
        self._zone_s = prior_zone_s
        self._window_s = window_s
        self._delay_s = DELAY_PRIOR_S
        # Decreasing samples with the time they were taken: the first is the largest of the window.
        self._best: deque[tuple[float, float]] = deque()
        self._apart: _Apart | None = None
        self._last_wall = -math.inf
        self._system = ClockJumps()

    # --- what is known -----------------------------------------------------------------------------------------------

    @property
    def zone_s(self) -> int:
        """Whole hours between the venue's stamps and UTC, in seconds."""
        return self._zone_s

    @property
    def offset_s(self) -> float:
        """Venue's UTC minus ours, in seconds; 0.0 until a sample has been believed."""
        return self._best[0][1] - self._zone_s if self._best else 0.0

    @property
    def error_s(self) -> float:
        """Bound of the error of `offset_s`: ``inf`` until a sample has been believed."""
        if not self._best:
            return math.inf
        age_s = max(0.0, self._last_wall - self._best[0][0])
        return RESOLUTION_S + self._delay_s + age_s * DRIFT

    @property
    def is_measured(self) -> bool:
        """Whether the estimate rests on the stream, not on the prior."""
        return bool(self._best)

    @property
    def is_doubted(self) -> bool:
        """Has a clock of ours jumped, so that nothing can be concluded from times before the next sample?"""
        return self._system.is_open

    @property
    def is_certain(self) -> bool:
        """Can something be concluded from times?"""
        return bool(self._best) and not self._system.is_open

    # --- conversions -------------------------------------------------------------------------------------------------

    def to_utc(self, stamp: float) -> float:
        """The UTC the venue means by a stamp: its zone taken off, its own clock error left in."""
        return stamp - self._zone_s

    def to_stamp(self, utc: float) -> float:
        """The stamp the venue would give to a moment of UTC."""
        return utc + self._zone_s

    def to_wall(self, stamp: float) -> float:
        """What our own clock shows when the venue's shows ``stamp``: for deadlines that the venue sets."""
        return stamp - self._zone_s - self.offset_s

    def stamp_at(self, wall: float) -> float:
        """What the venue's clock shows when ours shows ``wall``: for requests that carry a time."""
        return wall + self._zone_s + self.offset_s

    def amended(self, wall: float) -> float:
        """A time that our clock showed once, as it would have shown it had we known how long the machine had slept."""
        return self._system.amended(wall)

    def to_system(self, wall: float) -> float:
        """A time that our clock showed, by the system's clock as it goes now: for what another process will read."""
        return self._system.to_system(wall)

    def latest_stamp(self, wall: float) -> float:
        """The latest that the venue's clock can show when ours shows ``wall``; inf as long as it is not measured."""
        if not self._best:
            return math.inf
        slept_s = max(self._system.candidates(), default=0.0) if self._system.is_open else 0.0
        return self.stamp_at(wall) + slept_s

    # --- samples -----------------------------------------------------------------------------------------------------

    def doubt(self, beyond_s: float, wall: float) -> None:
        """The system's wall clock has jumped: it is this far ahead of the one that we go by, which shows ``wall``."""
        self._system.seen(beyond_s, wall)

    def observe(self, stamp: float, wall: float) -> float:
        """Take a sample.

        Args:
            stamp: of a live tick, in the venue's clock. Stamps of history are no samples.
            wall: UTC by our own clock when it arrived.

        Returns:
            By how much our clock has to be put forward from now on: 0.0, unless the machine has slept.
        """
        self.observed += 1
        sample, system = stamp - wall, self._system
        if not math.isfinite(sample) or not (self._best or system.is_open or _is_zone(sample)):
            self.rejected += 1
            return 0.0
        if self._is_believable(sample):
            self._apart = None
            if system.is_open and system.agreed(wall):
                system.settle()
            if not self._best:
                self._zone_s = _nearest_hour(sample)
            self._last_wall = max(self._last_wall, wall)  # of several connections, one may lag behind
            self._take(sample, self._last_wall)
            return 0.0
        if system.is_open:
            for slept_s in system.candidates():
                if self._is_believable(sample - slept_s, late_s=EARLY_S):
                    return self._amend(slept_s, sample, wall)
        if self._apart is None or not self._apart.extend(sample):
            self._apart = _Apart(sample, wall)
        if not self._apart.agree(wall, late=bool(self._best) and sample < self._best[0][1]):
            self.rejected += 1
            return 0.0
        return self._follow(self._apart.high, sample, wall)

    def _follow(self, high: float, sample: float, wall: float) -> float:
        """Several samples agree on another time: the machine slept, or what was believed was wrong, zone and all."""
        self._apart = None
        has_jumped = self._system.may_have_slept(wall)
        slept_s = high - (self._best[0][1] if self._best else self._zone_s)
        if slept_s > 0 and (has_jumped or (self._best and not _is_zone(high))):
            return self._amend(slept_s, sample, wall)
        if not _is_zone(high):
            self.rejected += 1
            return 0.0
        self.jumps += bool(self._best)
        self._best.clear()
        self._system.settle()
        if not has_jumped:
            self._zone_s = _nearest_hour(high)
        self._last_wall = wall
        self._take(high, wall)
        return 0.0

    def _amend(self, by_s: float, sample: float, wall: float) -> float:
        """Believe the venue that so much more time has passed: our clock is put forward, and so nearer the system's."""
        self._system.slept(by_s, wall)
        self._apart = None
        self._last_wall = wall + by_s
        self._take(sample - by_s, wall + by_s)
        return by_s

    def bound_delay(self, round_trip_s: float) -> None:
        """Tell of a measured round trip: the least delayed sample was on its way for less than that."""
        if 0 < round_trip_s < self._delay_s:
            self._delay_s = round_trip_s

    def _is_believable(self, sample: float, late_s: float = LATE_S) -> bool:
        if self._best:
            return -late_s <= sample - self._best[0][1] <= EARLY_S
        zone_s = _nearest_hour(sample)
        if zone_s == self._zone_s:
            return abs(sample - zone_s) <= FIRST_SKEW_MAX_S
        return not self._system.is_open and abs(sample - zone_s) <= FIRST_SKEW_OTHER_ZONE_MAX_S

    def _take(self, sample: float, wall: float) -> None:
        best = self._best
        while best and best[-1][1] <= sample:
            best.pop()
        if not best or wall - best[-1][0] >= BUCKET_S:
            best.append((wall, sample))
        while len(best) > 1 and best[0][0] < wall - self._window_s:
            best.popleft()


class _Apart:
    """A run of samples in a row that agree with each other and not with the estimate."""

    __slots__ = ("count", "high", "low", "since")

    def __init__(self, sample: float, wall: float) -> None:
        self.count = 1
        self.low = self.high = sample
        self.since = wall

    def extend(self, sample: float) -> bool:
        """Take in a sample; False where it does not agree."""
        low, high = min(self.low, sample), max(self.high, sample)
        if high - low > AGREE_SPREAD_S:
            return False
        self.low, self.high = low, high
        self.count += 1
        return True

    def agree(self, wall: float, *, late: bool) -> bool:
        """Are they enough to be the truth?"""
        return self.count >= AGREE_COUNT and wall - self.since >= (AGREE_LATE_S if late else AGREE_EARLY_S)


def _nearest_hour(seconds: float) -> int:
    return round(seconds / HOUR_S) * HOUR_S


def _is_zone(seconds: float) -> bool:
    return abs(seconds) <= ZONE_MAX_S + HOUR_S / 2
