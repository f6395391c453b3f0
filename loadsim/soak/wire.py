"""Minutes of real time over TCP, the venue in another process, the line dropped again and again: both count alike.

A frame that was written to a connection which the other side has dropped is counted on one side only, and nobody can
tell how far it came. So each drop is asked for on that very connection, by an event the venue waits for, at a random
moment in which nothing else is under way; then all counters must be equal, to the frame.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from loadsim.soak.census import Census, objects, resident_mb, slope
from loadsim.soak.habits import ssid_of
from loadsim.soak.ticks import TickAudit
from loadsim.soak.verdict import Part, Verdict
from loadsim.venue.market import Market
from potrio.actors.link import LinkCounters
from potrio.actors.order_handle import Draw, OrderHandle, Won
from potrio.actors.order_handle import Lost as Loss
from potrio.cli.facts import agree, wire_facts
from potrio.cli.venue_process import PING_INTERVAL_MS, VenueProcess, open_venue_process
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.errors import PotrioError
from potrio.seam import REAL, Seam

__all__ = ["GROWTH_MB_MAX", "PROMISES", "WirePlan", "run_wire", "sockets"]

FIRST_UID: Final = 5711
ASSETS: Final = ("EURUSD_otc", "GBPUSD_otc")
ZONE_S: Final = 7200
MARK: Final = "soakDrop"
ORDER_EVERY_S: Final = 3.0
DURATION_S: Final = 5
QUIET_S: Final = 0.03
BACK_WITHIN_S: Final = 10.0
"""I8: from a drop to ready."""

SETTLED_WITHIN_S: Final = 20.0
AGREED_WITHIN_S: Final = 5.0
SAMPLE_S: Final = 1.0
GROWTH_MB_MAX: Final = 4.0
"""How much resident memory may grow by its slope, from the end of the first third to the end of the soak."""

PROMISES: Final = ("P1", "P2", "P4", "P6", "P10")


class WirePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One soak over TCP.

    Attributes:
        seed: of the venue's market and of the moments of drops and orders.
        seconds: of real time, besides starting, settling and comparing.
        drop_every_s: on average, for each client.
        clients: each with an account and exactly one socket.
    """

    seed: int
    seconds: float
    drop_every_s: float = 4.0
    clients: int = 2


