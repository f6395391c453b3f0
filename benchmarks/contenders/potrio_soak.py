"""potrio's client in a soak: takes millions of ticks and says now and then how much memory the process holds.

Run with the project's own environment. Arguments: the venue's URL, how many ticks, and how many samples.
"""

from __future__ import annotations

import os
import sys

import trio
from scene import ASSETS, SSID, Meter, url_and_count

from potrio.actors.stream import Gap
from potrio.client.client import open_client

PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def resident_kib() -> int:
    """What of this process is in memory, as the system counts it."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE_KIB


async def main() -> None:
    """Log in, subscribe, read; a sample each time another part of the ticks has come."""
    url, count = url_and_count()
    step = max(1, count // int(sys.argv[3]))
    samples: list[tuple[int, int]] = []
    taken = dropped = 0
    async with open_client(SSID, url=url) as client, client.ticks(*ASSETS, capacity=65_536) as stream:
        await stream.receive()
        meter = Meter()
        while True:
            for item in await stream.receive_batch():
                if type(item) is Gap:
                    dropped += item.dropped or 0
                else:
                    taken += 1
            if taken >= step * (len(samples) + 1):
                samples.append((taken, resident_kib()))
            if taken + dropped >= count:
                meter.finish(taken, dropped=dropped, samples=samples)


trio.run(main)
