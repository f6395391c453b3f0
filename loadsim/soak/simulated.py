"""Hours of several clients and all faults in virtual time: storm, calm, and in each calm everything is compared."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
import trio

from loadsim.simulation.clock import SimClock, seeded_scheduler
from loadsim.soak.census import Census, objects, resident_mb, slope
from loadsim.soak.habits import Habits, faster, ssid_of
from loadsim.soak.orders import VenueEar, check_account, check_orders
from loadsim.soak.user import SoakUser
from loadsim.soak.verdict import Part, Verdict
from loadsim.venue.config import TradingConfig, VenueConfig
from loadsim.venue.faults import Fault, FaultKind
from loadsim.venue.server import Venue, open_venue
from potrio.cli.drill import CrashOnPurpose, nodes
from potrio.client.client import Client
from potrio.client.config import Config
from potrio.seam import REAL, Seam
from potrio.testing.network import MemoryNetwork

__all__ = ["MEMORY_MB_PER_H", "OBJECTS_PER_H", "PROMISES", "SoakPlan", "run_simulated"]

PORT: Final = 8080
FIRST_UID: Final = 4711
CALM_MAX_S: Final = 240.0
"""From the end of all faults until everybody is ready and every order has ended: a dead peer is noticed within 45 s,
the last pending order opens 40 s after it was placed, and so on."""

FLOWING_S: Final = 65.0
"""After that, the slow readers have looked once more."""

CRASH_EVERY_S: Final = 180.0
"""Not more crashes of one client than its supervisors put up with."""

MEMORY_MB_PER_H: Final = 1.0
"""I7: how fast resident memory may grow, per simulated hour, after the first third, besides what kept orders take."""

OBJECTS_PER_H: Final = 500
"""The same for the number of objects that the garbage collector follows."""

KEPT: Final = {"orders": (12, 12.0), "pending": (6, 4.0), "external": (1, 1.5)}
"""Objects and KB of each order, pending order and deal from elsewhere that a client keeps. Measured: an order with all
that happens to it in a storm, its records in the journal and at the venue included, is 7 KB for Python and, since the
allocator takes memory in large steps, up to 12 KB resident. They are kept to a bound (`ORDERS_KEPT_MAX`) that ten hours
do not reach."""

PROMISES: Final = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P10")

ACTORS: Final = ("connection", "pinger", "router", "order_book", "history", "monitor", "journal")
ANSWERS: Final = (
    "successopenOrder",
    "failopenOrder",
    "successcloseOrder",
    "updateClosedDeals",
    "updateOpenedDeals",
    "successopenPendingOrder",
    "updateHistoryNew",
    "successupdateBalance",
)
KINDS: Final = (
    *(
        "drop",
        "drop",
        "drop",
        "half_open",
        "restart",
        "refuse_connection",
        "lose",
        "lose",
        "duplicate",
        "delay",
    ),
    *("reorder", "truncate", "garbage", "slow_drain", "bare_41", "reject_auth", "refuse", "lose_request"),
    *("crash", "crash", "crash", "start_anew"),
)
"""What can go wrong; some more often than others."""


class SoakPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One soak.

    Attributes:
        seed: of everything.
        hours: simulated ones.
        rounds: each is a storm and a calm.
        faults_per_hour: in a storm, on average, over all clients.
        hurry: multiplies orders, questions and pauses.
        habits: of each user; every other one starts anew now and then.
    """

    seed: int
    hours: float
    rounds: int
    faults_per_hour: float = 240.0
    hurry: float = 1.0
    habits: tuple[Habits, ...] = (
        Habits(),
        Habits(journal=True, assets=("EURUSD_otc", "AUDUSD_otc", "USDJPY_otc")),
        Habits(transport="trio-websocket"),
        Habits(journal=True, pauses_per_hour=8.0),
    )

    @staticmethod
    def short_habits() -> tuple[Habits, ...]:
        """Two users instead of four, with everything that users do."""
        return (Habits(transport="trio-websocket"), Habits(journal=True))