class WireUser:
    """One client over TCP, its orders, its reader, and the drops of its line."""

    def __init__(
        self, uid: int, plan: WirePlan, client: Client, venue: VenueProcess, verdict: Verdict
    ) -> None:
        self.uid = uid
        self.client = client
        self.placed: list[OrderHandle] = []
        self.refused = 0
        self.drops = 0
        self.back_s: list[float] = []
        self.results: Counter[str] = Counter()
        self.ticks = TickAudit(Market(plan.seed), ZONE_S, self._wrong)
        self._plan = plan
        self._venue = venue
        self._verdict = verdict
        self._began = trio.current_time()
        self._chance = random.Random(f"soak/wire/{plan.seed}/{uid}")
        self._quiet = trio.Lock()  # who holds it is the only one to send

    def at_s(self) -> float:
        """Seconds since the start."""
        return trio.current_time() - self._began

    def _wrong(self, text: str) -> None:
        self._verdict.breach("P4", f"{self.uid}: {text}", self.at_s())

    async def read(self) -> None:
        """Read ticks until cancelled."""
        async with self.client.ticks(*ASSETS) as stream:
            async for item in stream:
                self.ticks.take(item)
                self._verdict.checked["P4"] += 1

    async def trade(self) -> None:
        """Place orders until cancelled; also while the line is down."""
        while True:
            await trio.sleep(self._chance.expovariate(1 / ORDER_EVERY_S))
            async with self._quiet:
                try:
                    side, amount = self._chance.choice(("call", "put")), self._chance.randint(1, 20)
                    order = await self.client.place(
                        self._chance.choice(ASSETS), side, amount, duration=DURATION_S
                    )
                    self.placed.append(order)
                except PotrioError:
                    self.refused += 1

    async def drop(self) -> None:
        """Have the line dropped again and again, until cancelled."""
        while True:
            await trio.sleep(self._chance.uniform(0.25, 1.75) * self._plan.drop_every_s)
            async with self._quiet:
                fault = {"kind": "drop", "event": MARK, "uid": self.uid, "count": 1}
                await trio.to_thread.run_sync(partial(post, f"{self._venue_url}/faults", fault))
                await self._quiet_moment()
                epoch, began = self.client.epoch, trio.current_time()
                try:
                    await self.client.send_raw(MARK)
                except PotrioError:
                    continue  # it was lost by itself: the next one meets the fault
                while self.client.epoch == epoch and self.client.phase.value == "ready":
                    await self.client.wait_change()
            with trio.move_on_after(BACK_WITHIN_S):
                await self.client.wait_ready()
            took = trio.current_time() - began
            self.drops += 1
            self.back_s.append(took)
            ready = self.client.phase.value == "ready"
            self._verdict.check("P10", ready, f"{self.uid}: not back after {took:.1f} s", self.at_s())

    @property
    def _venue_url(self) -> str:
        return f"http://127.0.0.1:{self._venue.port}"

    async def _quiet_moment(self) -> None:
        """Wait for a moment soon after a heartbeat, in which the client sends nothing."""
        client = self.client
        while True:
            await client.wait_ready()
            before = client.wire_counters()
            with trio.move_on_after(2 * PING_INTERVAL_MS / 1000):
                while client.wire_counters().pongs_sent == before.pongs_sent:  # noqa: ASYNC110  # nobody tells of pongs
                    await trio.sleep(QUIET_S)
            sent = client.wire_counters().messages_sent
            await trio.sleep(QUIET_S)
            if client.phase.value == "ready" and client.wire_counters().messages_sent == sent:
                return

    async def settle(self, stats: dict[str, Any]) -> None:
        """Wait for all results, and compare each with the venue's count of it (P1, P2)."""
        heard = {str(name): count for name, count in stats["orders"].items()}
        for order in self.placed:
            state = order.state
            if not self._verdict.check("P2", state.ended, f"{order!r} has not ended", self.at_s()):
                continue
            times = heard.get(order.request_id, 0)
            expected = 0 if state.value in ("denied", "void") else 1
            self._verdict.check("P1", times <= 1, f"{order!r} came {times} times", self.at_s())
            self._verdict.check("P2", times == expected, f"{order!r} came {times} times", self.at_s())
            if state.value == "settled":
                match await order.result():
                    case Won():
                        self.results["won"] += 1
                    case Loss():
                        self.results["lost"] += 1
                    case Draw():
                        self.results["draw"] += 1


