"""A seam whose wall clock cannot jump: one look at the system's, then the clock of deadlines; jumps are told apart.

A wall clock that is set is seen as a change of the difference between the system's two clocks. So is a machine that
slept: the clock of deadlines stands still meanwhile. Which it was, the venue's stamps can tell (`ServerClock`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from potrio.seam import Seam
from potrio.transport.at_speed import AtSpeed

__all__ = ["JUMP_S", "SteadySeam", "steady"]

JUMP_S: Final = 0.5
"""The system's wall clock has jumped where it is this far from where it should be."""

FOLLOWED_KEPT: Final = 16
"""Sleeps that are remembered: what was read before them may still be on its way through the program."""


class SteadySeam(Seam):
    """Another seam in all but its wall clock.

    Attributes:
        beyond_s: how far the system's wall clock is ahead of this one; changes only where that jumps.
        on_jump: called with `beyond_s` and the wall time as it jumps.
    """

    def __init__(self, seam: Seam) -> None:
        self._seam = seam
        for name in set(dir(Seam)) - {"wall"}:
            if not name.startswith("_"):
                setattr(self, name, getattr(seam, name))  # as it is there, without a step in between
        self._start: float | None = None
        self._jumped_at = 0.0  # on the clock of deadlines
        self._followed: list[
            tuple[float, float]
        ] = []  # before this time of it, the wall clock showed so much less
        self.beyond_s = 0.0
        self.on_jump: Callable[[float, float], None] = _ignore

    def wall(self) -> float:
        """Seconds since the Unix epoch, without jumps."""
        seam = self._seam
        now, system = seam.now(), seam.wall()
        if self._start is None:
            self._start = system - now
        wall = self._start + now
        jumped = system - wall - self.beyond_s
        if not -JUMP_S < jumped < JUMP_S:
            again = self._start + seam.now()  # we may have waited for the processor between the two looks
            if jumped < 0 or system - again - self.beyond_s >= JUMP_S:
                self.beyond_s += jumped
                self._jumped_at = now
                self.on_jump(self.beyond_s, wall)
        return wall

    def wall_at(self, at: float) -> float:
        """What this clock showed, or should have shown, at a moment of the clock of deadlines."""
        assert self._start is not None
        return self._start + at - sum(by_s for until, by_s in self._followed if at < until)

    def follow(self, by_s: float) -> None:
        """The venue's clock shows that so much more time has passed than the clock of deadlines knows of."""
        assert self._start is not None
        self._start += by_s
        self.beyond_s -= by_s
        self._followed.append((self._jumped_at, by_s))
        del self._followed[:-FOLLOWED_KEPT]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._seam, name)  # what a seam of a simulation can do besides


def steady(seam: Seam) -> Seam:
    """This seam with a wall clock that cannot jump; one whose wall clock runs at a speed of its own stays as it is."""
    return seam if isinstance(seam, AtSpeed | SteadySeam) else SteadySeam(seam)


def _ignore(_beyond_s: float, _wall: float) -> None:
    """Nobody has asked to be told."""
