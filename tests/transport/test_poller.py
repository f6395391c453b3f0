"""The poller: order, fairness, back-pressure both ways, ends of every kind, and nobody hurt by another's fault."""

from __future__ import annotations

import errno
import logging
import math
import resource
import selectors
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.errors import ConnectionBroken, ConnectionClosed, OutboundFull
from potrio.seam import REAL
from potrio.transport.line import Line, LineOwner
from potrio.transport.poller import Poller
from potrio.transport.readiness import SelectorReadiness

WAIT_S = 60


class Recorder(LineOwner):
    """Notes everything, and does more where a test says so."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.reads: list[int] = []
        self.said: list[str] = []
        self.error: Any = "none yet"
        self.on_data: Callable[[Line, bytes], None] = lambda line, data: None
        self.at_eof: Callable[[Line], None] | None = None
        self.at_end: Callable[[], None] = lambda: None

    def connected(self, line: Line) -> None:
        self.said.append("connected")

    def received(self, line: Line, data: bytes) -> None:
        self.data += data
        self.reads.append(len(data))
        self.on_data(line, data)

    def received_eof(self, line: Line) -> None:
        self.said.append("eof")
        if self.at_eof is None:
            super().received_eof(line)
        else:
            self.at_eof(line)

    def drained(self, line: Line) -> None:
        self.said.append("drained")

    def closed(self, line: Line, error: Exception | None) -> None:
        self.said.append("closed")
        self.error = error
        self.at_end()


class Scene:
    """A running poller, and sockets whose other ends are the test's."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.sockets: list[socket.socket] = []

    def pair(self, **options: Any) -> tuple[Line, Recorder, socket.socket]:
        """A line, its owner, and the peer's socket (non-blocking)."""
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        self.sockets.append(theirs)
        owner = Recorder()
        return self.poller.add(ours, owner, **options), owner, theirs

    def close(self) -> None:
        for each in self.sockets:
            each.close()


@pytest.fixture(params=["epoll", "select"])
async def scene(request: pytest.FixtureRequest, nursery: trio.Nursery) -> Any:
    readiness = SelectorReadiness(selectors.SelectSelector()) if request.param == "select" else None
    found = Scene(Poller(readiness=readiness))
    nursery.start_soon(found.poller.run)
    yield found
    found.close()
    nursery.cancel_scope.cancel()


async def until(condition: Callable[[], Any]) -> None:
    """Let the poller work until something is so."""
    with trio.fail_after(WAIT_S):
        while not condition():  # noqa: ASYNC110  # what is waited for is in the kernel, or a plain list
            await trio.sleep(0.001)


async def rounds(count: int = 5) -> None:
    """Let the poller do what there is to do: that something does not happen cannot be waited for."""
    for _ in range(count):
        await trio.sleep(0.003)


def drain(sock: socket.socket) -> bytes:
    """All that a peer can read now."""
    found = b""
    try:
        while data := sock.recv(1 << 20):
            found += data
    except BlockingIOError:
        pass
    return found


# --- in -----------------------------------------------------------------------------------------------------


async def test_bytes_go_both_ways(scene: Scene) -> None:
    line, owner, peer = scene.pair()
    peer.send(b"hello")
    await until(lambda: owner.data == b"hello")
    assert line.send(b"world") is True
    assert drain(peer) == b"world"
    found = scene.poller.statistics()
    assert (found.reads, found.writes, found.bytes_received, found.bytes_sent) == (1, 1, 5, 5)
    assert (found.lines, found.lines_added) == (1, 1)


async def test_a_flood_on_one_line_does_not_delay_the_others(nursery: trio.Nursery) -> None:
    scene = Scene(Poller(read_max=1024))
    order: list[str] = []
    for name in ("flood", "other", "third"):
        _, owner, peer = scene.pair()
        owner.on_data = lambda line, data, name=name: order.append(name)  # type: ignore[misc]  # mypy sees no default
        peer.send(b"x" * (60 * 1024 if name == "flood" else 3 * 1024))
    nursery.start_soon(scene.poller.run)
    await until(lambda: len(order) == 66)
    assert all(order.index(name) < 3 for name in ("flood", "other", "third"))
    assert order[:9].count("flood") == order[:9].count("other") == 3
    assert scene.poller.statistics().passes >= 60, "one read of a line in each pass"
    scene.close()
    nursery.cancel_scope.cancel()


async def test_few_sockets_a_pass_still_serves_all(nursery: trio.Nursery) -> None:
    scene = Scene(Poller(read_max=16, events_max=2))
    owners = []
    for _ in range(7):
        _, owner, peer = scene.pair()
        peer.send(b"y" * 64)
        owners.append(owner)
    nursery.start_soon(scene.poller.run)
    await until(lambda: all(len(owner.data) >= 32 for owner in owners))
    assert max(len(owner.data) for owner in owners) <= 64
    await until(lambda: all(len(owner.data) == 64 for owner in owners))
    scene.close()
    nursery.cancel_scope.cancel()


