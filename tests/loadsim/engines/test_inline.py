"""Shards as tasks, in virtual time: the same verbs, the same ends."""

from __future__ import annotations

import pytest
import trio

from loadsim.engines.inline import open_inline_engine
from loadsim.metrics.recorder import Recorder
from potrio.errors import ConfigError
from potrio.testing.network import MemoryNetwork

from .conftest import spec_of


async def play(spec, link):
    recorder = Recorder(spec.run, spec.shard)
    match spec.plan.name:
        case "short":
            for second in range(3):
                await trio.sleep(1)
                link.emit(recorder.take_delta(float(second)))
        case "orderly":
            await link.wait_stop()
            link.emit(recorder.take_delta(9.0, last=True))
        case "broken":
            raise ConfigError("plan", "cannot be played")
        case _:
            await trio.sleep_forever()


def specs(world, *behaviours):
    return [
        spec_of(name, number, len(behaviours), start_at_wall=world.wall())
        for number, name in enumerate(behaviours)
    ]


async def test_shards_are_done_or_lost_and_reports_end(autojump_clock):
    world, found = MemoryNetwork(), []
    async with open_inline_engine(play, world) as engine:
        await engine.start(specs(world, "short", "broken"))
        async for delta in engine.deltas():
            found.append((delta.shard, delta.seq))
        outcomes = await engine.close()

    assert found == [(0, 0), (0, 1), (0, 2)]
    assert (outcomes[0].state, outcomes[1].state, outcomes[1].reason) == (
        "done",
        "lost",
        "plan: cannot be played",
    )


@pytest.mark.parametrize(("behaviour", "seconds"), [("orderly", 0.0), ("deaf", 2.0)])
async def test_stopping_takes_the_grace_at_most(autojump_clock, behaviour, seconds):
    world = MemoryNetwork()
    async with open_inline_engine(play, world) as engine:
        await engine.start(specs(world, behaviour))
        await trio.sleep(1)
        started = trio.current_time()
        await engine.stop("enough", 2.0)
        outcomes = await engine.close()

    assert (outcomes[0].state, outcomes[0].reason) == ("stopped", "enough")
    assert trio.current_time() - started == pytest.approx(seconds, abs=0.1)


async def test_late_is_refused(autojump_clock):
    world = MemoryNetwork()
    async with open_inline_engine(play, world) as engine:
        await engine.start([spec_of("short", start_at_wall=world.wall() - 3)])
        outcomes = await engine.close()

    assert outcomes[0].state == "refused"


async def test_leaving_the_block_ends_everything(autojump_clock):
    world = MemoryNetwork()
    async with open_inline_engine(play, world) as engine:
        await engine.start(specs(world, "deaf"))


async def test_an_engine_without_shards_ends_at_once(autojump_clock):
    async with open_inline_engine(play) as engine:
        await engine.start([])
        await engine.stop("nothing", 1.0)
        assert await engine.close() == {}
