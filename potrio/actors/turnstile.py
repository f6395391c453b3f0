"""The turnstile of one session: what waits to be sent, by lane, and what may leave now.

Orders before subscriptions before requests, first come first in each lane, and nothing of a lane before the limiter
allows it. What cannot leave before its deadline is handed back as soon as that is known, not when it is too late.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from potrio.actors.limiter import Gate, Lane
from potrio.limits import MAILBOX_CAPACITY, RATE_HOLD_MAX

__all__ = ["Late", "Turnstile"]

T = TypeVar("T")


class Late(msgspec.Struct, Generic[T], frozen=True):
    """Cannot leave in time: ``item`` of ``lane`` would have to wait ``wait_s`` (0: its deadline has passed already)."""

    item: T
    lane: Lane
    wait_s: float


class Turnstile(Generic[T]):
    """What one session is going to send. Nothing here waits."""

    def __init__(self, gate: Gate, capacity: int = MAILBOX_CAPACITY) -> None:
        self.gate = gate
        self.wake_at = math.inf
        """When more may leave, on the clock of ``now``; inf: when something is added."""
        self._capacity = capacity
        self._free: list[T] = []
        self._queues: tuple[list[tuple[float, T]], ...] = ([], [], [])  # short; four empty deques are 3 KiB

    def __len__(self) -> int:
        return len(self._free) + sum(map(len, self._queues))

    def add(self, item: T, lane: Lane | None, expires_at: float = math.inf) -> bool:
        """Let it wait for its turn; False where too much waits. Orders are bounded by who places them."""
        if lane is None:
            if len(self._free) >= self._capacity:
                return False
            self._free.append(item)
            return True
        queue = self._queues[lane]
        if lane is not Lane.ORDERS and len(queue) >= self._capacity:
            return False
        queue.append((expires_at, item))
        return True

    def leaving(self, now: float) -> Iterator[T | Late[T]]:
        """Hand out what may leave now, and what cannot leave in time. Each is gone from here once it is handed out.

        What is never held up comes after orders, so that it delays none, and before all that may have to wait.
        """
        self.wake_at = math.inf
        yield from self._of(Lane.ORDERS, now)
        while self._free:
            yield self._free.pop(0)
        yield from self._of(Lane.SUBSCRIPTIONS, now)
        yield from self._of(Lane.REQUESTS, now)

    def forecast(self, lane: Lane, now: float) -> float:
        """Seconds until one more item of this lane would leave, those that wait here having left before it."""
        return self.gate.forecast(lane, now, len(self._queues[lane]) + 1)

    def clear(self) -> list[T]:
        """Take everything out, orders first: the link is gone."""
        items = [item for queue in self._queues for _, item in queue]
        items += self._free
        for queue in self._queues:
            queue.clear()
        self._free.clear()
        self.wake_at = math.inf
        for lane in Lane:
            self.gate.withdraw(lane)
        return items

    def _of(self, lane: Lane, now: float) -> Iterator[T | Late[T]]:
        queue, gate = self._queues[lane], self.gate
        while queue:
            expires_at, item = queue[0]
            if now > expires_at:
                del queue[0]
                yield Late(item, lane, 0.0)
                continue
            wait = gate.ask(lane, now)
            if wait > 0.0:
                yield from self._late(lane, now)
                if queue:
                    self.wake_at = min(self.wake_at, now + wait)
                break
            del queue[0]
            yield item
        if not queue:
            gate.withdraw(lane)

    def _late(self, lane: Lane, now: float) -> Iterator[Late[T]]:
        """Those of a lane that is held up whose turn comes after their deadline; an order, or much later than now."""
        queue = self._queues[lane]
        patience = RATE_HOLD_MAX if lane is Lane.ORDERS else math.inf
        if patience == math.inf and all(expires_at == math.inf for expires_at, _ in queue):
            return
        stay: list[tuple[float, T]] = []
        late: list[Late[T]] = []
        for expires_at, item in queue:
            wait = self.gate.forecast(lane, now, len(stay) + 1)
            if wait > patience or now + wait > expires_at:
                self.gate.denied(lane)
                late.append(Late(item, lane, wait))
            else:
                stay.append((expires_at, item))
        queue.clear()
        queue.extend(stay)
        yield from late
