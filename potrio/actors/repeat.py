"""`Repeater`: requests that are safe to repeat, behind a breaker, tried again within the caller's deadline.

For questions only: pages of history, the balance. Never for an order, which may have arrived although no answer came.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec
import trio

from potrio.actors.breaker import Breaker
from potrio.errors import CircuitOpen, ConfigError, RequestTimeout
from potrio.seam import Seam
from potrio.supervision.backoff import Backoff

__all__ = ["Repeater", "Retry"]

T = TypeVar("T")

BACKOFF: Final = Backoff(base=0.5, cap=5.0, jitter="equal")


class Retry(msgspec.Struct, frozen=True):
    """At most so many ``attempts``, with these pauses between them; no pause goes beyond the caller's deadline."""

    attempts: int = 3
    backoff: Backoff = BACKOFF

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigError("attempts", f"must be at least 1, not {self.attempts}")


class Repeater:
    """Asks one kind of question of one venue.

    Args:
        breaker: protects the venue, and the caller from waiting for nothing.
        seam: for the clock and for jitter.
        retry: how often, and with which pauses.
    """

    def __init__(self, breaker: Breaker, seam: Seam, retry: Retry | None = None) -> None:
        self.breaker = breaker
        self.retries = 0
        self._seam = seam
        self._retry = retry or Retry()
        self._generator: random.Random = seam.generator()

    async def ask(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make the request, again where it was not answered, and return the first answer.

        What counts against the venue, and is asked again, is `RequestTimeout`. Any other error is the caller's at once:
        without a link there is nobody to be asked, and the caller may wait for one. A pause that would end after the
        caller's deadline (its cancel scopes') is not begun: the last error is raised instead.

        Waits for the attempts and the pauses between them; cancelling ends the attempt under way.

        Raises:
            CircuitOpen: it failed again and again lately; nothing was asked.
            RequestTimeout: of the last attempt.
        """
        failed = 0
        while True:
            try:
                return await self._once(attempt)
            except RequestTimeout:
                failed += 1
                if failed >= self._retry.attempts:
                    raise
                pause = self._retry.backoff.delay(failed, self._generator)
                if self._seam.now() + pause >= trio.current_effective_deadline():
                    raise
                self.retries += 1
                await trio.sleep(pause)

    async def _once(self, attempt: Callable[[], Awaitable[T]]) -> T:
        seam, breaker = self._seam, self.breaker
        ticket = breaker.enter(seam.now())
        if isinstance(ticket, float):
            raise CircuitOpen(breaker.name, seam.wall() + ticket, ticket)
        try:
            answer = await attempt()
        except RequestTimeout:
            breaker.failed(ticket, seam.now())
            raise
        except BaseException:
            breaker.abandoned(ticket)
            raise
        breaker.succeeded(ticket, seam.now())
        return answer
