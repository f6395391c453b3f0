"""A stream over a poller's line keeps trio's laws of streams, and what is sent without waiting stays in order."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from potrio.transport.line_stream import LineStream
from potrio.transport.poller import Poller

WAIT_S = 60


def over(poller: Poller, sock: socket.socket, **options: Any) -> LineStream:
    sock.setblocking(False)
    owner = LineStream(**options)
    return owner.attach(poller.add(sock, owner))


@asynccontextmanager
async def running() -> AsyncIterator[Poller]:
    poller = Poller()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        yield poller
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("clogs", [False, True])
async def test_trios_own_judge_of_streams_is_content(clogs: bool) -> None:
    async with running() as poller:

        async def pair() -> tuple[LineStream, LineStream]:
            ours, theirs = socket.socketpair()
            return over(poller, ours), over(poller, theirs)

        async def clogged() -> tuple[LineStream, LineStream]:
            ours, theirs = await pair()
            theirs.line.pause()  # trio's judge clogs by sending until nothing goes
            theirs._inbound_max = 1
            with trio.move_on_after(0.05):
                while True:
                    await ours.send_all(b"x" * 65536)
            return ours, theirs

        maker: Callable[[], Awaitable[tuple[LineStream, LineStream]]] = clogged if clogs else pair
        if clogs:
            ours, _ = await maker()
            assert not ours.line.waiting, "what was not sent is dropped with its sender"
        else:
            await trio.testing.check_half_closeable_stream(maker, None)


async def test_what_nobody_reads_is_bounded_and_not_lost() -> None:
    async with running() as poller:
        ours, theirs = socket.socketpair()
        stream = over(poller, ours, inbound_max=10_000)
        theirs.setblocking(False)
        sent = 0
        for _ in range(50):
            try:
                sent += theirs.send(b"b" * 20_000)
            except BlockingIOError:
                await trio.sleep(0.002)
        assert len(stream._inbound) <= 10_000 + poller.read_max
        got = 0
        with trio.fail_after(WAIT_S):
            while got < sent:
                got += len(await stream.receive_some(7_000))
        assert got == sent
        theirs.close()


async def test_what_is_sent_without_waiting_comes_first_and_only_where_nothing_waits() -> None:
    async with running() as poller:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        stream, peer = over(poller, ours), over(poller, theirs)
        assert stream.is_idle
        assert stream.send_nowait(b"1" * 3_000_000) is True
        assert not stream.is_idle
        assert stream.send_nowait(b"no") is False
        got = bytearray()

        async def read() -> None:
            while len(got) < 3_000_003:
                got.extend(await peer.receive_some())

        with trio.fail_after(WAIT_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await stream.send_all(b"222")
        assert bytes(got[-4:]) == b"1222"
        await stream.aclose()
        assert stream.send_nowait(b"x") is False


async def test_a_lost_connection_is_broken_for_reader_and_writer() -> None:
    async with running() as poller:
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        stream = over(poller, accepted)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.close()
        server.close()
        with trio.fail_after(WAIT_S):
            with pytest.raises(trio.BrokenResourceError) as caught:
                await stream.receive_some()
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")
            assert stream.send_nowait(b"x") is False
        cause = caught.value.__cause__
        assert isinstance(cause, OSError)
        assert cause.errno == errno.ECONNRESET
        await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_eof()


async def test_the_poller_takes_its_streams_with_it() -> None:
    async with running() as poller:
        ours, theirs = socket.socketpair()
        stream = over(poller, ours)
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                with pytest.raises(trio.BrokenResourceError):
                    await stream.receive_some()

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked(0.01)
            poller.look()  # nothing to look at: no harm
            for line in list(poller._lines.values()):
                line.end(None)
        theirs.close()
