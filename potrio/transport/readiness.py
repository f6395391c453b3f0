"""Which of many sockets are ready: one epoll object that is awaited as a whole, or `selectors` where there is none.

On Linux all sockets are in one epoll object of our own, and that object is what trio waits for: an epoll descriptor is
readable as soon as one of its sockets is ready. A wake-up costs trio the same for one socket and for ten thousand.

Elsewhere there is no descriptor of that kind for every system, so `SelectorReadiness` looks into a selector again and
again, `LOOK_PERIOD` apart while nothing is ready: a message waits that long at most, and an idle program is not quite
idle. It is correct everywhere, and made for trying things out: swarms belong on Linux.
"""

from __future__ import annotations

import select
import selectors
import sys
from typing import Final, Protocol

import trio

__all__ = [
    "BROKEN",
    "LOOK_PERIOD",
    "READABLE",
    "WRITABLE",
    "EpollReadiness",
    "Readiness",
    "SelectorReadiness",
    "open_readiness",
]

READABLE: Final = 0x1
WRITABLE: Final = 0x4
BROKEN: Final = 0x8 | 0x10
"""EPOLLIN, EPOLLOUT, and EPOLLERR | EPOLLHUP, which are told whether they are asked for or not."""

LOOK_PERIOD: Final = 0.002
"""Seconds between two looks of `SelectorReadiness`."""


class Readiness(Protocol):
    """A set of descriptors, each with what it is watched for."""

    def watch(self, descriptor: int, before: int, mask: int) -> None:
        """Watch for ``mask`` from now on; ``before`` is what it was watched for, -1 for nothing at all.

        Raises:
            OSError: the system has no room for it.
        """
        ...

    def forget(self, descriptor: int) -> None:
        """Watch no more; to be called before the descriptor is closed."""
        ...

    async def wait(self) -> None:
        """Wait until something is ready. Always a checkpoint; cancelling changes nothing."""
        ...

    def ready(self, count: int) -> list[tuple[int, int]]:
        """Return descriptors that are ready and for what, ``count`` at most; the others come first next time."""
        ...

    def close(self) -> None:
        """Forget all descriptors; who waits gets `trio.ClosedResourceError`."""
        ...


def open_readiness() -> Readiness:
    """Return what fits this system.

    Raises:
        OSError: no descriptor is left for it.
    """
    return EpollReadiness() if sys.platform == "linux" else SelectorReadiness()


class EpollReadiness:
    """Linux: an epoll object, level-triggered, so that what was not read now is told again."""

    def __init__(self) -> None:
        assert sys.platform == "linux", "epoll is Linux's"
        self._epoll = select.epoll()

    def watch(self, descriptor: int, before: int, mask: int) -> None:
        """Watch for ``mask``; see `Readiness.watch`."""
        if before < 0:
            self._epoll.register(descriptor, mask)
        else:
            self._epoll.modify(descriptor, mask)

    def forget(self, descriptor: int) -> None:
        """Watch no more."""
        self._epoll.unregister(descriptor)

    async def wait(self) -> None:
        """Wait until something is ready. Always a checkpoint; cancelling changes nothing."""
        await trio.lowlevel.wait_readable(self._epoll.fileno())

    def ready(self, count: int) -> list[tuple[int, int]]:
        """Return what is ready. The kernel puts what it has told at the end of its list: all have their turn."""
        return self._epoll.poll(0, count)

    def close(self) -> None:
        """Forget all descriptors."""
        if not self._epoll.closed:
            try:
                trio.lowlevel.notify_closing(self._epoll.fileno())
            except RuntimeError:
                pass  # Outside of trio nobody waits.
            self._epoll.close()


class SelectorReadiness:
    """Any system: a selector that is looked into.

    Args:
        selector: None for the best of this system.
    """

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selector if selector is not None else selectors.DefaultSelector()
        self._watched: dict[int, int] = {}
        self._told = 0
        self._closed = False

    def watch(self, descriptor: int, before: int, mask: int) -> None:
        """Watch for ``mask``; see `Readiness.watch`. A selector cannot watch for nothing: then it does not watch."""
        events = (selectors.EVENT_READ if mask & READABLE else 0) | (
            selectors.EVENT_WRITE if mask & WRITABLE else 0
        )
        known = self._watched.pop(descriptor, 0)
        if events and known:
            self._selector.modify(descriptor, events)
        elif events:
            self._selector.register(descriptor, events)
        elif known:
            self._selector.unregister(descriptor)
        if events:
            self._watched[descriptor] = events

    def forget(self, descriptor: int) -> None:
        """Watch no more."""
        if self._watched.pop(descriptor, 0):
            self._selector.unregister(descriptor)

    async def wait(self) -> None:
        """Wait until something is ready. Always a checkpoint; cancelling changes nothing."""
        await trio.lowlevel.checkpoint()
        while not self._closed:
            if self._watched and self._selector.select(0):
                return
            await trio.sleep(LOOK_PERIOD)
        raise trio.ClosedResourceError

    def ready(self, count: int) -> list[tuple[int, int]]:
        """Return what is ready, starting behind what was told last."""
        if not self._watched:
            return []
        found = [
            (key.fd, (READABLE if events & selectors.EVENT_READ else 0) | (WRITABLE if events & 2 else 0))
            for key, events in self._selector.select(0)
        ]
        start = self._told % len(found) if len(found) > count else 0
        self._told += count
        return (found[start:] + found[:start])[:count]

    def close(self) -> None:
        """Forget all descriptors."""
        if not self._closed:
            self._closed = True
            self._watched.clear()
            self._selector.close()
