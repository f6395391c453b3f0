"""What clients of a shard share: the clock of the run, the pace of connecting, ticks measured."""

from __future__ import annotations

import pytest
import trio

from loadsim.metrics.recorder import Recorder
from loadsim.metrics.series import Series
from loadsim.plan.parse import parse_plan
from loadsim.swarm.spec import ShardSpec
from loadsim.swarm.stage import Stage
from potrio.errors import ConfigError
from potrio.protocol.messages.market import Tick
from potrio.testing.network import MemoryNetwork

PLAN = (
    '[run]\nduration = "60s"\n[[load]]\nclient = "a"\nmodel = "closed"\nusers = [{at = "0s", n = 1}]\n'
    '[limits]\nconnects_per_s = 10\n[[fault]]\nat = "5s"\nkind = "restart"\nfor = "2s"\n'
)


def stage(seam: MemoryNetwork, *, start_in_s: float = 1.0, shards: int = 1, **options) -> Stage:
    spec = ShardSpec(
        run="r", shard=0, shards=shards, plan=parse_plan(PLAN), start_at_wall=seam.wall() + start_in_s,
        **{"url": "ws://127.0.0.1:1/", **options},
    )  # fmt: skip
    return Stage(spec, Recorder("r", 0), seam)


async def test_seconds_count_from_the_start_instant(autojump_clock) -> None:
    found = stage(MemoryNetwork())
    assert found.now_s() == pytest.approx(-1.0)
    await trio.sleep_until(found.at(2.5))
    assert 2.5 <= found.now_s() < 2.51


async def test_connects_are_paced_over_all_shards(autojump_clock) -> None:
    found = stage(MemoryNetwork(), start_in_s=0.0, shards=2)
    began = trio.current_time()
    for _ in range(11):
        await found.wait_for_turn()

    assert trio.current_time() - began == pytest.approx(2.0, abs=0.01)


async def test_ages_are_free_of_the_venues_time_zone(autojump_clock) -> None:
    seam = MemoryNetwork()
    found, last_at = stage(seam), {}
    for age_s in (0.2, 0.4):
        tick = Tick("EURUSD_otc", seam.wall() - age_s + 7200, 1.1)
        found.take_ticks("light", [tick], last_at, found.now_s())
        await trio.sleep(1)

    series = {each.metric: Series.decode(each) for each in found.recorder.take_delta(0.0).series}
    assert series["tick_age"].histograms["value"].max == pytest.approx(400_000, rel=0.01)
    assert series["tick_gap"].histograms["value"].max == pytest.approx(1_000_000, rel=0.01)
    assert found.stamp() == pytest.approx(seam.wall() + 7200)


async def test_a_loss_is_the_work_of_the_fault_under_way(autojump_clock) -> None:
    found = stage(MemoryNetwork())

    assert [found.fault_at(second) for second in (4.9, 5.0, 7.9, 8.1)] == [
        "none",
        "restart",
        "restart",
        "none",
    ]
    assert not found.has_link_faults


async def test_certificates_that_cannot_be_read_are_the_specs_fault(autojump_clock) -> None:
    with pytest.raises(ConfigError, match="ca_file"):
        stage(MemoryNetwork(), url="wss://127.0.0.1:1/", ca_file="none.pem")
