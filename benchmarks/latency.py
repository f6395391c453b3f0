"""B3: from the venue's send to the user's handler, at a thousand ticks a second, beside a bare trio stream.

Every tick carries the moment of its sending as its price (the monotonic clock is one for all processes of a machine).
The bare peer gets the very same frames from the same process over a second port, and does nothing but read them.
"""

from __future__ import annotations

import time
from statistics import median

import trio

from benchmarks.budget import Verdict, at_most, percentile
from benchmarks.contenders.scene import ASSETS, SSID
from benchmarks.processes import BlasterAddress, open_blaster
from potrio.client.client import open_client
from potrio.protocol.messages.market import Tick

__all__ = ["verdicts"]

RATE = 1000
SECONDS = 2.0
SKIPPED = 50
"""The first ticks of a connection meet cold code."""


async def through_potrio(venue: BlasterAddress, count: int) -> list[float]:
    """Latencies of ``count`` ticks in a client's ``async for``, in seconds."""
    latencies: list[float] = []
    async with open_client(SSID, url=venue.url) as client, client.ticks(*ASSETS) as stream:
        async for item in stream:
            arrived = time.monotonic()
            if isinstance(item, Tick):
                latencies.append(arrived - item.price)
                if len(latencies) == count:
                    break
    return latencies


async def through_stream(venue: BlasterAddress, count: int) -> list[float]:
    """Latencies of ``count`` reads of a bare stream; of a read that brought several ticks, that of the first."""
    latencies: list[float] = []
    stream = await trio.open_tcp_stream("127.0.0.1", venue.bare_port)
    async with stream:
        await stream.send_all(b"ticks\n")
        while len(latencies) < count:
            data = await stream.receive_some(65_536)
            arrived = time.monotonic()
            sent = data[: data.index(b"]]")].rpartition(b",")[2]
            latencies.append(arrived - float(sent))
    return latencies


async def measure(venue: BlasterAddress, rounds: int, count: int) -> list[tuple[list[float], list[float]]]:
    """Take turns."""
    return [
        (
            (await through_potrio(venue, count + SKIPPED))[SKIPPED:],
            (await through_stream(venue, count + SKIPPED))[SKIPPED:],
        )
        for _ in range(rounds)
    ]


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure."""
    with open_blaster(rate=RATE) as venue:
        measured = trio.run(measure, venue, rounds, max(20, int(RATE * SECONDS * scale)))
    found = []
    for letter, percent, ceiling in (("a", 50, 1.5), ("b", 99, 2.0)):
        ours = median(percentile(mine, percent) for mine, _ in measured) * 1e6
        bare = median(percentile(theirs, percent) for _, theirs in measured) * 1e6
        found.append(
            Verdict(
                f"B3{letter}",
                f"latency of a tick at {RATE} a second, p{percent}",
                "us",
                ours,
                {"bare trio stream": bare},
                ours / bare,
                *at_most(ceiling, ours / bare, "a bare trio stream"),
            )
        )
    return found