class Simulation:
    """The venue, its users and the weather, in one virtual hour after another."""

    def __init__(self, plan: SoakPlan, venue: Venue, network: MemoryNetwork, verdict: Verdict) -> None:
        self.plan = plan
        self.venue = venue
        self.verdict = verdict
        self.network = network
        self.applied: Counter[str] = Counter()
        self.census = Census()
        self.memory: list[tuple[float, float]] = []
        self.followed: list[tuple[float, float]] = []
        self.kept: list[tuple[float, dict[str, int]]] = []
        self.recovered_s: list[float] = []
        self.tasks: dict[str, int] = {}
        self.ear = VenueEar(venue, verdict)
        self._chance = random.Random(f"soak/{plan.seed}/weather")
        self._crashed: dict[int, float] = {}
        market, zone_s = venue.exchange._market, 7200
        self.users = [
            SoakUser(
                FIRST_UID + number,
                faster(habits, plan.hurry),
                Config(
                    ssid=ssid_of(FIRST_UID + number),
                    url=venue.url,
                    transport=habits.transport,
                    journal=f"journal-{number}" if habits.journal else None,
                    fresh_ssid_max=100_000,
                    seam=network,
                ),
                market=market,
                zone_s=zone_s,
                ear=self.ear,
                verdict=verdict,
                seed=plan.seed,
            )
            for number, habits in enumerate(plan.habits)
        ]

    # --- weather -----------------------------------------------------------------------------------------------------

    async def storm(self, seconds: float, nursery: trio.Nursery) -> None:
        """Let things go wrong for so long."""
        chance = self._chance
        with trio.move_on_after(seconds):
            while True:
                await trio.sleep(chance.expovariate(self.plan.faults_per_hour / 3600))
                user, kind = chance.choice(self.users), chance.choice(KINDS)
                if kind == "crash":
                    self._crash(user)
                elif kind == "start_anew":
                    if self.users.index(user) % 2 and user.client is not None and user.habits.journal:
                        nursery.start_soon(user.start_anew)
                        self.applied[kind] += 1
                else:
                    self._hurt(kind, user.uid)

    def _crash(self, user: SoakUser) -> None:
        now, client = trio.current_time(), user.client
        if client is None or now - self._crashed.get(user.uid, -CRASH_EVERY_S) < CRASH_EVERY_S:
            return
        name = self._chance.choice(ACTORS)
        path = next((node.path for node in nodes(client.tree()) if node.path.endswith(f"/{name}")), None)
        if path is None:
            return  # it keeps no journal
        self._crashed[user.uid] = now
        above = path.rpartition("/")[0]
        root = client.supervisor
        home = root if above == root.path else root.supervisor(above)
        home.crash_child(name, CrashOnPurpose("the soak wants to see what happens"))
        self.applied[f"crash of {name}"] += 1

    def _hurt(self, kind: str, uid: int) -> None:
        chance = self._chance
        options: dict[str, Any] = {"uid": uid}
        match kind:
            case "restart":
                options = {"delay_ms": chance.randint(100, 20_000)}
            case "refuse_connection":
                options = {"count": chance.randint(1, 4)}
            case "lose" | "duplicate" | "reorder" | "truncate":
                options["event"] = chance.choice(ANSWERS)
            case "delay":
                options |= {"event": chance.choice(ANSWERS), "delay_ms": chance.randint(50, 8000)}
            case "slow_drain":
                options["delay_ms"] = chance.randint(50, 2000)
            case "lose_request":
                options["event"] = chance.choice(
                    ("openOrder", "openPendingOrder", "changeSymbol", "cancelOrder")
                )
            case _:
                pass
        fault = Fault(kind=FaultKind(kind), **options)
        if fault.is_immediate:
            self.venue.exchange.hurt_at_once([fault])
        elif len(self.venue.exchange.plan) < 100:
            self.venue.exchange.plan.add((fault,))
        if kind in ("refuse_connection", "reject_auth"):
            self.venue.exchange.hurt_at_once([Fault(kind=FaultKind.DROP, uid=uid)])
        self.applied[kind] += 1

    # --- rounds ------------------------------------------------------------------------------------------------------

    async def round(self, storm_s: float, nursery: trio.Nursery) -> None:
        """One storm, one calm, and the comparison."""
        for user in self.users:
            user.works = True
        await self.storm(storm_s, nursery)
        for user in self.users:
            user.works = False
        self.venue.exchange.plan.clear()
        began = trio.current_time()
        with trio.move_on_after(CALM_MAX_S) as scope:
            while not all(user.is_settled() for user in self.users):  # noqa: ASYNC110  # nobody tells when all are
                await trio.sleep(0.5)
        self.recovered_s.append(trio.current_time() - began)
        for user in self.users:
            said = "no client" if user.client is None else user.client.phase.value
            text = f"{user.uid} has not recovered after {CALM_MAX_S:g} s: {said}"
            self.verdict.check(
                "P2", not scope.cancelled_caught or user.is_settled(), text, trio.current_time()
            )
        await trio.sleep(FLOWING_S)
        for user in self.users:
            await user.refresh_balance()
        await trio.sleep(1)  # until those who listen have heard it, too
        self.compare()

    def compare(self) -> None:
        """All clients with the venue's records; memory, tasks, sockets."""
        now, verdict, clients = trio.current_time(), self.verdict, []
        for user in self.users:
            check_orders(user.placed.values(), self.venue, self.ear, verdict)
            if user.client is not None and user.is_settled():
                user.check_calm(self.network.wall())
                check_account(user.client.balance, self.venue, user.key, verdict)
                clients.append(user.client)
            user.forget()
        # A connection that a fault has silenced hears nothing of its end; it and its two tasks stay for a while.
        silent = sum(connection.is_silent for connection in self.venue.exchange._seats)
        there = self.venue.exchange.stats.connections - silent
        text = f"{there} connections of {len(self.users)} clients"
        verdict.check("P6", there == len(self.users), text, now)
        living = trio.lowlevel.current_statistics().tasks_living - 2 * silent
        first = self.tasks.setdefault("in calm weather", living)
        verdict.check("P6", living == first, f"{living} tasks where there were {first}", now)
        self.look(now, clients)

    def look(self, now: float, clients: list[Client]) -> None:
        """Take the census of the clients that stay, and the measures of memory.

        Without the venue's prices: they are cached to a bound, which is only reached after days.
        """
        path = self.venue.exchange._market._path
        for cache in (path._day, path._parts, path._leaf, self.venue.exchange._market._whole_candle):
            cache.cache_clear()
        steady = [user.client for user in self.users[::2] if user.client in clients]
        self.census.take([client._shared for client in steady if client is not None])
        books = [client._shared.book for client in clients]
        kept = {
            "orders": sum(len(book.orders) for book in books),
            "pending": sum(len(book.pending.orders) for book in books),
            "external": sum(len(book.external) for book in books),
        }
        self.kept.append((now / 3600, kept))
        self.followed.append((now / 3600, objects()))
        self.memory.append((now / 3600, resident_mb(REAL)))
        for text in self.census.breaches():
            self.verdict.breach("P5", text, now)
        self.verdict.checked["P5"] += len(self.census.looks[-1])

    def memory_figures(self) -> dict[str, Any]:
        """How memory and objects grew, per hour, after the first third; and how much of it is orders that are kept."""
        third = len(self.memory) // 3
        memory, followed = slope(self.memory[third:]), slope(self.followed[third:])
        in_orders, in_orders_kb = (
            slope(
                [
                    (at, sum(KEPT[name][which] * count for name, count in kept.items()))
                    for at, kept in self.kept[third:]
                ]
            )
            for which in (0, 1)
        )
        return {
            "resident_mb": round(self.memory[-1][1], 1),
            "resident_mb_per_hour": round(memory, 3),
            "resident_mb_per_hour_besides_orders": round(memory - in_orders_kb / 1000, 3),
            "objects_followed": int(self.followed[-1][1]),
            "objects_per_hour": round(followed, 1),
            "objects_per_hour_besides_orders": round(followed - in_orders, 1),
            "kept": self.kept[-1][1],
        }


