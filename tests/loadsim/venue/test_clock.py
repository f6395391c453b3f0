"""The venue's clock: offset, and deaf to jumps of the wall clock."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from loadsim.venue.clock import VenueClock
from potrio.seam import Seam


class Wall(Seam):
    """A wall clock that can be set."""

    at = 1_790_000_000.0

    def wall(self) -> float:
        return self.at


async def test_the_clock_is_unix_time_plus_offset_and_goes_with_the_timers(autojump_clock: MockClock) -> None:
    wall = Wall()
    clock = VenueClock(7200, wall)
    assert clock.stamp() == 1_790_007_200
    wall.at -= 3600
    await trio.sleep(12.5)
    assert clock.unix() == 1_790_000_012.5
    assert clock.stamp_ms() == 1_790_007_212_500
    assert clock.timer_at(clock.stamp() + 3) == clock.now() + 3
    assert clock.now() - clock.started == 12.5
