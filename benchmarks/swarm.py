"""B5: swarms: what a mux client and a supervised one cost in time and memory, and how that grows with connections.

Clients and server are in processes of their own. Each client gets one tick a second, alone in its read, so that every
tick is a wake-up of its socket. Sizes that the system has no descriptors for are left out, and named. The sizes are the
budget's at ``--scale 1``; ``python -m benchmarks.swarm --clients N --full M --seconds S`` tries others.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.budget import Verdict, render_table
from benchmarks.growth import EXPONENT_MAX, exponent
from benchmarks.processes import ROOT, open_blaster, run_contender

__all__ = ["measured", "verdicts"]

MUX_CLIENTS = 10_000
FULL_CLIENTS = 300
"""Enough to know what one costs; how many fit a core follows from it."""

SIZES = (500, 1000, 2500, 5000, 10_000, 15_000)
SECONDS = 10.0
DESCRIPTORS_SPARE = 200

CPU_US_MAX = 8.0
CORE_PERCENT_MAX = 20.0
MUX_KIB_MAX = 2.0
FULL_KIB_MAX = 120.0
FULL_PER_CORE_MIN = 1500


@contextmanager
def open_crowd() -> Iterator[str]:
    """Run the crowd's server while the block runs; its URL."""
    command = [sys.executable, "-m", "benchmarks.crowd"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def descriptors() -> int:
    """How many connections one process may have here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 10**9 if hard == resource.RLIM_INFINITY else hard
    return most - DESCRIPTORS_SPARE


def measured(kind: str, clients: int, seconds: float) -> dict[str, Any]:
    """Run one swarm; its figures."""
    if kind == "mux":
        with open_crowd() as url:
            return run_contender(
                "potrio_swarm", url, kind, str(clients), str(seconds), ours=True, seconds=180
            )
    with open_blaster(rate=1.0, streams=1) as venue:
        return run_contender(
            "potrio_swarm", venue.url, kind, str(clients), str(seconds), ours=True, seconds=180
        )


def middle(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: median(run[name] for run in runs) for name in runs[0]}


def figure(
    id_: str, name: str, unit: str, ours: float, limit: float, *, least: bool = False, **details: Any
) -> Verdict:
    """A budget that is a figure, not a ratio."""
    sign, met = (">=", ours >= limit) if least else ("<=", ours <= limit)
    return Verdict(id_, name, unit, ours, {}, ours / limit, f"{sign} {limit:g} {unit}", met, details)


def mux_verdicts(rounds: int, clients: int, seconds: float) -> list[Verdict]:
    """What many small clients cost."""
    got = middle([measured("mux", clients, seconds) for _ in range(rounds)])
    cpu_us = 1e6 * got["cpu_seconds"] / got["items"]
    late = {name: round(got[name], 2) for name in ("late_p50_ms", "late_p99_ms")}
    percent = 100 * got["cpu_seconds"] / got["seconds"]
    rate = round(got["items"] / got["seconds"])
    return [
        figure(
            "B5a", f"CPU per tick, each a wake-up, {clients} mux clients", "us", cpu_us, CPU_US_MAX, **late
        ),
        figure(
            "B5b", f"{clients} mux clients at 1 msg/s", "% of a core", percent, CORE_PERCENT_MAX, rate=rate
        ),
        figure("B5c", f"memory of each of {clients} mux clients", "KiB", got["kib_per_client"], MUX_KIB_MAX),
    ]


def full_verdicts(rounds: int, clients: int, seconds: float) -> list[Verdict]:
    """What supervised clients cost."""
    got = middle([measured("full", clients, seconds) for _ in range(rounds)])
    per_core = clients * got["seconds"] / got["cpu_seconds"]
    rate = round(got["items"] / got["seconds"])
    return [
        figure("B5d", f"memory of each of {clients} full clients", "KiB", got["kib_per_client"], FULL_KIB_MAX),
        figure(
            "B5e", "full clients a core carries at 1 msg/s", "clients", per_core, FULL_PER_CORE_MIN, least=True,
            rate=rate, measured_with=clients,
        ),
    ]  # fmt: skip


def growth_verdict(rounds: int, sizes: list[int], seconds: float, left_out: list[int]) -> Verdict:
    """How the cost grows with the number of connections; the sizes take turns."""
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    rates: dict[int, int] = {}
    for _ in range(rounds):
        for size in sizes:
            got = measured("mux", size, seconds)
            costs[size].append(got["cpu_seconds"] / got["items"])
            rates[size] = round(got["items"] / got["seconds"])
    each = {size: median(found) for size, found in costs.items()}
    slope = exponent([(size, size * cost) for size, cost in each.items()])
    return Verdict(
        "G3",
        f"cost of delivery against connections, {min(each)} to {max(each)}",
        "exponent of cost over work",
        slope,
        {},
        slope,
        f"<= {EXPONENT_MAX}",
        slope <= EXPONENT_MAX,
        {
            "microseconds of processor time per tick": {
                size: round(1e6 * cost, 2) for size, cost in each.items()
            },
            "ticks per second": rates,
            "sizes left out for want of descriptors": left_out,
        },
    )


def verdicts(
    rounds: int, scale: float, *, clients: int = 0, full: int = 0, seconds: float = 0.0
) -> list[Verdict]:
    """Measure; sizes that are not given are the budget's times ``scale``."""
    seconds = seconds or max(2.0, SECONDS * min(1.0, scale))
    clients = clients or max(20, int(MUX_CLIENTS * scale))
    full = full or max(5, int(FULL_CLIENTS * scale))
    wanted = sorted({max(20, int(size * clients / MUX_CLIENTS)) for size in SIZES})
    fitting = [size for size in wanted if size <= descriptors()]
    found = mux_verdicts(rounds, min(clients, descriptors()), seconds) + full_verdicts(rounds, full, seconds)
    if len(fitting) > 1:
        left_out = [size for size in wanted if size not in fitting]
        found.append(growth_verdict(rounds, fitting, seconds, left_out))
    return found


def main() -> None:
    """Measure with sizes of one's own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swarm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clients", type=int, default=MUX_CLIENTS, help="mux clients")
    parser.add_argument("--full", type=int, default=FULL_CLIENTS, help="supervised clients")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="measured in each run")
    options = parser.parse_args()
    sizes = {"clients": options.clients, "full": options.full, "seconds": options.seconds}
    print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(render_table(verdicts(options.rounds, 1.0, **sizes)))


if __name__ == "__main__":
    main()
