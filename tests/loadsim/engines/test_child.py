"""The host of a shard, over streams in memory: spec in, lines out, and it outlives neither its input nor its reader."""

from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing

from loadsim.engines.child import WRITE_TIMEOUT_S, host_shard
from loadsim.engines.wire import Bye, Hello, Lines, Report, Stop, decode_line
from loadsim.metrics.recorder import Recorder
from potrio.testing.network import MemoryNetwork

from .conftest import spec_of

WORLD = MemoryNetwork


class Desk:
    """A controller over memory streams."""

    def __init__(self, world):
        self.world = world
        self.to, self.source = trio.testing.memory_stream_one_way_pair()
        self.sink, self.out = trio.testing.memory_stream_one_way_pair()
        self.outcome = None

    async def host(self, play):
        self.outcome = await host_shard(play, self.source, self.sink, self.world)
        await self.sink.aclose()

    async def lines(self):
        lines, found = Lines(), []
        async for data in self.out:
            found += [decode_line(line) for line in lines.feed(bytes(data))]
        return found

    async def give(self, behaviour="short", **more):
        await self.to.send_all(
            spec_of(behaviour, start_at_wall=more.get("at", self.world.wall())).encode() + b"\n"
        )


async def reports(spec, link):
    recorder = Recorder(spec.run, spec.shard)
    for second in range(3):
        link.emit(recorder.take_delta(float(second)))
        await trio.sleep(1)


async def waits(spec, link):
    await link.wait_stop()


async def deaf(spec, link):
    await trio.sleep_forever()


async def test_hello_reports_and_bye(autojump_clock):
    desk = Desk(WORLD())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.host, reports)
        await desk.give()
        hello, *middle, bye = await desk.lines()

    assert isinstance(hello, Hello)
    assert [each.delta.seq for each in middle if isinstance(each, Report)] == [0, 1, 2]
    assert isinstance(bye, Bye)
    assert bye.outcome.state == desk.outcome.state == "done"


@pytest.mark.parametrize(("play", "seconds"), [(waits, 0.0), (deaf, 3.0)])
async def test_a_word_to_stop_is_obeyed_within_its_grace(autojump_clock, play, seconds):
    desk = Desk(WORLD())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.host, play)
        await desk.give()
        await trio.sleep(1)
        started = trio.current_time()
        await desk.to.send_all(msgspec.json.encode(Stop("enough", 3.0)) + b"\n")
        await desk.lines()

    assert desk.outcome.state == "stopped"
    assert trio.current_time() - started == pytest.approx(seconds, abs=0.1)


async def test_the_end_of_its_input_ends_it(autojump_clock):
    desk = Desk(WORLD())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.host, deaf)
        await desk.give()
        await trio.sleep(1)
        await desk.to.aclose()
        await desk.lines()

    assert desk.outcome.state == "stopped"


async def test_it_ends_where_nobody_reads(autojump_clock):
    world = WORLD()
    to, source = trio.testing.memory_stream_one_way_pair()
    sink, _unread = trio.testing.lockstep_stream_one_way_pair()
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_shard, deaf, source, sink, world)
        await to.send_all(spec_of("short", start_at_wall=world.wall()).encode() + b"\n")

    assert trio.current_time() - started == pytest.approx(WRITE_TIMEOUT_S, abs=0.5)


async def test_late_is_refused(autojump_clock):
    desk = Desk(WORLD())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.host, reports)
        await desk.give(at=desk.world.wall() - 60)
        lines = await desk.lines()

    assert [type(line) for line in lines] == [Hello, Bye]
    assert desk.outcome.state == "refused"


@pytest.mark.parametrize("text", [b"nonsense\n", b"{}\n", b""])
async def test_what_is_no_spec_is_refused(autojump_clock, text):
    desk = Desk(WORLD())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.host, reports)
        if text:
            await desk.to.send_all(text)
        await desk.to.aclose()
        await desk.lines()

    assert desk.outcome.state == "refused"
