"""A line alone, over a socket of its own and a poller that only notes: what is asked of readiness, and what is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from potrio.errors import ConnectionBroken, ConnectionClosed, OutboundFull
from potrio.transport.line import Line, LineOwner, SocketLine
from potrio.transport.readiness import BROKEN, READABLE, WRITABLE, open_readiness


class Host:
    """What a line needs of a poller."""

    def __init__(self) -> None:
        self.read_max = 100
        self.readiness = open_readiness()
        self.reads = self.writes = self.bytes_received = self.bytes_sent = 0
        self.told: list[Exception | None] = []
        self.forgotten: list[bool] = []

    def forget(self, fd: int, *, watched: bool) -> None:
        self.forgotten.append(watched)
        if watched:
            self.readiness.forget(fd)

    def tell_end(self, line: Line, owner: LineOwner, error: Exception | None) -> None:
        self.told.append(error)


class Notes(LineOwner):
    """What the line says."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.drains = 0

    def received(self, line: Line, data: bytes) -> None:
        self.data.append(data)

    def drained(self, line: Line) -> None:
        self.drains += 1


@pytest.fixture
def scene() -> Iterator[tuple[SocketLine, Notes, Host, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    host, notes = Host(), Notes()
    line = SocketLine(host, ours, notes, connecting=False, outbound_max=1_000_000)
    line.watch()
    yield line, notes, host, theirs
    line.close()
    theirs.close()
    host.readiness.close()


Scene = tuple[SocketLine, Notes, Host, socket.socket]


def test_one_turn_is_one_read(scene: Scene) -> None:
    line, notes, host, theirs = scene
    theirs.send(b"r" * 250)
    assert [line.handle(READABLE) for _ in range(4)] == [100, 100, 50, 0]
    assert [len(data) for data in notes.data] == [100, 100, 50]
    assert host.reads == 3


def test_it_is_watched_for_writing_only_while_something_waits(scene: Scene) -> None:
    line, notes, host, theirs = scene
    assert host.readiness.ready(10) == []
    line.send(b"w" * 900_000)
    line.send(b"v" * 10)
    assert line.waiting > 0
    got = 0
    while line.waiting:
        got += len(theirs.recv(1 << 20))
        for _, mask in host.readiness.ready(10):
            line.handle(mask)
    while got < 900_010:
        got += len(theirs.recv(1 << 20))
    assert notes.drains == 1
    assert host.readiness.ready(10) == []
    assert host.bytes_sent == 900_010


def test_the_bound_counts_all_that_waits(scene: Scene) -> None:
    line, _, _, _ = scene
    line.send(b"w" * 800_000)
    waiting = line.waiting
    with pytest.raises(OutboundFull):
        line.send(b"x" * (1_000_001 - waiting))
    assert line.waiting == waiting, "nothing of it has been queued"
    assert line.send(b"x" * (1_000_000 - waiting)) is False
    line.forget_unsent()
    assert line.waiting == 0


def test_both_ends_in_one_turn(scene: Scene) -> None:
    line, notes, host, theirs = scene
    theirs.send(b"last")
    theirs.close()
    line.handle(READABLE | BROKEN)
    assert notes.data == [b"last"]
    line.handle(READABLE | BROKEN)
    assert host.told == [None]
    assert host.forgotten == [True]
    assert line.is_closed
    assert "closed" in repr(line)
    line.handle(WRITABLE)
    line.end(ValueError())
    assert host.told == [None], "an end is told once"
    with pytest.raises(ConnectionBroken):
        line.send(b"x")


def test_who_closes_is_not_told(scene: Scene) -> None:
    line, _, host, _ = scene
    line.close()
    assert host.told == []
    with pytest.raises(ConnectionClosed) as caught:
        line.send(b"x")
    assert type(caught.value) is ConnectionClosed
    line.pause()
    line.resume()
    line.send_eof()