async def test_a_long_pass_lets_other_tasks_run(nursery: trio.Nursery) -> None:
    scene = Scene(Poller(slice_s=0.0))
    seen: list[int] = []
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    for _ in range(200):
        _, owner, peer = scene.pair()
        owner.on_data = lambda line, data: seen.append(turns)
        peer.send(b"z" * 4096)
    nursery.start_soon(other)
    nursery.start_soon(scene.poller.run)
    await until(lambda: len(seen) == 200)
    assert len(set(seen)) > 10, "others had turns in the middle of a pass"
    scene.close()
    nursery.cancel_scope.cancel()


async def test_a_paused_line_leaves_its_bytes_to_the_kernel(scene: Scene) -> None:
    line, owner, peer = scene.pair()
    line.pause()
    line.pause()
    sent = 0
    try:
        while True:
            sent += peer.send(b"p" * 65536)
    except BlockingIOError:
        pass
    await rounds()
    assert owner.data == b""
    line.resume()
    await until(lambda: len(owner.data) == sent)


async def test_a_paused_line_that_loses_its_peer_costs_nothing_and_delivers_on_resume(scene: Scene) -> None:
    line, owner, peer = scene.pair()
    line.pause()
    peer.send(b"last words")
    peer.close()
    await rounds()
    before = scene.poller.statistics().passes
    await rounds()
    assert scene.poller.statistics().passes - before <= 1, "it is not told of the same end again and again"
    assert owner.said == []
    line.resume()
    await until(lambda: owner.said == ["eof", "closed"])
    assert owner.data == b"last words"
    assert owner.error is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=5000), max_size=12), st.integers(1, 4096))
def test_any_split_arrives_whole_and_in_order(pieces: list[bytes], read_max: int) -> None:
    async def main() -> None:
        scene = Scene(Poller(read_max=read_max))
        line, owner, peer = scene.pair()
        back = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.poller.run)
            for number, piece in enumerate(pieces):
                peer.sendall(piece)
                line.send(piece)
                if number % 3 == 0:
                    await trio.lowlevel.checkpoint()
                back += drain(peer)
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: "closed" in owner.said)
            nursery.cancel_scope.cancel()
        back += drain(peer)
        assert bytes(owner.data) == bytes(back) == b"".join(pieces)
        assert max(owner.reads, default=0) <= read_max
        scene.close()

    trio.run(main)


# --- out ----------------------------------------------------------------------------------------------------


async def test_what_a_peer_does_not_read_waits_in_order_up_to_the_bound(scene: Scene) -> None:
    line, owner, peer = scene.pair(outbound_max=2_000_000)
    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 30_000)
    sent = bytearray()
    number = 0
    with pytest.raises(OutboundFull, match="wait already"):
        while True:
            piece = struct.pack("!I", number) * 50_000
            line.send(piece)
            sent += piece
            number += 1
    assert 1_800_000 < line.waiting <= 2_000_000
    assert owner.said == []
    got = bytearray()
    with trio.fail_after(WAIT_S):
        while len(got) < len(sent):
            got += drain(peer)
            await trio.sleep(0.001)
    assert got == sent, "partial writes neither lose nor repeat anything"
    await until(lambda: line.waiting == 0)
    assert owner.said == ["drained"]


async def test_one_large_message_is_taken_while_nothing_waits(scene: Scene) -> None:
    line, owner, peer = scene.pair(outbound_max=1000)
    assert line.send(b"L" * 3_000_000) is False
    with pytest.raises(OutboundFull):
        line.send(b"x")
    got = 0
    with trio.fail_after(WAIT_S):
        while got < 3_000_000:
            got += len(drain(peer))
            await trio.sleep(0.001)
    await until(lambda: owner.said == ["drained"])
    assert line.send(b"x") is True


async def test_one_bytes_object_serves_many_lines(scene: Scene) -> None:
    lines = [scene.pair() for _ in range(50)]
    frame = b"\x81\x05hello"
    for line, _, _ in lines:
        line.send(frame)
    assert all(drain(peer) == frame for _, _, peer in lines)


# --- ends ---------------------------------------------------------------------------------------------------


async def test_the_peers_end_comes_after_its_last_bytes(scene: Scene) -> None:
    line, owner, peer = scene.pair()
    peer.send(b"bye")
    peer.close()
    await until(lambda: "closed" in owner.said)
    assert owner.data == b"bye"
    assert owner.said == ["eof", "closed"]
    assert owner.error is None
    assert line.is_closed
    with pytest.raises(ConnectionBroken):
        line.send(b"x")


