"""B8: from a dropped socket to resubscribed and flowing again, beside a first connect and log-in of the same run.

Several clients connect, one after another; each notes how long it took until it was ready.
Once every connection has been up long enough to count as stable (only then the first retry is at once), the venue ends
their TCP connections one by one, and each client notes how long it took until it had a tick of the next connection.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from statistics import median
from typing import NamedTuple

import trio

from benchmarks.budget import Verdict, at_most
from benchmarks.contenders.scene import ASSETS, SSID
from benchmarks.processes import BlasterAddress, open_blaster
from potrio.actors.stream import Gap, Stream
from potrio.client.client import Client, open_client
from potrio.limits import RECONNECT_STABLE
from potrio.protocol.messages.market import Tick

__all__ = ["verdicts"]

CLIENTS_PER_ROUND = 4
CEILING = 2.0
RATE = 5.0
"""Slow: what flows must not be what is measured. The first tick comes at once."""


class Times(NamedTuple):
    """Seconds, one figure for each client."""

    ready: list[float]
    again: list[float]


async def tick_of(client: Client, stream: Stream[Tick | Gap], epoch: int) -> None:
    """Wait for a tick that came after a certain connection."""
    while not (isinstance(await stream.receive(), Tick) and client.epoch > epoch):
        pass


async def measure(venue: BlasterAddress, count: int, stable_s: float) -> Times:
    """Connect them all, wait, drop one after another."""
    times = Times([], [])
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            started = time.perf_counter()
            client = await stack.enter_async_context(open_client(SSID, url=venue.url))
            times.ready.append(time.perf_counter() - started)
            stream = await stack.enter_async_context(client.ticks(ASSETS[0]))
            await tick_of(client, stream, 0)
            clients.append((client, stream))
        await trio.sleep(stable_s)
        for number, (client, stream) in enumerate(clients):
            epoch = client.epoch
            started = time.perf_counter()
            async with await trio.open_tcp_stream("127.0.0.1", venue.bare_port) as control:
                await control.send_all(b"drop %d\n" % number)
            await tick_of(client, stream, epoch)
            times.again.append(time.perf_counter() - started)
    return times


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure."""
    stable_s = RECONNECT_STABLE * 1.1 if scale >= 1 else 0.0
    with open_blaster(rate=RATE, streams=1) as venue:
        times = trio.run(measure, venue, max(1, int(rounds * CLIENTS_PER_ROUND * scale)), stable_s)
    ready, again = (median(each) * 1e3 for each in times)
    return [
        Verdict(
            "B8",
            "dropped socket to resubscribed and flowing",
            "ms",
            again,
            {"first connect and log in": ready},
            again / ready,
            *at_most(CEILING, again / ready, "a first connect and log-in"),
        )
    ]
