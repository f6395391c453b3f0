"""potrio's client, the whole supervised tree: ``async for`` over a stream of ticks, or ``receive_batch()``.

Run with the project's own environment. A third argument says which: ``each`` or ``batch``; a fourth, how many items
the stream may hold.
"""

from __future__ import annotations

import sys

import trio
from scene import ASSETS, SSID, Meter, url_and_count

from potrio.actors.stream import Gap, Stream
from potrio.client.client import open_client
from potrio.protocol.messages.market import Tick


async def each(stream: Stream[Tick | Gap], count: int) -> None:
    """Take one item after the other."""
    taken = dropped = 0
    await stream.receive()
    meter = Meter()
    async for item in stream:
        if type(item) is Tick:
            taken += 1
        else:
            assert isinstance(item, Gap)
            dropped += item.dropped or 0
        if taken + dropped >= count:
            meter.finish(taken, dropped=dropped)


async def batch(stream: Stream[Tick | Gap], count: int) -> None:
    """Take what is at hand."""
    taken = dropped = 0
    await stream.receive()
    meter = Meter()
    while True:
        for item in await stream.receive_batch():
            if type(item) is Tick:
                taken += 1
            else:
                assert isinstance(item, Gap)
                dropped += item.dropped or 0
        if taken + dropped >= count:
            meter.finish(taken, dropped=dropped)


async def main() -> None:
    """Log in, subscribe, read."""
    url, count = url_and_count()
    read = {"each": each, "batch": batch}[sys.argv[3]]
    capacity = int(sys.argv[4])
    async with open_client(SSID, url=url) as client, client.ticks(*ASSETS, capacity=capacity) as stream:
        await read(stream, count)


trio.run(main)
