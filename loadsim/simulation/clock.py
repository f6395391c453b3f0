"""Virtual time and a seeded scheduler: when nobody can run, the clock jumps to what comes next."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
import trio._core._run as trio_run

__all__ = ["SimClock", "SimulationStuck", "TrioChanged", "run_unstuck", "seeded_scheduler"]


class TrioChanged(RuntimeError):
    """This version of trio has not what a seeded scheduler needs."""


class SimulationStuck(RuntimeError):
    """Nobody can run, and nothing is due, ever: a deadlock of what is simulated."""


async def run_unstuck(clock: SimClock, main: Callable[[], Awaitable[None]]) -> None:
    """Run the main task of a simulation; to be given to `trio.run` with that clock.

    Raises:
        SimulationStuck: it waits for what will never come.
    """
    with trio.CancelScope() as scope:
        clock.on_stuck = scope.cancel
        try:
            await main()
        finally:
            clock.on_stuck = None
    if scope.cancelled_caught:
        raise SimulationStuck("nobody can run and nothing is due")


class SimClock(trio.abc.Clock):
    """A clock for worlds without sockets and threads: it stands still while anybody can run, and jumps otherwise.

    Besides trio's deadlines it knows calls: what a network delivers later costs one entry in a heap and no task.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._calls: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self.on_stuck: Callable[[], None] | None = None
        """Called where nothing is due, ever, once; None before the main task begins and after it ends, when trio itself
        waits for its own wake-up."""

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        """Virtual seconds since the start."""
        return self.now

    def call_at(self, due: float, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function at a time, when everybody who could run by then has run; in order, ties in order of asking.

        The function may wake tasks. It must not raise.
        """
        self._number += 1
        heapq.heappush(self._calls, (due, self._number, function, arguments))

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Jump: trio asks this only when nobody can run."""
        calls = self._calls
        if calls and calls[0][0] <= deadline:
            self.now = max(self.now, calls[0][0])
            while calls and calls[0][0] <= self.now:
                _, _, function, arguments = heapq.heappop(calls)
                function(*arguments)
        elif deadline == math.inf:
            stuck, self.on_stuck = self.on_stuck, None
            if stuck is None:
                return deadline
            stuck()
        else:
            self.now = max(self.now, deadline)
        return 0.0


@contextmanager
def seeded_scheduler(seed: int) -> Iterator[None]:
    """Let trio choose by this seed whose turn it is, as it does for Hypothesis. These names of trio's are private.

    Raises:
        TrioChanged: they are not there.
    """
    generator = getattr(trio_run, "_r", None)
    before = getattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", None)
    if not isinstance(generator, random.Random) or before is None:
        raise TrioChanged(f"trio {trio.__version__} has no seeded scheduler where potrio looks for it")
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # what its own hook for Hypothesis does
    state = generator.getstate()
    generator.seed(seed)
    try:
        yield
    finally:
        generator.setstate(state)
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]  # as above
