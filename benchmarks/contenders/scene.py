"""What every contender of the tick benchmark shares: the words of the log-in, and the meter that prints the figures.

Standard library only: it runs in the environment of the peers. Arguments of each contender: the venue's URL and how
many ticks to take. It prints one JSON line: ticks, seconds and processor seconds from the first tick to the last.
"""

from __future__ import annotations

import json
import os
import sys
import time

ASSETS = ("EURUSD_otc", "GBPUSD_otc", "#AAPL_otc", "BTCUSD")
UID = "12345678"
SSID = (
    f'42["auth",{{"session":"k3v9examplesession0demo0x1","isDemo":1,"uid":{UID},"platform":2,'
    '"isFastHistory":true,"isOptimized":true}]'
)
SUBSCRIBE = [f'42["changeSymbol",{{"asset":"{asset}","period":60}}]' for asset in ASSETS]
TICKS = '451-["updateStream"'


def url_and_count() -> tuple[str, int]:
    """The arguments."""
    return sys.argv[1], int(sys.argv[2])


def answers(message: str | bytes) -> list[str]:
    """What a client says to a message of the log-in."""
    if isinstance(message, bytes):
        return []
    if message == "2":
        return ["3"]
    if message.startswith("0{"):
        return ["40"]
    if message.startswith("40"):
        return [SSID]
    if message.startswith('451-["successauth"'):
        return SUBSCRIBE
    return []


class Meter:
    """Measures from the first tick on; that one is not counted."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.cpu_started = time.process_time()

    def finish(self, items: int, **more: object) -> None:
        """Print the figures and end the process: what is left to close is not what is measured."""
        seconds = time.perf_counter() - self.started
        cpu_seconds = time.process_time() - self.cpu_started
        figures = {"items": items, "seconds": seconds, "cpu_seconds": cpu_seconds, **more}
        print(json.dumps(figures), flush=True)
        os._exit(0)