def post(address: str, value: object) -> None:
    """POST JSON to a page of this machine, past any proxy of the environment.

    Raises:
        OSError: it is not answered, or refused.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(address, msgspec.json.encode(value)), timeout=5) as response:
        response.read()


def sockets() -> int:
    """How many sockets this process has open."""
    if sys.platform != "linux":
        return 0
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            pass  # the descriptor of the listing itself
    return found


def run_wire(plan: WirePlan, *, say: Callable[[str], None] = lambda line: None, seam: Seam = REAL) -> Part:
    """Run a soak over TCP; returns when it is over. Not to be called inside of a trio run.

    Raises:
        PotrioError: the venue's process does not start, or a client cannot be opened at all.
    """
    began = seam.wall()
    with tempfile.TemporaryDirectory() as folder:
        part = trio.run(_soak, plan, Path(folder), say, seam)
    part.took_s = round(seam.wall() - began, 1)
    return part


async def _soak(plan: WirePlan, folder: Path, say: Callable[[str], None], seam: Seam) -> Part:
    verdict, samples = Verdict(), Samples(plan, seam)
    async with open_venue_process(folder / "venue.json", plan.seed) as venue:
        sockets_before, tasks_before = sockets(), trio.lowlevel.current_statistics().tasks_living
        async with AsyncExitStack() as stack:
            users = []
            for number in range(plan.clients):
                config = Config(ssid=ssid_of(FIRST_UID + number), url=venue.url, seam=seam)
                client = await stack.enter_async_context(open_client(config))
                users.append(WireUser(FIRST_UID + number, plan, client, venue, verdict))
            open_sockets = sockets() - sockets_before
            held = open_sockets in (0, len(users))  # 0 where the system does not tell
            verdict.check("P6", held, f"{open_sockets} sockets of {len(users)} clients", 0.0)
            await work(plan, users, samples, verdict, say)
            await compare(plan, users, venue, verdict)
            samples.check_calm(users, sockets_before, verdict)
        left, living = sockets() - sockets_before, trio.lowlevel.current_statistics().tasks_living
        verdict.check("P6", left == 0, f"{left} sockets are left", plan.seconds)
        verdict.check(
            "P6", living == tasks_before, f"{living} tasks of {tasks_before} are left", plan.seconds
        )
        stats = await venue.stats()
        now = stats["connections"]["now"]
        verdict.check("P6", now == 0, f"the venue still has {now} connections", plan.seconds)
    samples.check_growth(verdict)
    verdict.require(PROMISES, plan.seconds)
    return verdict.part("over TCP", plan.seed, plan.seconds, {**figures(users, stats), **samples.figures()})


async def work(
    plan: WirePlan, users: list[WireUser], samples: Samples, verdict: Verdict, say: Callable[[str], None]
) -> None:
    """Trade, read and be dropped for so long; then only read on until every order has ended."""
    async with trio.open_nursery() as readers:
        for user in users:
            readers.start_soon(user.read)
        async with trio.open_nursery() as workers:
            for user in users:
                workers.start_soon(user.trade)
                workers.start_soon(user.drop)
            began, told = trio.current_time(), 0
            while (passed := trio.current_time() - began) < plan.seconds:
                await trio.sleep(min(SAMPLE_S, plan.seconds - passed))
                samples.take(passed, users)
                if passed // 30 > told:
                    told = int(passed // 30)
                    drops, orders = sum(user.drops for user in users), sum(len(user.placed) for user in users)
                    say(
                        f"{passed:.0f}/{plan.seconds:g} s: {drops} drops, {orders} orders, "
                        f"{samples.memory[-1][1]:.0f} MB, {verdict.breaches_total} breaches"
                    )
            workers.cancel_scope.cancel("worked long enough")
        with trio.move_on_after(SETTLED_WITHIN_S):
            while not all(order.state.ended for user in users for order in user.placed):  # noqa: ASYNC110  # of many
                await trio.sleep(0.1)
            await trio.sleep(1)
        for user in users:
            await user.client.wait_ready()
            user.ticks.check_alive(ASSETS, REAL.wall(), 5.0)
        readers.cancel_scope.cancel("read enough")


async def compare(plan: WirePlan, users: list[WireUser], venue: VenueProcess, verdict: Verdict) -> None:
    """Compare all counters at a quiet moment: what is in flight is counted on one side only."""
    rows, stats, wrong = [], await venue.stats(), []
    with trio.move_on_after(AGREED_WITHIN_S):
        while True:
            stats = await venue.stats()
            ours = LinkCounters()
            for user in users:
                ours.add(user.client.wire_counters())
            rows = wire_facts("wire", ours, stats)
            if agree(rows):
                break
            await trio.sleep(0.1)
    for row in rows:
        verdict.check("P10", row.agree, f"{row.fact}: ours {row.ours}, the venue's {row.venue}", plan.seconds)
    received, sent = ours.events_received, stats["events_sent"]
    for name in sorted({*received, *sent}):
        a, b = received.get(name, 0), sent.get(name, 0)
        verdict.check("P10", a == b, f"received {name}: ours {a}, the venue's {b}", plan.seconds)
    opened, ups = stats["connections"]["opened"], sum(user.client.statistics().connections for user in users)
    verdict.check("P10", opened == ups, f"connections: ours {ups}, the venue's {opened}", plan.seconds)
    for user in users:
        await user.settle(stats)
        account = next(each for each in stats["accounts"] if each["uid"] == user.uid)
        told = Decimal(str(account["balance"]))
        if user.client.balance != told:
            wrong.append(f"{user.uid}: balance {user.client.balance}, the venue's {told}")
        theirs = {name: account[name] for name in ("won", "lost", "draw")}
        if theirs != {name: user.results[name] for name in theirs}:
            wrong.append(f"{user.uid}: results {dict(user.results)}, the venue's {theirs}")
    verdict.check("P2", not wrong, "; ".join(wrong), plan.seconds)


class Samples:
    """Memory, tasks and sockets, looked at while the soak runs."""

    def __init__(self, plan: WirePlan, seam: Seam) -> None:
        self.memory: list[tuple[float, float]] = []
        self.followed: list[tuple[float, float]] = []
        self.tasks: Counter[int] = Counter()
        self.census = Census()
        self._plan = plan
        self._seam = seam

    def take(self, passed: float, users: list[WireUser]) -> None:
        """Look; every tenth time at everything."""
        self.memory.append((passed, resident_mb(self._seam)))
        if len(self.memory) % 10 == 0:
            self.followed.append((passed, objects()))
            self.census.take([user.client._shared for user in users])
        if all(user.client.phase.value == "ready" for user in users):
            self.tasks[trio.lowlevel.current_statistics().tasks_living] += 1

    def check_calm(self, users: list[WireUser], sockets_before: int, verdict: Verdict) -> None:
        """One socket for each client at the end, too; containers within their bounds."""
        there = sockets() - sockets_before
        text = f"{there} sockets of {len(users)} clients at the end"
        verdict.check("P6", there in (0, len(users)), text, self._plan.seconds)
        if self.census.looks:
            for text in self.census.breaches():
                verdict.breach("P5", text, self._plan.seconds)

    def check_growth(self, verdict: Verdict) -> None:
        """Memory does not grow, where there was time to see it."""
        if self._plan.seconds >= 120:
            grown = self.figures()["resident_mb_grown"]
            verdict.check("P5", grown <= GROWTH_MB_MAX, f"memory grew by {grown} MB", self._plan.seconds)
            most = max(self.tasks.values()) / sum(self.tasks.values())
            text = f"the number of tasks is not constant: {dict(self.tasks)}"
            verdict.check("P6", most >= 0.9, text, self._plan.seconds)

    def figures(self) -> dict[str, Any]:
        """What was measured."""
        third = len(self.memory) // 3
        per_s = slope(self.memory[third:])
        return {
            "resident_mb": round(self.memory[-1][1], 1),
            "resident_mb_grown": round(per_s * self._plan.seconds * 2 / 3, 2),
            "objects_followed": [int(count) for _, count in (*self.followed[:1], *self.followed[-1:])],
            "tasks_when_ready": {str(count): times for count, times in self.tasks.most_common(4)},
            "largest_containers": self.census.largest(),
        }


def figures(users: list[WireUser], stats: dict[str, Any]) -> dict[str, Any]:
    """What was done."""
    back = sorted(took for user in users for took in user.back_s) or [0.0]
    gaps: Counter[str] = Counter()
    for user in users:
        gaps.update(user.ticks.gaps)
    return {
        "clients": len(users),
        "drops": sum(user.drops for user in users),
        "back_after_s_median": round(back[len(back) // 2], 3),
        "back_after_s_max": round(back[-1], 3),
        "orders": sum(len(user.placed) for user in users),
        "orders_refused_here": sum(user.refused for user in users),
        "orders_by_state": dict(Counter(order.state.value for user in users for order in user.placed)),
        "ticks": sum(user.ticks.ticks for user in users),
        "ticks_missed_and_told": sum(user.ticks.missed for user in users),
        "gaps": dict(gaps),
        "frames_sent_by_venue": stats["frames"]["text_sent"] + stats["frames"]["binary_sent"],
        "frames_received_by_venue": stats["frames"]["text_received"] + stats["frames"]["binary_received"],
        "connections_opened": stats["connections"]["opened"],
    }
