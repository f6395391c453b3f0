"""One run: a client and a venue of production in a world of one seed, its faults, its time to heal, and the verdict."""

from __future__ import annotations

import gc
import logging
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from typing import Final

import msgspec
import trio

from loadsim.simulation.checks import (
    check_counters,
    check_journal,
    check_money,
    check_orders,
    check_queues,
    check_withdrawn,
)
from loadsim.simulation.clock import SimClock, SimulationStuck, run_unstuck, seeded_scheduler
from loadsim.simulation.clocks import Clocks
from loadsim.simulation.guards import RealWorld, elders_set_aside, guarded
from loadsim.simulation.history import History
from loadsim.simulation.ledger import VenueLedger, Violation
from loadsim.simulation.messages import message_level
from loadsim.simulation.nemesis import Nemesis
from loadsim.simulation.network import SimNetwork
from loadsim.simulation.plan import SimPlan
from loadsim.simulation.readers import TickCheck, read_ticks
from loadsim.simulation.workload import Workload
from loadsim.venue.config import TradingConfig, VenueConfig
from loadsim.venue.server import Venue, open_venue
from potrio.actors.book import Book
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.client.journal import opened_journal
from potrio.errors import PotrioError
from potrio.limits import SETTLEMENT_GRACE
from potrio.protocol.ssid import parse_ssid
from potrio.secrets import Secret

__all__ = ["Outcome", "run_world"]

UID: Final = 4711
PORT: Final = 8080
JOURNAL: Final = "journal.sqlite"
SESSION: Final = "a0simulated0session0of0x{:04d}"
HEAL_S: Final = 60.0
"""After the last fault, links and streams must be well within this time."""

RENEW_S: Final = 10.0
"""How long a login takes at most, in the worst weather."""

SETTLE_S: Final = 120.0
"""Orders have more: what is not known of one is decided by the venue's lists 30 s after its latest close, twice."""

