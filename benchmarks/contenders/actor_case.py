"""What every actor contender shares (standard library only: peers import it too): one case, one line of JSON."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["BURST", "CLIENTS", "DEADLINE_S", "Lateness", "absent", "main", "rate", "resident_bytes", "spin"]

BURST = 64
"""Messages a producer sends before it lets the others run, where the library can send without waiting."""

CLIENTS = 64
DEADLINE_S = 5.0

Figures = Mapping[str, Any]


def absent(reason: str) -> Callable[[int], Figures]:
    """A case the library cannot do; the reason goes into the table."""
    return lambda count: {"absent": reason}


def rate(count: int, started: float) -> Figures:
    """Items in a second of processor time since ``time.process_time()`` was ``started``."""
    return {"items": count, "per_second": count / (time.process_time() - started)}


def resident_bytes() -> int:
    """Memory of this process."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def spin(seconds: float) -> None:
    """Compute for that long: what a handler does."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


class Lateness:
    """How late a task that wants to run every millisecond runs, while a busy actor runs beside it."""

    PERIOD_S = 0.001

    def __init__(self, milliseconds: int) -> None:
        self.started = time.perf_counter()
        self.ends = self.started + milliseconds / 1000
        self.late: list[float] = []
        self.handled = 0

    @property
    def over(self) -> bool:
        """Whether actor and task shall end."""
        return time.perf_counter() >= self.ends

    def work(self, seconds: float) -> bool:
        """Handle one message; return whether to go on."""
        spin(seconds)
        self.handled += 1
        return not self.over

    def ran(self, due: float, now: float) -> None:
        """The task was due and runs now. What would have been due meanwhile was missed, and was as late."""
        late = now - due
        self.late += [late - missed * self.PERIOD_S for missed in range(int(late / self.PERIOD_S) + 1)]

    def figures(self) -> Figures:
        """Percentiles in milliseconds."""
        ordered = sorted(self.late)

        def at(share: float) -> float:
            return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

        seconds = time.perf_counter() - self.started
        return {"p50_ms": at(0.5), "p99_ms": at(0.99), "handled_per_second": self.handled / seconds}


def main(cases: Mapping[str, Callable[[int], Figures]]) -> None:
    """Run the case that the command line names, with the count it names, and print its figures."""
    name, count = sys.argv[1], int(sys.argv[2])
    gc.collect()
    print(json.dumps(cases[name](count)))
