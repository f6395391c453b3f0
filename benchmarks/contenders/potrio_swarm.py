"""A swarm of potrio's clients: ``mux`` ones on one poller, or ``full`` ones under supervision; all in this process.

Run with the project's own environment. Arguments: the server's URL, ``mux`` or ``full``, how many clients, how many
seconds to measure. It prints one JSON line.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from contextlib import AsyncExitStack

import trio
from scene import ASSETS, SSID

from benchmarks.crowd import raise_descriptors
from loadsim.swarm.mux import MuxClient, MuxClients, MuxOwner, spread_sources
from potrio.client.client import open_client
from potrio.protocol.messages.market import Tick
from potrio.protocol.ssid import parse_ssid

CONNECT_SECONDS = 60
AT_ONCE = 50
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """What of this process is in memory, as the system counts it."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


class Counter(MuxOwner):
    """Counts ticks, and how late they come: the server puts the moment of sending where the price is."""

    def __init__(self) -> None:
        self.taken = 0
        self.late_s: list[float] = []

    def ticks(self, client: MuxClient, ticks: list[Tick], now: float) -> None:
        """Look at each tick."""
        self.taken += len(ticks)
        self.late_s.append(time.monotonic() - ticks[-1].price)


def finish(
    clients: int, taken: int, seconds: float, cpu_seconds: float, kib: float, late_s: list[float]
) -> None:
    """Print the figures and end the process."""
    late_s.sort()
    at = (
        [late_s[min(len(late_s) - 1, int(len(late_s) * share))] for share in (0.5, 0.99)]
        if late_s
        else [0, 0]
    )
    figures = {
        "clients": clients,
        "items": taken,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "kib_per_client": kib,
        "late_p50_ms": 1000 * at[0],
        "late_p99_ms": 1000 * at[1],
    }
    print(json.dumps(figures), flush=True)
    os._exit(0)


async def mux(url: str, count: int, seconds: float) -> None:
    """Connect all, wait until each is ready, measure."""
    counter = Counter()
    swarm = MuxClients(url, counter, sources=spread_sources(count))
    ssid = parse_ssid(SSID)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(swarm.run)
        gc.collect()
        before = resident_bytes()
        for _ in range(count):
            swarm.start(ssid)
        with trio.fail_after(CONNECT_SECONDS):
            while swarm.statistics().ready < count:  # noqa: ASYNC110  # counters of another task
                await trio.sleep(0.1)
        await trio.sleep(1.5)  # each has had a tick, and is lean
        gc.collect()
        kib = (resident_bytes() - before) / 1024 / count
        counter.taken, counter.late_s = 0, []
        started, cpu_started = time.perf_counter(), time.process_time()
        await trio.sleep(seconds)
        elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        finish(count, counter.taken, elapsed, cpu, kib, counter.late_s)


async def full(url: str, count: int, seconds: float) -> None:
    """The same with the real client."""
    taken = 0
    gate = trio.CapacityLimiter(AT_ONCE)
    ready = 0

    async def one() -> None:
        nonlocal taken, ready
        async with AsyncExitStack() as stack:
            async with gate:
                client = await stack.enter_async_context(open_client(SSID, url=url))
                stream = await stack.enter_async_context(client.ticks(ASSETS[0]))
            ready += 1
            async for _ in stream:
                taken += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)  # what is loaded for the first is nobody's share
        while not taken:  # noqa: ASYNC110  # a counter of another task
            await trio.sleep(0.05)
        gc.collect()
        before = resident_bytes()
        for _ in range(count - 1):
            nursery.start_soon(one)
        with trio.fail_after(CONNECT_SECONDS):
            while ready < count:  # noqa: ASYNC110  # a counter of other tasks
                await trio.sleep(0.1)
        await trio.sleep(1.5)
        gc.collect()
        kib = (resident_bytes() - before) / 1024 / max(1, count - 1)
        taken, started, cpu_started = 0, time.perf_counter(), time.process_time()
        await trio.sleep(seconds)
        elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        finish(count, taken, elapsed, cpu, kib, [])


raise_descriptors()
trio.run({"mux": mux, "full": full}[sys.argv[2]], sys.argv[1], int(sys.argv[3]), float(sys.argv[4]))