LOOK_S: Final = 10.0
MAILBOX_MAX: Final = 2_000
FRESH_SSIDS: Final = 10_000
COLLECT_S: Final = 1_800.0


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a run."""

    seed: int
    hash: str
    violations: list[Violation]
    cells: Counter[tuple[str, str, str]]
    applied: Counter[str]
    events: list[str]
    orders: dict[str, list[str]]
    virtual_s: float
    counted: dict[str, int]


def ssid_text(number: int) -> str:
    """An auth frame of the one user there is; each number is another session."""
    session = SESSION.format(number)
    return f'42["auth",{{"session":"{session}","isDemo":1,"uid":{UID},"platform":2}}]'


class World:
    """The parts of a run."""

    def __init__(self, plan: SimPlan) -> None:
        self.plan = plan
        self.clock = SimClock()
        self.history = History(self.clock)
        self.network = SimNetwork(plan.seed, self.clock, self.history, level=plan.level, latency=plan.latency)
        self.violations: list[Violation] = []
        self.cells: Counter[tuple[str, str, str]] = Counter()
        self.applied: Counter[str] = Counter()
        self.counted: dict[str, int] = {}
        self.long_queues: set[str] = set()
        self.sessions = 0
        self.replayed = 0

    def wrong(self, invariant: str, text: str, order: str = "") -> None:
        """Note a violation."""
        self.history.say(f"VIOLATION {invariant}: {text}", order)
        self.violations.append(Violation(invariant, text, order))

    async def main(self) -> None:
        """Live through it."""
        config = VenueConfig(
            seed=self.plan.seed,
            port=PORT,
            trading=TradingConfig(closed_kept=100_000, demo_balance=Decimal(1_000_000)),
        )
        with guarded(random.Random(f"simulation/{self.plan.seed}/libraries")):
            async with open_venue(config, seam=self.network) as venue:
                ledger = VenueLedger(venue, self.history, self.database)
                with ledger.watching_logins():
                    await self.live(venue, ledger)
                self.check_closed(venue)
                for violation in ledger.violations:
                    self.wrong(violation.invariant, violation.text, violation.order)

    def database(self) -> sqlite3.Connection | None:
        """The journal as it is on disk."""
        return self.network._databases.get(JOURNAL)

    async def live(self, venue: Venue, ledger: VenueLedger) -> None:
        """Open the client, let everything happen, and look."""
        config = Config(
            ssid=Secret(ssid_text(0)),
            url=venue.url,
            seam=self.network,
            journal=JOURNAL if self.plan.journal else None,
            stale_after_s=self.plan.stale_after_s,
            fresh_ssid=self.fresh_ssid,
            fresh_ssid_max=FRESH_SSIDS,
        )
        await trio.sleep(1)  # the venue's own tasks are there
        before = trio.lowlevel.current_statistics().tasks_living
        try:
            async with open_client(config) as client:
                await self.phases(venue, ledger, client)
                book = client._shared.book
            await self.replay_journal(config, book)
        except PotrioError as error:
            self.wrong(
                "R8 recovers", f"the client died: {type(error).__name__}: {error} <- {error.__cause__!r}"
            )
        await trio.sleep(10)
        left = trio.lowlevel.current_statistics().tasks_living - before
        if left > 0:
            names = ", ".join(sorted(task.name for task in self.tasks()))
            self.wrong("R10 closing closes", f"{left} tasks are left of the client, of these: {names}")

    async def replay_journal(self, config: Config, book: Book) -> None:
        """What the next process would find, read as it would read it, must be what this one knew (I11)."""
        again = Book()
        async with opened_journal(config, parse_ssid(ssid_text(self.sessions)), again) as state:
            if state is None:
                return
        self.replayed = len(again.orders)
        for violation in check_journal(book, again):
            self.wrong(violation.invariant, violation.text, violation.order)

    def tasks(self) -> list[trio.lowlevel.Task]:
        """All tasks there are."""
        root = trio.lowlevel.current_root_task()
        found: list[trio.lowlevel.Task] = [] if root is None else [root]
        for task in found:
            found.extend(child for nursery in task.child_nurseries for child in nursery.child_tasks)
        return found

    async def fresh_ssid(self, _: PotrioError) -> str:
        """A program's way to another session."""
        self.sessions += 1
        await trio.sleep(0.5)
        return ssid_text(self.sessions)

    async def phases(self, venue: Venue, ledger: VenueLedger, client: Client) -> None:
        """Faults, then calm; then the books are compared."""
        plan, history = self.plan, self.history
        async with trio.open_nursery() as nursery:
            work = Workload(plan, client, history, nursery)
            work.on_rejected = ledger.check_rejected
            check = TickCheck(venue.exchange._market, venue.exchange._config.offset_s, history)
            stream = await client.ticks(*plan.assets, capacity=plan.read_capacity)
            until = trio.current_time() + plan.seconds
            clocks = Clocks(self.network, venue, ledger)
            clocks.on_leap = check.forgive
            nemesis = Nemesis(plan, self.network, venue, client, work, clocks, history, nursery)
            nemesis.on_flood = lambda: self.look_at_queues(client)
            nursery.start_soon(read_ticks, stream, check, plan.read_pause_s)
            nursery.start_soon(work.place_orders, until)
            nursery.start_soon(work.ask, until)
            nursery.start_soon(self.watch, client)
            with trio.CancelScope() as scope:
                nursery.start_soon(self.within, scope, nemesis.run)
                await trio.sleep_until(until)
            scope.cancel()
            nemesis.calm()
            await trio.sleep_until(nemesis.closed_until)
            await trio.sleep(HEAL_S)
            await self.renewed(client)
            self.check_healed(client, check)
            await trio.sleep(SETTLE_S)
            await self.settle_balance(client)
            await self.arrived()
            self.cells, self.applied = nemesis.cells, nemesis.applied
            quiet = not plan.faults
            found = [
                *check_orders(client, ledger, work.settled),
                *check_withdrawn(client, ledger, work.withdrawn),
                *check_money(client, ledger, UID),
                *check_counters(client, ledger, quiet=quiet),
                *check.violations,
            ]
            for violation in found:
                self.wrong(violation.invariant, violation.text, violation.order)
            self.check_dials()
            self.counted = {
                "ticks": check.ticks,
                "gaps": check.gaps,
                "orders": work.placed,
                "answers": work.answers,
                "connections": client.epoch,
                "faults": sum(self.applied.values()),
                "disk_failures": self.network.disk.failures,
                "anomalies": client.anomalies_total,
                "crashes": sum(client.statistics().crashes.values()),
            }
            nursery.cancel_scope.cancel()
        stream.close()

    async def within(self, scope: trio.CancelScope, run: Callable[[], object]) -> None:
        """Run the faults in the nursery; what lasts is undone by `Nemesis.calm`."""
        await run()  # type: ignore[misc]  # a coroutine function

    async def settle_balance(self, client: Client) -> None:
        """The last word on money: told anew, so that a balance that was lost on its way is not held against anybody."""
        try:
            await client.refresh_balance()
        except PotrioError as error:
            self.wrong("R8 recovers", f"the balance cannot be asked for: {error}")

    async def arrived(self) -> None:
        """Wait until nothing is on its way to the venue, and it has taken what arrived."""
        with trio.move_on_after(LOOK_S):
            while True:
                while self.network.is_busy:  # noqa: ASYNC110  # a network tells nobody
                    await trio.sleep(0.01)
                await trio.sleep(0.01)
                if not self.network.is_busy:  # a keep-alive may have been sent meanwhile
                    return

    async def watch(self, client: Client) -> None:
        """Look at the queues now and then."""
        collected = 0.0
        while True:
            await trio.sleep(LOOK_S)
            self.look_at_queues(client)
            if self.clock.now - collected >= COLLECT_S:
                collected = self.clock.now
                gc.collect()

    async def renewed(self, client: Client) -> None:
        """Give a login its time that the client has just begun by itself, and no other.

        The venue tells of closed deals to those who log in, and to nobody else: a client that must know what became of
        an order whose answer was lost with its link connects again (`OrderClock.reconcile`). It asks in vain at first,
        and then when the list can decide, `MATCH_AFTER_S` and the order's duration after it was written: for one of
        30 s, written with the last fault, in the very minute at whose end the link is looked at. The product is right.
        """
        now = self.clock.now
        asked = client._shared.book.asked.values()
        if all(now - (each.again_at - SETTLEMENT_GRACE * each.times) > RENEW_S for each in asked):
            return
        with trio.move_on_after(RENEW_S):
            while client.phase.value != "ready":  # noqa: ASYNC110  # looked at from outside
                await trio.sleep(0.1)

    def look_at_queues(self, client: Client) -> None:
        """Each queue that is too long is told once."""
        for violation in check_queues(client, MAILBOX_MAX):
            path = violation.text.split()[0]
            if path not in self.long_queues:
                self.long_queues.add(path)
                self.wrong(violation.invariant, violation.text)

    def check_healed(self, client: Client, check: TickCheck) -> None:
        """A minute after the last fault all is well."""
        if client.phase.value != "ready":
            self.wrong("R8 recovers", f"{HEAL_S:g} s after the last fault the link is {client.phase.value}")
        elif client.stale:
            self.wrong("R8 recovers", "the link is ready, and the balance is still called stale")
        utc = self.network.utc()
        late_s, quiet = 10 + 2 * self.plan.read_pause_s, not self.plan.faults
        for violation in check.check_alive(utc, self.plan.assets, late_s=late_s, quiet=quiet):
            self.wrong(violation.invariant, violation.text)

    def check_dials(self) -> None:
        """No storm of reconnects: on average at most one attempt in a second, over any minute."""
        times = self.network.dialled
        for first, last in zip(times, times[60:], strict=False):
            if last - first < 60:
                self.wrong("R8 recovers", f"60 attempts to connect in {last - first:.1f} s")
                return

    def check_closed(self, venue: Venue) -> None:
        """Nothing of the client is left at the venue."""
        connections = venue.stats()["connections"]["now"]
        if connections:
            self.wrong("R10 closing closes", f"{connections} connections are still open at the venue")


