"""Readiness on both backends: told again until it is gone, all in their turn, and an end for who waits."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator

import pytest
import trio

from potrio.transport.readiness import (
    BROKEN,
    READABLE,
    WRITABLE,
    EpollReadiness,
    Readiness,
    SelectorReadiness,
    open_readiness,
)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["epoll", "select", "default"])
def readiness(request: pytest.FixtureRequest) -> Iterator[Readiness]:
    makers: dict[str, Callable[[], Readiness]] = {
        "epoll": EpollReadiness,
        "select": lambda: SelectorReadiness(selectors.SelectSelector()),
        "default": SelectorReadiness,
    }
    found = makers[request.param]()
    yield found
    found.close()
    found.close()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    found = [socket.socketpair() for _ in range(6)]
    yield found
    for pair in found:
        for each in pair:
            each.close()


def test_linux_has_epoll() -> None:
    found = open_readiness()
    assert isinstance(found, EpollReadiness)
    found.close()


async def test_it_waits_for_what_is_watched(readiness: Readiness, pairs: list[Pair]) -> None:
    ours, theirs = pairs[0]
    fd = ours.fileno()
    readiness.watch(fd, -1, READABLE)
    with trio.move_on_after(0.02) as scope:
        await readiness.wait()
    assert scope.cancelled_caught
    theirs.send(b"x")
    with trio.fail_after(60):
        await readiness.wait()
        assert readiness.ready(10) == [(fd, READABLE)]
        await readiness.wait()
    assert readiness.ready(10) == [(fd, READABLE)], "told again until it has been read"
    readiness.watch(fd, READABLE, WRITABLE)
    assert readiness.ready(10) == [(fd, WRITABLE)]
    readiness.watch(fd, WRITABLE, READABLE | WRITABLE)
    assert readiness.ready(10) == [(fd, READABLE | WRITABLE)]
    readiness.watch(fd, READABLE | WRITABLE, 0)
    assert readiness.ready(10) == []
    readiness.watch(fd, 0, READABLE)
    readiness.forget(fd)
    assert readiness.ready(10) == []


async def test_few_at_a_time_still_reach_all(readiness: Readiness, pairs: list[Pair]) -> None:
    for ours, theirs in pairs:
        readiness.watch(ours.fileno(), -1, READABLE)
        theirs.send(b"x")
    told: list[int] = []
    for _ in range(3):
        found = readiness.ready(2)
        assert len(found) == 2
        told += [fd for fd, _ in found]
    assert sorted(told) == sorted(ours.fileno() for ours, _ in pairs)


async def test_epoll_tells_a_broken_one_without_being_asked(pairs: list[Pair]) -> None:
    readiness = EpollReadiness()
    ours, theirs = pairs[0]
    readiness.watch(ours.fileno(), -1, 0)
    theirs.close()
    ((_, mask),) = readiness.ready(10)
    assert mask & BROKEN
    readiness.close()


async def test_who_waits_is_told_of_the_end(readiness: Readiness, nursery: trio.Nursery) -> None:
    ended = trio.Event()

    async def wait() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await readiness.wait()
        ended.set()

    nursery.start_soon(wait)
    await trio.sleep(0.01)
    readiness.close()
    with trio.fail_after(60):
        await ended.wait()
