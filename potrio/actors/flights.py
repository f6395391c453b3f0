"""`Flights`: equal questions asked at the same time are asked once, and cancelling one asker disturbs no other."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import trio

from potrio.errors import RetryLater

__all__ = ["Flights"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Flight(Generic[V]):
    """One question under way: its answer, its error, or neither where who asked it was cancelled."""

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.answers: list[V] = []
        self.error: Exception | None = None


class Flights(Generic[K, V]):
    """What is being asked just now. The first asker does the work; if it is cancelled, one who waits takes over."""

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[V]] = {}
        self.shared = 0  # answers that came out of another one's question

    async def share(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """Return what ``ask`` returns, or what another caller's with an equal key does that is under way.

        An error is everybody's, too: each gets a copy of its own. But `RetryLater` is that asker's alone, who had no
        more time: the next one asks with its own deadline. Cancelling only ends this caller's part.
        """
        while (flight := self._flights.get(key)) is not None:
            await flight.landed.wait()
            if flight.answers:
                self.shared += 1
                return flight.answers[0]
            if flight.error is not None and not isinstance(flight.error, RetryLater):
                raise copy.copy(flight.error)
        flight = self._flights[key] = _Flight()
        try:
            answer = await ask()
            flight.answers.append(answer)
            return answer
        except Exception as error:
            flight.error = copy.copy(error)
            raise
        finally:
            del self._flights[key]
            flight.landed.set()

    def __len__(self) -> int:
        return len(self._flights)