def run_simulated(
    plan: SoakPlan, *, say: Callable[[str], None] = lambda line: None, seam: Seam = REAL
) -> Part:
    """Run a soak in virtual time; returns when it is over. Not to be called inside of a trio run.

    Args:
        plan: what to do.
        say: told how far it is, once a round.
        seam: real time, for how long it took.
    """
    began = seam.wall()
    with seeded_scheduler(plan.seed):
        part = trio.run(_soak, plan, say, clock=SimClock())
    part.took_s = round(seam.wall() - began, 1)
    return part


async def _soak(plan: SoakPlan, say: Callable[[str], None]) -> Part:
    verdict, network = Verdict(), MemoryNetwork(seed=plan.seed)
    config = VenueConfig(seed=plan.seed, port=PORT, trading=TradingConfig(closed_kept=400))
    storm_s = plan.hours * 3600 / plan.rounds
    async with open_venue(config, seam=network) as venue:
        world = Simulation(plan, venue, network, verdict)
        await trio.sleep(1)  # until its own tasks are there
        async with trio.open_nursery() as nursery:
            before = trio.lowlevel.current_statistics().tasks_living
            for user in world.users:
                nursery.start_soon(user.live)
            for user in world.users:
                await user.wait_open()
            for number in range(plan.rounds):
                await world.round(storm_s, nursery)
                hours, faults = trio.current_time() / 3600, sum(world.applied.values())
                orders = sum(user.counts["orders"] for user in world.users)
                say(
                    f"round {number + 1}/{plan.rounds}: {hours:.2f} h, {faults} faults, {orders} orders, "
                    f"{world.memory[-1][1]:.0f} MB, {verdict.breaches_total} breaches"
                )
            nursery.cancel_scope.cancel("the soak is over")
        await trio.sleep(5)
        silent = sum(connection.is_silent for connection in venue.exchange._seats)
        now, living = trio.current_time(), trio.lowlevel.current_statistics().tasks_living - 2 * silent
        verdict.check("P6", living == before, f"{living} tasks are left of {before}", now)
        connections = venue.exchange.stats.connections - silent
        verdict.check("P6", connections == 0, f"{connections} connections are left", now)
        memory = world.memory_figures()
        if plan.hours >= 2:  # caches fill in the first hours
            grown, more = (memory[f"{name}_per_hour_besides_orders"] for name in ("resident_mb", "objects"))
            verdict.check("P5", grown <= MEMORY_MB_PER_H, f"resident memory grows by {grown} MB an hour", now)
            verdict.check("P5", more <= OBJECTS_PER_H, f"{more} more objects each hour", now)
        verdict.require(PROMISES, now)
        return verdict.part("simulated", plan.seed, now, {**_figures(world), **memory})


def _figures(world: Simulation) -> dict[str, Any]:
    stats, users = world.venue.exchange.stats, world.users
    done: Counter[str] = Counter()
    for user in users:
        done.update(user.counts)
    return {
        "clients": len(users),
        "rounds": len(world.memory),
        "faults": sum(world.applied.values()),
        "faults_by_kind": dict(sorted(world.applied.items())),
        "connections_opened": stats.connections_opened,
        "ticks_sent": stats.ticks_sent,
        "orders_heard": len(world.ear.heard),
        "deals_settled": stats.deals_settled,
        "done": dict(sorted(done.items())),
        "calm_after_s_max": round(max(world.recovered_s, default=0.0), 1),
        "tasks": world.tasks.get("in calm weather", 0),
        "largest_containers": world.census.largest(),
    }
