"""What goes wrong in a simulated world: applies the plan's faults to network, venue, actors, clock and disk."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

import trio
from msgspec import structs

from loadsim.simulation.clocks import Clocks
from loadsim.simulation.history import History
from loadsim.simulation.marksman import Marksman
from loadsim.simulation.network import SimNetwork
from loadsim.simulation.plan import SimFault, SimPlan
from loadsim.simulation.workload import Workload
from loadsim.venue.faults import Fault, FaultKind
from loadsim.venue.server import Venue
from potrio.actor_errors import ChildNotFound
from potrio.actors.link import Batch, Transmit
from potrio.client.client import Client
from potrio.protocol.messages.account import GetBalance
from potrio.supervision.ref import Ref

__all__ = ["ACTORS", "REPLIES", "Nemesis"]

REPLIES: Final = (
    "successopenOrder",
    "failopenOrder",
    "successcloseOrder",
    "updateOpenedDeals",
    "updateClosedDeals",
    "updateHistoryNew",
    "successupdateBalance",
)
"""What may be lost, late or doubled. Ticks are not among them: TCP does not lose what comes behind what arrives."""

REQUESTS: Final = ("openOrder", "openOrder", "changeSymbol", "loadHistoryPeriod", "getBalance")
CONNECTION_PATH: Final = "link/connection"
ROUTER_PATH: Final = "link/router"
ACTORS: Final = (
    CONNECTION_PATH,
    ROUTER_PATH,
    "account/order_book",
    "account/history",
    "monitor",
    "account/journal",
)
"""What crashes of a message that it has no use for. The pinger is not among them: it reads none."""
CRASHES_MAX: Final = 3
CRASHES_WITHIN_S: Final = 300.0
"""Fewer than the supervisors forgive: a client that is beaten to death proves nothing."""

JUMPS_S: Final = (-3600.0, -60.0, 30.0, 600.0, 7200.0)
"""By how much the wall clock is set, each time on top of the times before: also by whole hours, which its look alone
cannot tell from a venue in another time zone."""

SLEEP_S: Final = (5.0, 7200.0)
"""How long the machine sleeps until its connections are dead: any length of them as likely as one twice as long."""
DOZE_S: Final = (1.0, 25.0)
"""How long it sleeps and finds them alive. An order that is on its way meanwhile is heard so much later: nearer to the
30 s by which a deal may be younger than its order, one whose answer is lost with its link can be taken for VOID."""
WRONG_BY_S: Final = 0.9
"""How far the venue's clock steps. A client lets a deal seem to be up to 2 s older than its order, of which one goes
into the whole seconds of its stamp: where the clock steps by more than the rest, an order whose answer is lost with its
link can be taken for VOID (docs/simulation.md)."""
DRIFT_EVERY_S: Final = 1.0
DRIFT: Final = 0.2
"""A clock that drifts goes wrong by up to so much in a second: all that one can follow who believes no stamp alone."""

FLAPS: Final = 5
FLOOD: Final = 3_000
"""More than any bounded mailbox of a client takes."""

ORDER_WAIT_S: Final = 60.0
"""A fault that waits for an order comes after this time all the same."""


class Nemesis:
    """Applies faults.

    Attributes:
        cells: (kind, state of an order, phase of the link) that were met, for the table of coverage.
        applied: how many faults of each kind.
    """

    def __init__(
        self,
        plan: SimPlan,
        network: SimNetwork,
        venue: Venue,
        client: Client,
        work: Workload,
        clocks: Clocks,
        history: History,
        nursery: trio.Nursery,
    ) -> None:
        self.cells: Counter[tuple[str, str, str]] = Counter()
        self.applied: Counter[str] = Counter()
        self._plan = plan
        self._network = network
        self._venue = venue
        self._client = client
        self._work = work
        self._clocks = clocks
        self._history = history
        self._nursery = nursery
        self._placed = trio.Event()
        self._crashes: deque[float] = deque()
        self._over: list[Callable[[], None]] = []
        self._marksman = Marksman(network, venue, client, work)
        self._is_calm = False
        self.on_flood: Callable[[], None] = lambda: None
        """Called while mailboxes are as full as they get."""
        self.closed_until = 0.0
        """Until then the venue is being restarted."""
        work.on_placed = self._on_placed

    def _on_placed(self) -> None:
        placed, self._placed = self._placed, trio.Event()
        placed.set()

    async def run(self) -> None:
        """Apply the faults of the plan, each at its time."""
        began = trio.current_time()
        for fault in self._plan.faults:
            await trio.sleep_until(began + fault.at)
            self._nursery.start_soon(self._one, fault)

    async def _one(self, fault: SimFault) -> None:
        if fault.aim is not None:
            await self._marksman.take_aim(fault.aim)
        elif fault.on_order:
            with trio.move_on_after(ORDER_WAIT_S):
                await self._placed.wait()
            await trio.sleep(3 * fault.share * self._network.weather.latency())
        if self._is_calm:
            return
        states = {h.state.value for h in self._work.alive.values() if not h.state.ended} or {"none"}
        for state in states:
            self.cells[fault.kind, state, self._client.phase.value] += 1
        self.applied[fault.kind] += 1
        self._history.say(f"fault {fault.number} {fault.kind} ({fault.for_s} s, {fault.share:.3f})")
        undo = self._apply(fault)
        if undo is not None:
            self._over.append(undo)
            await trio.sleep(fault.for_s)
            if undo in self._over:
                self._over.remove(undo)
                undo()
                self._history.say(f"fault {fault.number} {fault.kind} is over")

    def calm(self) -> None:
        """End all faults: from here on everything must heal."""
        self._is_calm = True
        self._marksman.give_up()
        for undo in self._over:
            undo()
        self._over.clear()
        self._venue.exchange.plan.clear()
        for connection in self._venue.exchange._seats:
            connection.drain_delay_s = 0.0
        for line in self._network.lines:
            line.cut_in = None
        self._history.say("faults are off")

    # --- one of each kind: returns what ends it, where it lasts ---

    def _apply(self, fault: SimFault) -> Callable[[], None] | None:
        network, kind = self._network, fault.kind
        match kind:
            case "cut":
                self._lines("cut")
            case "finish":
                self._lines("finish")
            case "cut_within":
                for line in network.lines:
                    line.cut_in = 1 + int(fault.share * (4 if self._plan.level == "message" else 600))
            case "stall":
                return self._stall(heals=fault.share < 0.7)
            case "flap":
                self._nursery.start_soon(self._flap)
            case "slow":
                return self._set(network.weather, "extra_s", 0.2 + 3 * fault.share)
            case "unreachable":
                self._lines("cut")
                return self._set(network, "unreachable", True)
            case "slow_accept":
                self._lines("cut")
                return self._set(network, "accept_s", 0.5 + 5 * fault.share)
            case "crash":
                self._crash(ACTORS[int(fault.share * len(ACTORS))])
            case "wall_jump":
                network.wall_jump_s += JUMPS_S[int(fault.share * len(JUMPS_S))]
            case "cancel":
                for name, scope in list(self._work.waiting.items())[: 1 + int(fault.share * 3)]:
                    self._history.say(f"who waits for {name} is cancelled", name)
                    scope.cancel()
            case "cancel_call":
                self._work.call_and_cancel(fault.share)
            case "flood":
                self._flood()
            case "sleep":
                self._sleep(fault)
            case "doze":
                self._nursery.start_soon(self._clocks.doze, _between(*DOZE_S, fault.share))
            case "venue_clock":
                return self._spoil_clock(fault)
            case "disk_error":
                return self._set(network.disk, "fails_every", 1 + int(4 * fault.share))
            case "disk_full":
                return self._set(network.disk, "full", True)
            case "disk_slow":
                return self._set(network.disk, "slow_s", 0.05 + fault.share)
            case _:
                self._hurt_venue(fault)
        return None

    def _lines(self, how: str) -> None:
        for line in list(self._network.lines):
            getattr(line, how)()

    def _stall(self, *, heals: bool) -> Callable[[], None]:
        held = list(self._network.lines)
        for line in held:
            line.stall()

        def undo() -> None:
            for line in held if heals else ():  # else both ends have to find it out
                line.resume()

        return undo

    def _sleep(self, fault: SimFault) -> None:
        """Every connection dies of it: the venue ends them all and is away, or nobody is told. What was on its way to
        the venue is lost: it would have been heard before the machine woke up.
        """
        for line in self._network.lines:
            line.was_hurt = True
            line.up.die(arrives=False)
            if fault.share >= 0.5:
                line.down.die(arrives=True)
        if fault.share < 0.5:
            self._hurt_venue(structs.replace(fault, kind="restart"))
        slept_s = _between(*SLEEP_S, 2 * fault.share % 1)
        self._history.say(f"the machine sleeps for {slept_s:.1f} s")
        self._clocks.sleep(slept_s)

    def _spoil_clock(self, fault: SimFault) -> Callable[[], None]:
        """The venue's clock steps, or drifts away, back or forth; in the end it is set right."""
        over = trio.Event()
        by_s = WRONG_BY_S * (4 * fault.share % 2 - 1)

        async def spoil() -> None:
            error_s = 0.0
            if fault.share < 0.5:
                error_s = await self._clocks.go_wrong(by_s)
                await over.wait()
            while not over.is_set():
                error_s += await self._clocks.go_wrong(DRIFT * DRIFT_EVERY_S * by_s / WRONG_BY_S)
                with trio.move_on_after(DRIFT_EVERY_S):
                    await over.wait()
            await self._clocks.set_right(error_s)

        self._nursery.start_soon(spoil)
        return over.set

    def _set(self, thing: object, name: str, value: object) -> Callable[[], None]:
        setattr(thing, name, value)
        calm = type(value)()  # False, 0 or 0.0
        return lambda: setattr(thing, name, calm)

    async def _flap(self) -> None:
        for _ in range(FLAPS):
            if not self._is_calm:
                self._lines("cut")
            await trio.sleep(0.5)

    def _flood(self) -> None:
        """More than it has room for, all at once: requests that nobody wants any more, and reads that hold nothing."""
        refs = self._client.supervisor.ref
        unwanted = Transmit(GetBalance(), wanted=lambda: False)
        empty = Batch(self._client.epoch, [], self._network.now(), self._network.wall())
        taken = 0
        for name, message in ((CONNECTION_PATH, unwanted), (ROUTER_PATH, empty)):
            try:
                victim: Ref[Any] = refs(name)
            except ChildNotFound:
                continue
            taken += sum(victim.tell(message) for _ in range(FLOOD))
        self._history.say(f"a flood, of which {taken} found room")
        self.on_flood()

    def _crash(self, name: str) -> None:
        now = trio.current_time()
        while self._crashes and self._crashes[0] < now - CRASHES_WITHIN_S:
            self._crashes.popleft()
        if len(self._crashes) >= CRASHES_MAX:
            return
        try:
            victim: Ref[Any] = self._client.supervisor.ref(name)
        except ChildNotFound:
            self._history.say(f"no {name} to crash")
            return
        self._crashes.append(now)
        victim.tell(object())
        self._history.say(f"crash of {name}")

    def _hurt_venue(self, fault: SimFault) -> None:
        reply = REPLIES[int(fault.share * len(REPLIES))]
        request = REQUESTS[int(fault.share * len(REQUESTS))]
        match fault.kind:
            case "restart":
                made = Fault(kind=FaultKind.RESTART, delay_ms=int(1000 * fault.for_s))
                self.closed_until = max(self.closed_until, trio.current_time() + fault.for_s)
            case "busy":
                made = Fault(kind=FaultKind.REFUSE_CONNECTION, count=1 + int(3 * fault.share))
                self._lines("cut")
            case "refuse":
                made = Fault(kind=FaultKind.REFUSE, count=1 + int(3 * fault.share))
            case "lose_reply":
                made = Fault(kind=FaultKind.LOSE, event=reply)
            case "delay_reply":
                made = Fault(
                    kind=FaultKind.DELAY, event=reply, delay_ms=int(1 + 1000 * min(6.0, fault.for_s))
                )
            case "duplicate_reply":
                made = Fault(kind=FaultKind.DUPLICATE, event=reply, count=1 + int(5 * fault.share))
            case "reorder_reply":
                made = Fault(kind=FaultKind.REORDER, event=reply)
            case "truncate":
                made = Fault(kind=FaultKind.TRUNCATE, event=reply)
            case "lose_request":
                made = Fault(kind=FaultKind.LOSE_REQUEST, event=request)
            case "slow_drain":
                made = Fault(kind=FaultKind.SLOW_DRAIN, delay_ms=int(1 + 1000 * min(2.0, fault.for_s)))
            case "reject_auth":
                made = Fault(kind=FaultKind.REJECT_AUTH)
                self._lines("cut")
            case "drop" if fault.share < 0.5:
                made = Fault(kind=FaultKind.DROP, event=REPLIES[int(fault.share * 2 * len(REPLIES))])
            case _:
                made = Fault(kind=FaultKind(fault.kind))
        if made.is_immediate:
            self._venue.exchange.hurt_at_once([made])
        else:
            self._venue.exchange.plan.add((made,))


def _between(least: float, most: float, share: float) -> float:
    """From the least to the most, evenly on the scale of a logarithm."""
    return float(least * (most / least) ** share)
