"""What our own clock went through: jumps of the system's beside it, and sleep that it learnt of too late. Pure.

Our clock does not jump (`potrio.transport.steady`). The system's does where it is set, and seems to where the machine
slept, for our clock stands still meanwhile. Which of the two a jump was is found out later, if at all; here is kept
what follows from that for times that were stamped before.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Final, NamedTuple

__all__ = ["ClockJumps"]

OPEN_MAX: Final = 6
"""Jumps of which nothing is known yet; of more, the oldest count as one."""

SLEEPS_KEPT: Final = 16
"""Sleeps that are remembered, for what was stamped between waking up and finding out."""

AGREE_COUNT: Final = 5
AGREE_OVER_S: Final = 10.0
"""So many samples over so long that agree with our clock show that it did not sleep. What was left in the buffers of
the network comes at once, or within a second or two."""


DECEIVED_S: Final = 600.0
"""So long after the last jump, or sleep, stamps that agree on a later time still mean that the machine slept."""


class Jump(NamedTuple):
    """At this time of our clock the system's jumped by so much."""

    wall: float
    by_s: float


class Sleep(NamedTuple):
    """What our clock showed in this time was so much behind."""

    since: float
    until: float
    by_s: float


class ClockJumps:
    """Told by whoever watches the two clocks, and by what the venue shows.

    Attributes:
        beyond_s: how far the system's clock is ahead of ours.
        last: when (our clock) it jumped last; -inf: never.
    """

    def __init__(self) -> None:
        self.beyond_s = 0.0
        self.last = -math.inf
        self._open: list[Jump] = []  # those that may have been set, or slept
        self._sleeps: list[Sleep] = []
        self._watch_until = -math.inf
        self._agreed = 0
        self._agreed_since = math.inf

    @property
    def is_open(self) -> bool:
        """Is there a jump of which it is not known what it was?"""
        return bool(self._open)

    def may_have_slept(self, wall: float) -> bool:
        """Can what the venue shows now be due to sleep, although it had seemed to be settled?"""
        return self.is_open or wall <= self._watch_until

    def seen(self, beyond_s: float, wall: float) -> None:
        """The system's clock has jumped: it is this far ahead of ours, which shows ``wall``."""
        self._open.append(Jump(wall, beyond_s - self.beyond_s))
        if len(self._open) > OPEN_MAX:
            first, second, *others = self._open
            self._open = [Jump(first.wall, first.by_s + second.by_s), *others]
        self.beyond_s, self.last = beyond_s, wall
        self._watch_until = wall + DECEIVED_S
        self._agreed, self._agreed_since = 0, math.inf

    def candidates(self) -> list[float]:
        """How long it may have slept, the likeliest first."""
        jumps = [jump.by_s for jump in self._open]
        return [by_s for by_s in (sum(jumps), *reversed(jumps), self.beyond_s) if by_s > 0]

    def agreed(self, wall: float) -> bool:
        """What came at this time agrees with our clock: is it enough, so that the system's was set?"""
        if wall < self.last:
            return False
        self._agreed += 1
        self._agreed_since = min(self._agreed_since, wall)
        return self._agreed >= AGREE_COUNT and wall - self._agreed_since >= AGREE_OVER_S

    def settle(self) -> None:
        """It was set; nothing is open any more."""
        self._open.clear()

    def slept(self, by_s: float, wall: float) -> None:
        """It slept so much, and our clock, which shows ``wall``, is put forward by that.

        Jumps that this does not account for stay open: what showed it may have been under way before them.
        """
        parts = self._parts(by_s)
        rest_s = by_s - sum(jump.by_s for jump in parts)
        others = [jump for jump in self._open if jump not in parts]
        self._sleeps += [Sleep(jump.wall, wall, jump.by_s) for jump in parts]
        since = min(self.last, wall) if self.last > -math.inf else wall
        if parts:
            since = parts[-1].wall
        elif others:  # it slept, and its clock was set as well
            since = others[-1].wall
            others[-1] = Jump(since, others[-1].by_s - rest_s)
        self._sleeps.append(Sleep(since, wall, rest_s))
        del self._sleeps[:-SLEEPS_KEPT]
        self.beyond_s -= by_s
        self._open = others
        self._watch_until = wall + by_s + DECEIVED_S
        self._agreed, self._agreed_since = 0, math.inf

    def _parts(self, by_s: float) -> list[Jump]:
        """The open jumps that together are nearest to this; of several such sets a small one, of late ones."""
        late = self._open[::-1]
        subsets = (parts for size in range(len(late) + 1) for parts in combinations(late, size))
        nearest = min(subsets, key=lambda parts: round(abs(by_s - sum(jump.by_s for jump in parts)), 3))
        return list(nearest[::-1])

    def amended(self, wall: float) -> float:
        """A time that our clock showed once, as it would have shown it had we known how long the machine had slept."""
        return wall + sum(sleep.by_s for sleep in self._sleeps if sleep.since <= wall <= sleep.until)

    def to_system(self, wall: float) -> float:
        """A time that our clock showed, by the system's clock as it goes now: for what another process will read.

        As long as it is not known what a later jump was, what was before it is left as it was.
        """
        later_s = sum(jump.by_s for jump in self._open if jump.wall > wall)
        return self.amended(wall) + self.beyond_s - later_s
