"""A connection of the server core: one write per wake-up, a bound for slow readers, an end in every case."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

from loadsim.venue.connection import MESSAGES_AT_ONCE, SLICE_S, Connection
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

    def received(self, connection: Connection, event: SessionEvent) -> Iterable[None]:
        assert isinstance(event, MessageReceived)
        self.heard.append(event.data)
        return self.work(connection)

    def work(self, connection: Connection) -> Iterable[None]:
        return ()

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
        self.application: Recorder = Recorder()
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


# --- fairness: one client's questions do not cost the others more than a moment ---------------------------------------


class Worker(Recorder):
    """Every event is ten steps of a quarter of a slice each; `done` counts them."""

    def __init__(self, clock: trio.testing.MockClock) -> None:
        super().__init__()
        self.clock = clock
        self.done = 0

    def work(self, connection: Connection) -> Iterable[None]:
        for _ in range(10):
            self.clock.jump(SLICE_S / 4)
            self.done += 1
            yield


async def test_others_run_after_each_slice_of_work(
    mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    scene = Scene()
    scene.application = scene.connection._application = Worker(mock_clock)
    nursery.start_soon(scene.connection.run)
    await scene.peer.send(["4ask"] * 200)
    seen = [0]
    while seen[-1] < 2000:
        await trio.lowlevel.checkpoint()  # the canary: runnable all the time
        seen.append(scene.application.done)
    assert max(b - a for a, b in pairwise(seen)) <= 12, (
        "a slice is five steps; two can meet in the order of one batch"
    )
    await scene.peer.aclose()


async def test_work_stops_when_the_connection_is_being_ended(
    mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    for end, allowed in (("drop", 25), ("close", 25), ("fall_silent", 25)):
        scene = Scene()
        worker = scene.application = scene.connection._application = Worker(mock_clock)
        nursery.start_soon(scene.connection.run)
        await scene.peer.send(["4ask"] * 200)
        while worker.done < 15:
            await trio.lowlevel.checkpoint()
        getattr(scene.connection, end)(*(("over",) if end == "close" else ()))
        await trio.testing.wait_all_tasks_blocked()
        assert worker.done < allowed, end
        assert worker.heard.count("ask") <= 3, end
        await scene.peer.aclose()


async def test_nothing_more_is_served_once_too_much_waits(autojump_clock: Any, nursery: trio.Nursery) -> None:
    scene = Scene(capacity=1, messages_max=10)

    def answer(connection: Connection) -> Iterable[None]:
        connection.send("page", ["4" + "x" * 50])
        return ()

    scene.application.work = answer  # type: ignore[method-assign]  # this scene's own
    nursery.start_soon(scene.connection.run)
    await trio.sleep(0.1)
    scene.connection.send("stuck", ["4x"])
    await trio.sleep(0.1)
    await scene.peer.send(["4ask"] * 500)
    await trio.sleep(5)
    assert scene.stats.closes == {"slow_reader": 1}
    assert scene.application.heard.count("ask") <= 12
    await scene.peer.aclose()


async def test_the_answers_to_one_write_wait_for_a_client_that_reads(
    autojump_clock: Any, nursery: trio.Nursery
) -> None:
    """However many: the next question is served when the answers to the last are on their way."""
    scene = Scene(capacity=1, messages_max=10)

    def answer(connection: Connection) -> Iterable[None]:
        connection.send("answer", ["4" + "x" * 50] * 3)
        return ()

    scene.application.work = answer  # type: ignore[method-assign]  # this scene's own
    nursery.start_soon(scene.connection.run)
    got: list[Any] = []
    nursery.start_soon(reading, scene.peer, got)
    await scene.peer.send(["4ask"] * 200)
    await trio.sleep(0.5)
    assert sum(message.startswith("4x") for message in got) == 600
    assert scene.stats.connections == 1
    await scene.peer.aclose()


async def test_small_messages_are_decoded_a_few_at_a_time(
    mock_clock: trio.testing.MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene()
    sizes: list[int] = []
    decode = scene.connection.session.receive_messages

    def note(messages: Any, now: float) -> Any:
        sizes.append(len(messages))
        return decode(messages, now)

    monkeypatch.setattr(scene.connection.session, "receive_messages", note)
    nursery.start_soon(scene.connection.run)
    await scene.peer.send(["4ask"] * 1000)
    await trio.testing.wait_all_tasks_blocked()
    assert sum(sizes) == 1000 == scene.application.heard.count("ask")
    assert max(sizes) == MESSAGES_AT_ONCE
    await scene.peer.aclose()
