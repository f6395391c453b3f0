"""A connection of the server core: one write per wake-up, a bound for slow readers, an end in every case."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from loadsim.venue.connection import Connection
from loadsim.venue.stats import Stats
from potrio.errors import ConnectionClosed
from potrio.protocol.engineio import Handshake
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import MessageReceived, SessionEvent
from potrio.seam import REAL
from potrio.transport.memory import MemoryTransport, memory_transport_pair


class Recorder:
    """An application that notes everything."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.ended = 0
        self.wants: float | None = None

    def opened(self, connection: Connection) -> None:
        self.heard.append("opened")

    def received(self, connection: Connection, event: SessionEvent) -> None:
        assert isinstance(event, MessageReceived)
        self.heard.append(event.data)

    def closed(self, connection: Connection) -> None:
        self.ended += 1

    def deadline(self, connection: Connection) -> float | None:
        return self.wants

    def due(self, connection: Connection, now: float) -> None:
        self.wants = None
        self.heard.append(f"due {now - self.start:g}")

    start = 0.0


class Scene:
    """A connection with its peer."""

    def __init__(self, **limits: Any) -> None:
        self.ours, self.peer = memory_transport_pair(capacity=limits.pop("capacity", 100))
        self.stats = Stats()
        self.application = Recorder()
        self.stream, self.far_end = trio.testing.memory_stream_pair()
        self.connection = Connection(
            1,
            transport=self.ours,
            stream=self.stream,
            session=EngineIOSession(
                "server", now=trio.current_time(), handshake=Handshake("s", (), 1000, 500, 10**6)
            ),
            application=self.application,
            stats=self.stats,
            seam=REAL,
            messages_max=limits.pop("messages_max", 10),
            bytes_max=limits.pop("bytes_max", 10_000),
        )


async def reading(peer: MemoryTransport, into: list[Any]) -> None:
    """Read until the end."""
    try:
        while True:
            into.extend(await peer.receive())
    except ConnectionClosed as error:
        into.append(error)


async def test_what_waits_at_a_wake_up_leaves_in_one_write(
    autojump_clock: Any, nursery: trio.Nursery
) -> None:
    scene = Scene()
    nursery.start_soon(scene.connection.run)
    await trio.sleep(0.1)
    before = scene.ours.statistics().writes
    for number in range(4):
        scene.connection.send("tick", [f"4{number}", b"x"])
    await trio.sleep(0.1)
    assert scene.ours.statistics().writes == before + 1
    assert scene.stats.events_sent == {"tick": 4}
    assert (await scene.peer.receive())[1:] == ["40", b"x", "41", b"x", "42", b"x", "43", b"x"]
    await scene.peer.aclose()


@pytest.mark.parametrize("limits", [{"messages_max": 10}, {"messages_max": 10**6, "bytes_max": 500}])
async def test_who_does_not_read_is_closed_with_1013(
    autojump_clock: Any, nursery: trio.Nursery, limits: dict[str, int]
) -> None:
    scene = Scene(capacity=1, **limits)
    nursery.start_soon(scene.connection.run)
    await trio.sleep(0.1)
    for _ in range(20):
        scene.connection.send("tick", ["4" + "x" * 50])
        await trio.sleep(0.01)
    await trio.sleep(2)
    assert scene.stats.closes == {"slow_reader": 1}
    got: list[Any] = []
    await reading(scene.peer, got)
    assert "1013" in str(got[-1])
    assert scene.application.ended == 1


async def test_pings_go_on_after_each_pong_and_stop_a_silent_client(
    autojump_clock: Any, nursery: trio.Nursery
) -> None:
    scene = Scene()
    nursery.start_soon(scene.connection.run)
    start = trio.current_time()
    for _ in range(3):
        while "2" not in await scene.peer.receive():
            pass
        await scene.peer.send(["3"])
    assert trio.current_time() - start == pytest.approx(3)
    got: list[Any] = []
    await reading(scene.peer, got)
    assert trio.current_time() - start == pytest.approx(4.5)
    assert scene.stats.closes == {"heartbeat": 1}


async def test_close_sends_what_waits_first(autojump_clock: Any, nursery: trio.Nursery) -> None:
    scene = Scene()
    nursery.start_soon(scene.connection.run)
    await trio.sleep(0.1)
    scene.connection.send("last", ["4last"])
    scene.connection.close("rejected", 1008, "go")
    scene.connection.send("late", ["4late"])
    scene.connection.close("again", 1000, "")
    got: list[Any] = []
    await reading(scene.peer, got)
    assert got[1] == "4last"
    assert "1008" in str(got[-1])
    assert "4late" not in got
    assert scene.stats.closes == {"rejected": 1}


async def test_close_does_not_wait_for_who_does_not_read(autojump_clock: Any) -> None:
    scene = Scene(capacity=1)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.connection.run)
        await trio.sleep(0.1)
        scene.connection.send("x", ["4x"])
        await trio.sleep(0.1)
        scene.connection.send("y", ["4y"])
        scene.connection.close("rejected")
    assert trio.current_time() - start < 2.5


async def test_deadlines_of_the_application(autojump_clock: Any, nursery: trio.Nursery) -> None:
    scene = Scene()
    scene.application.start = trio.current_time()
    scene.application.wants = trio.current_time() + 0.25
    nursery.start_soon(scene.connection.run)
    await trio.sleep(0.5)
    assert scene.application.heard == ["opened", "due 0.25"]
    await scene.peer.send(["4hello"])
    await trio.sleep(0.1)
    assert scene.application.heard[-1] == "hello"
    await scene.peer.aclose()


async def test_cancelling_says_that_we_are_going_away(autojump_clock: Any) -> None:
    scene = Scene()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.connection.run)
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    got: list[Any] = []
    await reading(scene.peer, got)
    assert "1001" in str(got[-1])
    assert scene.stats.closes == {"venue": 1}
    assert scene.application.ended == 1


@pytest.mark.parametrize("message", ["x", "9", "0{}"])
async def test_a_breach_of_the_rules_is_counted(
    autojump_clock: Any, nursery: trio.Nursery, message: str
) -> None:
    scene = Scene()
    nursery.start_soon(scene.connection.run)
    await scene.peer.send([message])
    got: list[Any] = []
    await reading(scene.peer, got)
    await trio.sleep(0.1)
    assert scene.stats.closes == {"violation": 1}
    assert sum(scene.stats.violations.values()) == 1