async def test_a_half_open_line_still_sends(scene: Scene) -> None:
    line, owner, peer = scene.pair()
    owner.at_eof = lambda line: None
    peer.shutdown(socket.SHUT_WR)
    await until(lambda: owner.said == ["eof"])
    before = scene.poller.statistics().passes
    await rounds()
    assert scene.poller.statistics().passes - before <= 1, "an end is told once"
    line.send(b"still here")
    line.send_eof()
    line.send_eof()
    with pytest.raises(ConnectionClosed):
        line.send(b"more")
    await rounds(1)
    assert peer.recv(100) == b"still here"
    assert peer.recv(100) == b""
    line.close()
    line.close()
    assert owner.said == ["eof"], "who closes is not told of it"
    assert scene.poller.statistics().lines == 0


async def test_send_eof_waits_for_what_waits(scene: Scene) -> None:
    line, _, peer = scene.pair()
    line.send(b"W" * 2_000_000)
    line.send_eof()
    got = 0
    with trio.fail_after(WAIT_S):
        while True:
            try:
                data = peer.recv(1 << 20)
            except BlockingIOError:
                await trio.sleep(0.001)
                continue
            if not data:
                break
            got += len(data)
    assert got == 2_000_000


async def test_an_end_said_before_the_connection_stands_comes_after_it(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        owner = Recorder()
        line = scene.poller.connect(socket.AF_INET, server.getsockname(), owner)
        line.send_eof()
        await until(lambda: owner.said == ["connected"])
        theirs, _ = server.accept()
        theirs.settimeout(WAIT_S)
        assert theirs.recv(1) == b""
        theirs.close()


async def test_a_half_open_line_whose_peer_goes_away_ends(scene: Scene) -> None:
    line, owner, peer = scene.pair(outbound_max=3_000_000)
    owner.at_eof = lambda line: None
    line.send(b"Q" * 2_000_000)
    peer.shutdown(socket.SHUT_WR)
    await until(lambda: owner.said == ["eof"])
    peer.close()
    await until(lambda: "closed" in owner.said)
    assert isinstance(owner.error, ConnectionBroken)
    assert owner.said == ["eof", "drained", "closed"]


async def test_small_ones_that_wait_are_written_together(scene: Scene) -> None:
    line, owner, peer = scene.pair()
    line.send(b"f" * 600_000)
    for _ in range(1000):
        line.send(b"tick")
    await until(lambda: drain(peer) is not None and owner.said == ["drained"])
    assert scene.poller.statistics().writes < 100


async def test_timers_are_called_when_there_is_something_new_for_them(nursery: trio.Nursery) -> None:
    poller, calls = Poller(), []

    def timers() -> float:
        calls.append(trio.current_time())
        return math.inf

    nursery.start_soon(lambda: poller.run(timers=timers))
    await until(lambda: calls)
    before = len(calls)
    await rounds()
    assert len(calls) == before
    poller.look()
    await until(lambda: len(calls) == before + 1)
    nursery.cancel_scope.cancel()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    for each in (ours, theirs):
        each.setblocking(False)
    return ours, theirs


async def test_a_reset_is_a_broken_connection(scene: Scene) -> None:
    ours, theirs = tcp_pair()
    owner = Recorder()
    line = scene.poller.add(ours, owner)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    await until(lambda: "closed" in owner.said)
    assert isinstance(owner.error, ConnectionBroken)
    assert isinstance(owner.error.__cause__, ConnectionResetError)
    assert line.is_closed
    with pytest.raises(ConnectionBroken) as caught:
        line.send(b"x")
    assert caught.value.__cause__ is owner.error.__cause__


async def test_a_write_that_fails_leaves_what_the_peer_had_said(scene: Scene) -> None:
    line, owner, peer = scene.pair()
    line.pause()
    peer.send(b"goodbye")
    peer.close()
    with pytest.raises(ConnectionBroken, match="lost"):
        line.send(b"x")
    with pytest.raises(ConnectionBroken):
        line.send(b"y")
    assert not line.is_closed
    line.resume()
    await until(lambda: "closed" in owner.said)
    assert owner.data == b"goodbye"
    assert isinstance(owner.error, ConnectionBroken)


async def test_waiting_bytes_of_a_peer_that_leaves_end_the_line(scene: Scene) -> None:
    line, owner, peer = scene.pair()
    line.send(b"Q" * 2_000_000)
    peer.close()
    await until(lambda: "closed" in owner.said)
    assert line.waiting == 0
    assert owner.said.count("closed") == 1


async def test_an_owner_that_fails_loses_its_line_and_no_other(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    line, owner, peer = scene.pair()
    _, healthy, friend = scene.pair()
    fault = ZeroDivisionError("planted")

    def fail(line: Line, data: bytes) -> None:
        raise fault

    def fail_again() -> None:
        raise KeyError("at the end")

    owner.on_data = fail
    owner.at_end = fail_again
    with caplog.at_level(logging.ERROR, "potrio.poller"):
        peer.send(b"x")
        await until(lambda: line.is_closed)
    assert owner.error is fault
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        ZeroDivisionError,
        KeyError,
    ]
    friend.send(b"fine")
    await until(lambda: healthy.data == b"fine")
    assert scene.poller.statistics().owner_errors == 2


async def test_an_owner_may_close_any_line_in_its_callback(scene: Scene) -> None:
    pairs = [scene.pair() for _ in range(20)]
    for _, owner, _ in pairs:
        owner.on_data = lambda line, data: [each.close() for each, _, _ in pairs]  # type: ignore[func-returns-value]  # closes all
    for _, _, peer in pairs:
        peer.send(b"x")
    await until(lambda: all(line.is_closed for line, _, _ in pairs))
    assert sum(len(owner.data) for _, owner, _ in pairs) == 1


async def test_cancelling_closes_all_lines_and_tells_their_owners() -> None:
    scene = Scene(Poller())
    _, owner, peer = scene.pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.poller.run)
        peer.send(b"before")
        await until(lambda: owner.data == b"before")
        with pytest.raises(trio.BusyResourceError):
            await scene.poller.run()
        nursery.cancel_scope.cancel()
    assert isinstance(owner.error, ConnectionClosed)
    assert not isinstance(owner.error, ConnectionBroken)
    assert peer.recv(10) == b""
    ours, theirs = socket.socketpair()
    with pytest.raises(ConnectionClosed):
        scene.poller.add(ours, Recorder())
    assert ours.fileno() == -1, "what could not be taken over is closed"
    theirs.close()
    scene.close()
    scene.poller.close()


