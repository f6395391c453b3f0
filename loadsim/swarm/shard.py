"""`run_shard`: one part of a run, from its start instant to its last report. Plain trio, the same in every engine."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

import trio

from loadsim.collector import unhurried_collector
from loadsim.metrics.recorder import Recorder
from loadsim.plan.schedule import arrivals, of_shard
from loadsim.swarm.crowd import Crowd
from loadsim.swarm.full import play_full
from loadsim.swarm.lag import watch_lag
from loadsim.swarm.light import play_light
from loadsim.swarm.link_faults import play_link_faults
from loadsim.swarm.spec import Link, ShardSpec
from loadsim.swarm.stage import Stage
from potrio.seam import REAL, Seam

__all__ = ["run_shard"]

REPORT_S: Final = 1.0
STATM: Final = Path("/proc/self/statm")


async def run_shard(spec: ShardSpec, link: Link, seam: Seam = REAL) -> None:
    """Play every client of this shard, report each second, and once more at the end.

    Clients that are there when the plan's time is up end in order: what is under way may end, orders may settle,
    streams run dry. Asked to stop, the shard lets everything go at once. Cancelling does the same, without the last
    report.

    Raises:
        ConfigError: the spec cannot be used.
    """
    recorder = Recorder(spec.run, spec.shard, spec.incarnation)
    stage = Stage(spec, recorder, seam)
    reporter = Reporter(stage, link)
    with unhurried_collector():
        await play_and_report(spec, stage, reporter, link)
    reporter.report(last=True)


async def play_and_report(spec: ShardSpec, stage: Stage, reporter: Reporter, link: Link) -> None:
    """Play the shard's part, to its end or until asked to stop."""
    recorder, seam = stage.recorder, stage.seam
    async with trio.open_nursery() as nursery:
        await trio.sleep_until(stage.began)
        nursery.start_soon(watch_lag, recorder, seam, stage.at(spec.plan.duration_s))
        nursery.start_soon(reporter.run)
        with trio.CancelScope() as playing:
            nursery.start_soon(stop_when_asked, link, playing)
            await play(stage)
        nursery.cancel_scope.cancel("everybody has gone")


async def stop_when_asked(link: Link, playing: trio.CancelScope) -> None:
    """End the playing at once where somebody asks for it."""
    playing.cancel(await link.wait_stop())


async def play(stage: Stage) -> None:
    """Let everybody come at their time, and wait until all have gone."""
    spec = stage.spec
    mine = list(of_shard(arrivals(stage.plan), spec.shard, spec.shards))
    crowd = None
    async with trio.open_nursery() as background:
        background.start_soon(play_link_faults, stage)
        if any(arrival.lane == "mux" for arrival in mine):
            crowd = Crowd(stage, len(mine))
            await background.start(crowd.run)
        async with trio.open_nursery() as clients:
            for arrival in mine:
                if stage.now_s() < arrival.at_s:
                    await trio.sleep_until(stage.at(arrival.at_s))
                    stage.lag(arrival.at_s, stage.now_s())
                match arrival.lane:
                    case "mux":
                        assert crowd is not None, "made above"
                        crowd.arrive(arrival)
                    case "light":
                        clients.start_soon(play_light, stage, arrival)
                    case _:
                        clients.start_soon(play_full, stage, arrival)
            if crowd is not None:
                await crowd.wait_gone()
        background.cancel_scope.cancel("everybody has gone")


class Reporter:
    """Sends a report each second."""

    def __init__(self, stage: Stage, link: Link) -> None:
        self._stage = stage
        self._link = link
        self._is_real = type(stage.seam) is Seam
        self._cpu = (stage.seam.now(), cpu_s())

    async def run(self) -> None:
        """Report at every whole second of the run until cancelled."""
        stage, second = self._stage, 0
        while True:
            second = max(second + 1, int(stage.now_s()))
            await trio.sleep_until(stage.at(second * REPORT_S))
            self.report()

    def report(self, *, last: bool = False) -> None:
        """Send what has come since the last one."""
        stage, recorder = self._stage, self._stage.recorder
        for sample in tuple(stage.samplers):
            sample()
        recorder.gauge("clients", stage.present)
        if self._is_real:
            self._gauge_process()
        accounts = stage.accounts if last else {}
        self._link.emit(recorder.take_delta(stage.now_s(), last=last, accounts=accounts))

    def _gauge_process(self) -> None:
        stage = self._stage
        now, used = stage.seam.now(), cpu_s()
        passed = now - self._cpu[0]
        if passed > 0.1:  # the last report may come right behind another
            stage.recorder.gauge("cpu_pct", 100 * (used - self._cpu[1]) / passed)
            self._cpu = (now, used)
        stage.recorder.gauge("rss_mb", rss_mb(stage.seam))


def cpu_s() -> float:
    """Seconds of processor time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss_mb(seam: Seam) -> float:
    """Memory in use now; where the system does not tell, the most there was."""
    try:
        pages = int(seam.read_file(STATM).split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
