"""B1: ticks from a TCP socket through the supervised tree to user code, beside what users have today.

Each contender is a process of its own that logs in and takes ticks from the blasting venue, a third process; they take
turns, round by round. The figure is ticks per second of the contender's processor time, from the first tick to the
last: "one core", and on a machine that others use too the only figure that repeats. Seconds of the clock are in the
details. A tick that a full stream dropped does not count as taken.
"""

from __future__ import annotations

import subprocess
from typing import Any, NamedTuple

from benchmarks.budget import Verdict, at_least, medians
from benchmarks.processes import check_peers, open_blaster, run_contender

__all__ = ["CONTENDERS", "Contender", "verdicts"]

STREAM_ITEMS = "65536"
TOGETHER = 40


class Contender(NamedTuple):
    """Somebody who takes ticks; slow ones take fewer, so that a round takes about as long for each."""

    name: str
    script: str
    amount: int
    arguments: tuple[str, ...] = ()
    ours: bool = False
    isolated_only: bool = False


EACH = Contender("potrio, async for", "potrio_client", 300_000, ("each", STREAM_ITEMS), ours=True)
BATCH = Contender("potrio, receive_batch()", "potrio_client", 300_000, ("batch", STREAM_ITEMS), ours=True)
PICOWS = Contender("picows on uvloop, callback", "picows_uvloop", 300_000)
TRIO_WEBSOCKET = Contender("trio-websocket loop", "trio_websocket_loop", 20_000)
RIVAL = Contender("BinaryOptionsToolsV2", "rival_rust", 20_000, isolated_only=True)
PREDECESSOR = Contender("pocketoptionapi-async", "predecessor_async", 15_000, isolated_only=True)
CONTENDERS = (
    EACH,
    PICOWS,
    BATCH,
    TRIO_WEBSOCKET,
    RIVAL,
    PREDECESSOR,
    Contender("aiohttp loop", "aiohttp_loop", 150_000),
    Contender("websockets on asyncio", "websockets_asyncio", 60_000),
    Contender("websockets on trio", "websockets_trio", 40_000),
    Contender("python-socketio", "socketio_client", 20_000),
)


def verdicts(rounds: int, scale: float, *, isolated: bool) -> list[Verdict]:
    """Measure."""
    check_peers()
    contenders = [each for each in CONTENDERS if isolated or not each.isolated_only]
    rates: dict[str, list[float]] = {each.name: [] for each in contenders}
    clock: dict[str, list[float]] = {each.name: [] for each in contenders}
    dropped = 0
    failed: dict[str, str] = {}
    with open_blaster(count=max(int(max(each.amount for each in contenders) * scale) + 2_000, 1)) as venue:
        for _ in range(rounds):
            for each in contenders:
                count = max(100, int(each.amount * scale))
                try:
                    got = run_contender(each.script, venue.url, str(count), *each.arguments, ours=each.ours)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    if each.ours:
                        raise
                    failed[each.name] = str(error).strip().splitlines()[-1]  # its other rounds count
                    continue
                rates[each.name].append(got["items"] / got["cpu_seconds"])
                clock[each.name].append(got["items"] / got["seconds"])
                dropped += got.get("dropped", 0)
    cpu, wall = medians(rates), medians(clock)
    peers = {name: figure for name, figure in cpu.items() if not name.startswith("potrio")}
    details: dict[str, Any] = {
        "ticks per second of the clock": {name: round(figure) for name, figure in wall.items()},
        "dropped by our streams": dropped,
        "peers that failed in a round": failed,
    }
    found = []
    wanted = [("B1a", EACH, 0.8, PICOWS), ("B1b", BATCH, 1.1, PICOWS)]
    wanted += [("B1c", EACH, TOGETHER, each) for each in (RIVAL, PREDECESSOR, TRIO_WEBSOCKET)]
    for id_, ours, floor, peer in wanted:
        if peer.name not in cpu:
            details[f"{peer.name} was not measured"] = (
                "it only runs in a network namespace, which is not allowed here"
            )
            continue
        ratio = cpu[ours.name] / cpu[peer.name]
        found.append(
            Verdict(
                id_,
                f"{ours.name}, beside {peer.name}",
                "ticks/s of processor time",
                cpu[ours.name],
                peers if id_ == "B1a" else {peer.name: cpu[peer.name]},
                ratio,
                *at_least(floor, ratio, peer.name),
                details if id_ == "B1a" else {},
            )
        )
    return found
