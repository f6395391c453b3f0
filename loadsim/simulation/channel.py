"""One connection of the simulated network: two directions in which things arrive later, late, partly or never."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from loadsim.simulation.clock import SimClock

__all__ = ["Channel", "Line", "Weather"]

T = TypeVar("T")


class Weather:
    """How the network is just now, for all connections.

    Attributes:
        base_s, jitter_s: what each arrival takes.
        extra_s: more of it, while a fault lasts.
        split: cut what is sent into pieces (bytes only).
    """

    def __init__(self, base_s: float, jitter_s: float, chance: random.Random) -> None:
        self.base_s = base_s
        self.jitter_s = jitter_s
        self.extra_s = 0.0
        self.chance = chance

    def latency(self) -> float:
        """What the next arrival takes."""
        if self.jitter_s:
            return self.base_s + self.extra_s + self.jitter_s * self.chance.random()
        return self.base_s + self.extra_s


class Channel(Generic[T]):
    """One direction: what is pushed at one end arrives, in order, at the other.

    Attributes:
        ready: arrived, not taken yet.
        ended: nothing more will arrive. Of a channel that was cut, ``broken`` says so.
        is_stalled: everything is held back.
    """

    def __init__(self, clock: SimClock, weather: Weather) -> None:
        self.ready: deque[T] = deque()
        self.ended = False
        self.broken = False
        self.pushed = 0
        self.lost = 0
        self.in_flight = 0
        self._clock = clock
        self._weather = weather
        self._is_dead = self._is_deaf = False
        self._last_due = 0.0
        self.is_stalled = False
        self._held: list[tuple[Callable[..., None], tuple[T, ...]]] = []
        self._waiter: trio.lowlevel.Task | None = None

    def push(self, item: T) -> None:
        """Send one thing."""
        if self.ended or self._is_dead:
            self.lost += 1
            return
        self.pushed += 1
        self.in_flight += 1
        self._send(self._arrive, item)

    def finish(self) -> None:
        """Send the end: it arrives behind everything else."""
        if not self.ended and not self._is_dead:
            self._send(self._end)

    def _send(self, function: Callable[..., None], *item: T) -> None:
        if self.is_stalled:
            self._held.append((function, item))
            return
        now = self._clock.now
        due = max(self._last_due, now + self._weather.latency())
        self._last_due = due
        if due <= now:
            function(*item)
        else:
            self._clock.call_at(due, function, *item)

    def _arrive(self, item: T) -> None:
        self.in_flight -= 1
        if self.ended or self._is_deaf:
            self.lost += 1
            return
        self.ready.append(item)
        self._wake()

    def _end(self) -> None:
        self.ended = True
        self._wake()

    def cut(self) -> None:
        """End it now: what is on its way is lost."""
        if not self.ended:
            self.broken = self.ended = True
            self.lost += len(self._held)
            self._held.clear()
            self._wake()

    def die(self, *, arrives: bool) -> None:
        """From now on nothing is sent any more, not even the end. ``arrives``: what is on its way does; else what has
        arrived and was not taken yet is lost with it.
        """
        self._is_dead, self._is_deaf = True, not arrives
        if self._is_deaf:
            self.lost += len(self.ready)
            self.ready.clear()
        things = sum(1 for _, item in self._held if item)
        self.lost += things
        self.in_flight -= things
        self._held.clear()

    def stall(self) -> None:
        """Hold everything back, from now on."""
        self.is_stalled = True

    def resume(self) -> None:
        """Let everything go that was held back."""
        self.is_stalled = False
        held, self._held = self._held, []
        for function, item in held:
            self._send(function, *item)

    async def arrival(self) -> None:
        """Wait until something has arrived, or the end. Cancelling loses nothing."""
        if self.ready or self.ended:
            await trio.lowlevel.checkpoint()
            return
        if self._waiter is not None:
            raise trio.BusyResourceError("another task is receiving")
        self._waiter = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._waiter = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            trio.lowlevel.reschedule(waiter)


class Line(Generic[T]):
    """One connection: both directions, and what can happen to it.

    Attributes:
        up: from the client; down: to it.
        cut_in: pieces that may still pass, in either direction, before it is cut; None: no such fault.
    """

    def __init__(self, number: int, clock: SimClock, weather: Weather, *, on_cut: Callable[[], None]) -> None:
        self.number = number
        self.up: Channel[T] = Channel(clock, weather)
        self.down: Channel[T] = Channel(clock, weather)
        self.cut_in: int | None = None
        self.refused = False
        self.was_hurt = False
        self._on_cut = on_cut

    @property
    def is_open(self) -> bool:
        """Can something still arrive?"""
        return not (self.up.ended and self.down.ended)

    def cut(self) -> None:
        """Reset it: both ends know at once, what is on its way is lost."""
        self.was_hurt = True
        self.up.cut()
        self.down.cut()
        self._on_cut()

    def finish(self) -> None:
        """End it in order: what is on its way arrives."""
        self.was_hurt = True
        self.up.finish()
        self.down.finish()

    @property
    def is_stalled(self) -> bool:
        """Is everything held back?"""
        return self.up.is_stalled

    def stall(self) -> None:
        """Neither end hears anything, and neither is told."""
        self.was_hurt = True
        self.up.stall()
        self.down.stall()

    def resume(self) -> None:
        """What was held back arrives after all."""
        self.up.resume()
        self.down.resume()

    def passing(self, size: int) -> int | None:
        """Count what is about to be sent; how much of it still passes before the cut (None: all)."""
        if self.cut_in is None:
            return None
        if size < self.cut_in:
            self.cut_in -= size
            return None
        passes, self.cut_in = self.cut_in, None
        return passes
