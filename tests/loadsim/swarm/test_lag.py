"""The generator's own lateness: nothing that a stall swallowed is left out."""

from __future__ import annotations

import trio

from loadsim.metrics.recorder import Recorder
from loadsim.metrics.series import Series
from loadsim.swarm.lag import watch_lag
from potrio.testing.network import MemoryNetwork


class Stalling(MemoryNetwork):
    """A clock on which nothing runs for a second, once."""

    def __init__(self, clock) -> None:
        super().__init__()
        self._clock = clock
        self._stalled = False

    def now(self) -> float:
        if not self._stalled and trio.current_time() > 0.5:
            self._stalled = True
            self._clock.jump(1.0)
        return trio.current_time()


async def test_on_time_is_no_lag(autojump_clock) -> None:
    recorder = Recorder("r", 0)
    await watch_lag(recorder, MemoryNetwork(), trio.current_time() + 2.0)

    (lag,) = [Series.decode(each) for each in recorder.take_delta(0.0).series]
    assert 98 <= lag.histograms["value"].n <= 100
    assert lag.histograms["value"].max < 1000


async def test_a_stall_is_as_many_late_wake_ups_as_it_swallowed(autojump_clock) -> None:
    recorder, seam = Recorder("r", 0), Stalling(autojump_clock)
    await watch_lag(recorder, seam, trio.current_time() + 2.0)

    (lag,) = [Series.decode(each) for each in recorder.take_delta(0.0).series]
    histogram = lag.histograms["value"]
    assert 98 <= histogram.n <= 101
    assert histogram.max >= 990_000
    assert histogram.percentile(75) > 400_000
