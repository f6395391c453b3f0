"""The clocks that faults move: the client's machine sleeps, or the venue's clock goes wrong for a while.

There is one clock of deadlines in a world, and it stands still while nobody looks. A machine that sleeps is therefore
simulated the other way round: the rest of the world goes on by so much at once. The venue's clock is put forward, and
with it the wall clock of the client's machine, in the same instant of the clock of deadlines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from loadsim.simulation.ledger import VenueLedger
from loadsim.simulation.network import SimNetwork
from loadsim.venue.server import Venue

__all__ = ["SKEW_MAX_S", "Clocks"]

SKEW_MAX_S: Final = 30.0
"""The venue's clock is never further from the truth, however many faults meet."""

LEAP_S: Final = 0.9
"""Stamps that come so much too early are believed alone."""

BELIEVED_WITHIN_S: Final = 30.0
"""So long after a leap every client has seen enough stamps to believe it, its own outages included."""

STRIDE_S: Final = 2.0
"""The venue leaves out ticks that have been due for longer than a few seconds, and tells nobody: where none may be
missed, its clock goes forward in strides."""

STRIDE_TAKES_S: Final = 0.001
"""Time for the venue to do what a stride has brought up; on the clock of deadlines, where it does not count."""


class Clocks:
    """Moves them, and keeps the venue's ledger informed.

    Attributes:
        skew_s: the venue's clock is ahead of the true time by so much.
        on_leap: called with two moments of the venue's clock (UTC) between which a client may miss ticks and not know
            it: that leaps forward by more than can be believed before several stamps agree on it, or backward, and
            the venue tells no tick again, not even one who comes anew.
    """

    def __init__(self, network: SimNetwork, venue: Venue, ledger: VenueLedger) -> None:
        self.skew_s = 0.0
        self.on_leap: Callable[[float, float], None] = lambda since, until: None
        self._network = network
        self._venue = venue
        self._ledger = ledger

    def sleep(self, seconds: float) -> None:
        """The client's machine sleeps so long and wakes up; what was due at the venue comes to pass at once."""
        self._put_forward(seconds)
        self._network.slept_s += seconds

    async def doze(self, seconds: float) -> None:
        """The same, with every connection alive: what the venue says meanwhile has been waiting when the machine wakes.

        Takes some milliseconds of virtual time. Nobody may cancel it: the clocks would part.
        """
        network = self._network
        network.fall_asleep()
        await self._stride(seconds)
        network.slept_s += seconds
        network.wake_up()

    async def go_wrong(self, by_s: float) -> float:
        """Let the venue's clock err by so much more, or as much as it may; returns by how much it did."""
        by_s = min(max(self.skew_s + by_s, -SKEW_MAX_S), SKEW_MAX_S) - self.skew_s
        await self.set_right(-by_s)
        return by_s

    async def set_right(self, error_s: float) -> None:
        """Undo an error of the venue's clock. Forwards it leaves out no tick; backwards it goes at once, and is silent
        until it is where it has been.
        """
        by_s = -error_s
        self.skew_s += by_s
        before = self._ledger.utc_at(self._network.now())
        if by_s > LEAP_S:
            self.on_leap(before - LEAP_S, before + by_s + BELIEVED_WITHIN_S)
        if by_s > 0:
            await self._stride(by_s)
        else:
            self.on_leap(before + by_s, before)
            self._put_forward(by_s)

    async def _stride(self, seconds: float) -> None:
        left = seconds
        while left > 0:
            step = min(STRIDE_S, left)
            self._put_forward(step)
            left -= step
            await trio.sleep(STRIDE_TAKES_S)

    def _put_forward(self, by_s: float) -> None:
        exchange = self._venue.exchange
        exchange._clock._anchor += by_s
        self._ledger.moved.append((self._network.now(), by_s))
        exchange.changed()  # its timers were set by the clock as it was