async def test_cancelling_in_the_middle_of_a_pass_loses_nothing_that_was_read() -> None:
    scene = Scene(Poller(slice_s=0.0))
    owners = []
    for _ in range(100):
        _, owner, peer = scene.pair()
        peer.send(b"c" * 2048)
        owners.append(owner)
    with trio.CancelScope() as scope:
        owners[0].on_data = lambda line, data: scope.cancel()
        await scene.poller.run()
    assert scope.cancelled_caught
    found = scene.poller.statistics()
    assert found.bytes_received == sum(len(owner.data) for owner in owners)
    assert 0 < found.bytes_received < 100 * 2048, "the pass ended at a checkpoint in its middle"
    assert all(owner.said == ["closed"] for owner in owners)
    scene.close()


# --- connecting ---------------------------------------------------------------------------------------------


async def test_connecting_without_waiting(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        owner = Recorder()
        line = scene.poller.connect(socket.AF_INET, server.getsockname(), owner, source="127.0.0.9")
        line.send(b"early")
        await until(lambda: owner.said[:1] == ["connected"])
        theirs, address = server.accept()
        assert address[0] == "127.0.0.9"
        await until(lambda: line.waiting == 0)
        assert theirs.recv(10) == b"early"
        theirs.close()
    await until(lambda: owner.said[-1] == "closed")
    assert owner.said.count("connected") == 1


async def test_a_connection_that_is_refused_says_so(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    owner = Recorder()
    scene.poller.connect(socket.AF_INET, address, owner)
    await until(lambda: owner.said == ["closed"])
    assert isinstance(owner.error.__cause__, ConnectionRefusedError)


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    """No descriptor is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        lowest = probe.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_descriptor_left_is_an_error_that_leaves_the_others_alone(
    nursery: trio.Nursery, request: pytest.FixtureRequest
) -> None:
    scene = Scene(Poller())
    nursery.start_soon(scene.poller.run)
    _, owner, peer = scene.pair()
    await rounds(1)
    request.getfixturevalue("no_descriptors")
    with pytest.raises(OSError, match="Too many") as caught:
        scene.poller.connect(socket.AF_INET, ("127.0.0.1", 1), Recorder())
    assert caught.value.errno == errno.EMFILE
    with pytest.raises(OSError, match="Too many"):
        Poller()
    peer.send(b"x")
    await until(lambda: owner.data == b"x")
    assert scene.poller.statistics().lines == 1
    scene.close()
    nursery.cancel_scope.cancel()


async def test_an_accepted_stream_can_be_taken_over(scene: Scene) -> None:
    (listener,) = await REAL.listen_tcp("127.0.0.1", 0)
    async with listener:
        theirs = await trio.open_tcp_stream(*listener.socket.getsockname())
        owner = Recorder()
        line = scene.poller.add(REAL.take_socket(await listener.accept()), owner)
        await theirs.send_all(b"in")
        await until(lambda: owner.data == b"in")
        line.send(b"out")
        assert await theirs.receive_some() == b"out"
        await theirs.aclose()
