"""A shard: it begins at its instant, reports each second and at the end, and says how it fares."""

from __future__ import annotations

from loadsim.swarm.shard import cpu_s, rss_mb
from potrio.seam import REAL
from potrio.testing.network import MemoryNetwork

USERS = '[[load]]\nclient = "a"\nlane = "light"\nmodel = "closed"\nusers = [{at = "0s", n = 2}]\n'
ASK = '[[act]]\nclient = "a"\ndo = "balance"\nevery = "1s"\nafter = "500ms"\n'


async def test_a_report_each_second_and_a_last_one(autojump_clock, play) -> None:
    merged, _, link = await play(USERS + ASK, duration="5s")

    assert [delta.seq for delta in link.deltas] == list(range(len(link.deltas)))
    assert [round(delta.t_s) for delta in link.deltas[:5]] == [1, 2, 3, 4, 5]
    assert [delta.last for delta in link.deltas] == [False] * (len(link.deltas) - 1) + [True]
    assert link.deltas[1].gauges["clients"] == 2
    assert link.deltas[-1].gauges["clients"] == 0
    assert merged.gaps == 0


async def test_two_loads_at_once_in_all_lanes_that_need_no_socket(autojump_clock, play) -> None:
    full = USERS.replace('"a"', '"b"').replace('"light"', '"full"')
    merged, stats, _ = await play(USERS + full + ASK, duration="4s")

    assert merged.counters["ready.light"] == merged.counters["ready.full"] == 2
    assert stats["connections"]["now"] == 0


def test_how_a_process_fares() -> None:
    assert cpu_s() > 0
    assert 5 < rss_mb(REAL) < 100_000
    assert rss_mb(MemoryNetwork()) > 5  # where the system does not tell: the most there was
