"""B4: an order's round trip over loopback, from ``place`` to accepted, beside a bare trio echo of the same size.

Orders without a journal, orders with one, and echoes take turns, a few of each, against the same process. The venue's
part, the desk opening a deal and writing the answer, is in our figures and not in the echo's.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import trio

from benchmarks.budget import Verdict, at_most, percentile
from benchmarks.contenders.scene import ASSETS, SSID, UID
from benchmarks.processes import BlasterAddress, open_blaster
from potrio.client.client import Client, open_client

__all__ = ["verdicts"]

TURN = 10
TURNS = 10
UNCOUNTED = 2
"""The first orders of a client meet cold code."""

CEILING = 6.0
CEILING_JOURNAL = 10.0
RATE = 5.0
"""A few ticks, from which a client knows the venue's clock: it waits for one before it is ready."""
REQUEST = b"x" * 150


async def order_times(client: Client, count: int) -> list[float]:
    """Seconds from ``place`` to the answer of the venue, for that many orders one after another."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        order = await client.place(ASSETS[0], "call", 1, duration=300)
        await order.opened()
        times.append(time.perf_counter() - started)
    return times


async def echo_times(stream: trio.SocketStream, count: int) -> list[float]:
    """Seconds of that many round trips."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        await stream.send_all(REQUEST)
        received = 0
        while received < len(REQUEST):
            received += len(await stream.receive_some(65_536))
        times.append(time.perf_counter() - started)
    return times


class Times(NamedTuple):
    """Seconds of each order and echo."""

    orders: list[float]
    journaled: list[float]
    echoes: list[float]


async def measure(venue: BlasterAddress, turns: int, journal: Path) -> Times:
    """Take turns. Each turn is another account's: the venue allows ten open orders at once."""
    times = Times([], [], [])
    async with await trio.open_tcp_stream("127.0.0.1", venue.bare_port) as bare:
        await bare.send_all(b"echo\n")
        for turn in range(turns):
            for number, (found, file) in enumerate(((times.orders, None), (times.journaled, journal))):
                ssid = SSID.replace(UID, str(int(UID) + 2 * turn + number))
                async with open_client(ssid, url=venue.url, journal=file) as client:
                    found += (await order_times(client, TURN))[UNCOUNTED:]
            times.echoes.extend((await echo_times(bare, TURN))[UNCOUNTED:])
    return times


def verdict(id_: str, how: str, orders: list[float], echoes: list[float], ceiling: float) -> Verdict:
    """One way of placing orders beside the echo."""
    ours, bare = median(orders) * 1e6, median(echoes) * 1e6
    calm = percentile(orders, 10) * 1e6, percentile(echoes, 10) * 1e6
    return Verdict(
        id_,
        f"order, place to accepted, {how}, p50",
        "us",
        ours,
        {"bare trio echo": bare},
        ours / bare,
        *at_most(ceiling, ours / bare, "a bare trio echo"),
        {"p10 of orders and of echoes, for a machine that others use": [round(each) for each in calm]},
    )


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure."""
    with open_blaster(rate=RATE, streams=1) as venue, TemporaryDirectory() as folder:
        turns = max(1, int(rounds * TURNS * scale))
        times = trio.run(measure, venue, turns, Path(folder) / "orders.db")
    return [
        verdict("B4a", "journal off", times.orders, times.echoes, CEILING),
        verdict("B4b", "journal on", times.journaled, times.echoes, CEILING_JOURNAL),
    ]