@contextmanager
def silent_logs() -> Iterator[None]:
    """What is hurt on purpose need not be told on the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def run_world(plan: SimPlan) -> Outcome:
    """Run one plan from beginning to end, and say what was wrong with it. The same plan gives the same outcome."""
    world = World(plan)
    with (
        elders_set_aside(),
        seeded_scheduler(plan.seed),
        silent_logs(),
        message_level() if plan.level == "message" else nullcontext(),
    ):
        try:
            trio.run(run_unstuck, world.clock, world.main, clock=world.clock)
        except (SimulationStuck, RealWorld, trio.TrioInternalError) as error:
            world.wrong("I9 everything ends", _words(error))
        except Exception as error:  # noqa: BLE001  # the edge of a run
            # The verdict on a run, not its end: whatever escapes from client or venue is a finding.
            world.wrong("no crash", _words(error))
    return Outcome(
        seed=plan.seed,
        hash=world.history.hash(),
        violations=world.violations,
        cells=world.cells,
        applied=world.applied,
        events=list(world.history.events),
        orders=world.history.orders,
        virtual_s=world.clock.now,
        counted={**world.counted, "replayed": world.replayed},
    )


def _words(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_words(one) for one in error.exceptions)
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = "" if at is None else f" at {at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno}"
    return f"{type(error).__name__}: {error}{where}"
