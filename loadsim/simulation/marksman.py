"""Brings orders and link to where a fault is aimed at, and says when they are there: looked at after every step.

Chance alone reaches a cell like (unknown, authenticating) in one run of hundreds. Here the way there is walked on
purpose: an order is placed, its answer lost, the link cut, the login held up, whatever it takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from loadsim.simulation.cells import Aim
from loadsim.simulation.network import SimNetwork
from loadsim.simulation.plan import STALE_AFTER_S
from loadsim.simulation.workload import Workload
from loadsim.venue.faults import Fault, FaultKind
from loadsim.venue.server import Venue
from potrio.client.client import Client
from potrio.limits import ORDER_ACK_TIMEOUT

__all__ = ["Marksman"]

AIM_WAIT_S: Final = 85.0
"""How long all of it may take; then the fault comes wherever things are."""

STEP_S: Final = 40.0
"""How long one step of it may take, before it begins again."""

ACCEPT_S: Final = 2.0
LOGIN_S: Final = 1.0
"""How much longer connecting, or each message of a login, takes while the link is to be met in it."""

SHORT_S: Final = 5
LONG_S: Final = 30
"""Durations of the orders that are placed for it."""


class Lookout(trio.abc.Instrument):
    """Looks after every step of every task: a state may last no longer than a few of them."""

    def __init__(self, reached: Callable[[], bool]) -> None:
        self.event = trio.Event()
        self._reached = reached

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio's own call."""
        if not self.event.is_set() and self._reached():
            self.event.set()


class Marksman:
    """Takes aim, at one cell at a time."""

    def __init__(self, network: SimNetwork, venue: Venue, client: Client, work: Workload) -> None:
        self._network = network
        self._venue = venue
        self._client = client
        self._work = work
        self._undone_by: list[Callable[[], None]] = []
        self._aiming = trio.CancelScope()

    def is_at(self, state: str, phase: str = "") -> bool:
        """Is there an order in that state ("none": no order that has not ended), and the link in that phase?"""
        if phase and self._client.phase.value != phase:
            return False
        alive = self._work.alive.values()
        if state == "none":
            return all(handle.state.ended for handle in alive)
        return any(handle.state.value == state for handle in alive)

    async def take_aim(self, aim: Aim) -> None:
        """Wait until the world is there, or for as long as that may take; then leave it to itself, in the same step."""
        with trio.move_on_after(AIM_WAIT_S) as self._aiming:
            while not self.is_at(*aim):
                self._rest()
                with trio.move_on_after(STEP_S):
                    await self._approach(*aim)
        self._rest()

    def give_up(self) -> None:
        """Aim at nothing any more."""
        self._aiming.cancel()
        self._rest()

    def _rest(self) -> None:
        self._work.quiet_until = 0.0
        for undo in self._undone_by:
            undo()
        self._undone_by.clear()

    async def _approach(self, state: str, phase: str) -> None:
        if phase == "degraded":
            await self._approach_in_silence(state)
            return
        if state == "none":
            await self._without_orders()
        elif state == "unknown":
            await self._placed("sent", SHORT_S)
            if phase == "ready":  # its answer is lost with the link that it was sent on
                self._cut()
        elif state == "open":
            await self._placed("open", LONG_S)
        elif state == "settling":
            self._venue.exchange.plan.add((Fault(kind=FaultKind.LOSE, event="successcloseOrder"),))
            await self._placed("settling", SHORT_S)
        self._bring_link_to(phase)
        if state in ("new", "sent"):
            await self._placed(state, SHORT_S, phase)
        else:
            await self._until(lambda: self.is_at(state, phase))

    async def _approach_in_silence(self, state: str) -> None:
        """A link is degraded once its streams have been silent for long; an order that is to be unknown or settling
        just then has to be placed at the right time before. Others would end the silence: one that is not answered
        has the link given up.
        """
        self._work.quiet_until = trio.current_time() + STEP_S
        if state == "none":
            await self._without_orders()
        elif state in ("open", "settling"):
            await self._placed("open", LONG_S)
            if state == "settling":
                await trio.sleep(LONG_S - STALE_AFTER_S)
        for line in self._network.lines:
            line.stall()
            self._undone_by.append(line.resume)
        if state == "unknown":
            await trio.sleep(STALE_AFTER_S + 1 - ORDER_ACK_TIMEOUT)
            self._work.place_one(SHORT_S)
        elif state in ("new", "sent"):
            await self._placed(state, SHORT_S, "degraded")
        await self._until(lambda: self.is_at(state, "degraded"))

    async def _without_orders(self) -> None:
        self._work.quiet_until = trio.current_time() + AIM_WAIT_S
        await self._until(lambda: self.is_at("none"))

    async def _placed(self, state: str, duration: int, phase: str = "ready") -> None:
        """Have an order placed on a link in that phase, and wait until there is one in that state."""
        await self._until(lambda: self._client.phase.value == phase)
        async with self._looking(lambda: self.is_at(state, phase)) as reached:
            self._work.place_one(duration)
            await reached.wait()

    async def _until(self, reached: Callable[[], bool]) -> None:
        if not reached():
            async with self._looking(reached) as event:
                await event.wait()

    @asynccontextmanager
    async def _looking(self, reached: Callable[[], bool]) -> AsyncIterator[trio.Event]:
        lookout = Lookout(reached)
        trio.lowlevel.add_instrument(lookout)
        try:
            yield lookout.event
        finally:
            trio.lowlevel.remove_instrument(lookout)

    def _bring_link_to(self, phase: str) -> None:
        network = self._network
        if self._client.phase.value == phase or phase == "ready":
            return
        if phase == "reconnecting":
            self._hold(network, "unreachable", True)
        elif phase == "connecting":
            self._hold(network, "accept_s", ACCEPT_S)
        elif phase == "authenticating":
            self._hold(network.weather, "extra_s", LOGIN_S)
        self._cut()

    def _hold(self, thing: object, name: str, value: object) -> None:
        """Undone, it is calm: what it was before is of a fault that may have ended since, and would not end again."""
        self._undone_by.append(partial(setattr, thing, name, type(value)()))  # False or 0.0
        setattr(thing, name, value)

    def _cut(self) -> None:
        for line in list(self._network.lines):
            line.cut()
