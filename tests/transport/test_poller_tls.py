"""TLS on a poller: order under every split, refusals before a byte of plaintext, ends with their names, bounds."""

from __future__ import annotations

import array
import fcntl
import gc
import os
import select
import socket
import ssl
import struct
import subprocess
import termios
from pathlib import Path
from typing import IO, Any

import pytest
import trio
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.errors import ConnectionBroken, ConnectionClosed, OutboundFull, TlsFailed, TlsTruncated
from potrio.transport.line import Line, LineOwner
from potrio.transport.poller import Poller
from potrio.transport.poller_tls import TlsLine, add_tls, connect_tls

WAIT_S = 60
AUTHORITY = trustme.CA()
HOST = "127.0.0.1"


def contexts(
    name: str = HOST, *, authority: trustme.CA = AUTHORITY, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's and a server's."""
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.configure_trust(client)
    client.maximum_version = version
    authority.issue_cert(name).configure_cert(server)
    return client, server


BOTH = {version: contexts(version=version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)}


class Recorder(LineOwner):
    """Notes everything."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.reads: list[int] = []
        self.said: list[str] = []
        self.error: Any = "none yet"
        self.keeps = False

    def connected(self, line: Line) -> None:
        self.said.append("connected")

    def received(self, line: Line, data: bytes) -> None:
        self.data += data
        self.reads.append(len(data))

    def received_eof(self, line: Line) -> None:
        self.said.append("eof")
        if not self.keeps:
            super().received_eof(line)

    def drained(self, line: Line) -> None:
        self.said.append("drained")

    def closed(self, line: Line, error: Exception | None) -> None:
        self.said.append("closed")
        self.error = error


class Wire(Line):
    """A line whose bytes the test carries."""

    def __init__(self, owner: TlsLine, outbound_max: int) -> None:
        self.owner = owner
        self.bytes = bytearray()
        self.outbound_max = outbound_max
        self.shut = self.ended = self.paused = False
        self.failure: ConnectionClosed | None = None

    error = property(lambda self: self.failure)
    is_closed = property(lambda self: self.ended)
    waiting = property(lambda self: len(self.bytes))
    socket = property(lambda self: None)

    def send(self, data: bytes) -> bool:
        if self.ended or self.shut:
            raise ConnectionClosed("ended")
        if self.bytes and len(self.bytes) + len(data) > self.outbound_max:
            raise OutboundFull("full")
        self.bytes += data
        return False

    def send_eof(self) -> None:
        self.shut = True

    def forget_unsent(self) -> None:
        self.bytes.clear()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.ended = True

    def end(self, error: Exception | None) -> None:
        if not self.ended:
            self.ended = True
            self.owner.closed(self, error)

    def take(self, size: int) -> bytes:
        """Bytes on their way."""
        data = bytes(self.bytes[:size])
        del self.bytes[:size]
        return data


class Both:
    """A client and a server, and the bytes between them."""

    def __init__(self, pair: tuple[ssl.SSLContext, ssl.SSLContext], *, outbound_max: int = 1 << 20) -> None:
        self.owners = Recorder(), Recorder()
        hosts: tuple[str | None, str | None] = (HOST, None)
        self.ends = tuple(
            TlsLine(owner, context, host=host, target="wss://test", outbound_max=outbound_max)
            for owner, context, host in zip(self.owners, pair, hosts, strict=True)
        )
        self.wires = tuple(Wire(end, outbound_max + 100_000) for end in self.ends)
        for end, wire in zip(self.ends, self.wires, strict=True):
            end.attach(wire)

    def begin(self) -> None:
        for end, wire in zip(self.ends, self.wires, strict=True):
            end.connected(wire)

    def carry(self, sender: int, size: int) -> bool:
        """Carry some bytes; False where there are none."""
        wire, other = self.wires[sender], self.ends[1 - sender]
        data = wire.take(size)
        if data and not other.is_closed:
            other.received(self.wires[1 - sender], data)
        if data and not wire.bytes:
            wire.owner.drained(wire)
        return bool(data)

    def settle(self, size: int = 1 << 16) -> None:
        while self.carry(0, size) | self.carry(1, size):
            pass

    def secured(self) -> Both:
        self.begin()
        self.settle()
        assert all("connected" in owner.said for owner in self.owners)
        return self


# --- the property -------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    version=st.sampled_from(sorted(BOTH)),
    sizes=st.lists(
        st.tuples(st.integers(0, 1), st.one_of(st.integers(1, 300), st.integers(1, 60_000))), max_size=10
    ),
    splits=st.lists(
        st.tuples(st.integers(0, 1), st.one_of(st.integers(1, 60), st.integers(1, 20_000))), max_size=60
    ),
    rest=st.integers(50, 70_000),
    early=st.integers(0, 5),
)
def test_any_split_of_ciphertext_and_any_sizes_of_writes_arrive_in_order(
    version: ssl.TLSVersion,
    sizes: list[tuple[int, int]],
    splits: list[tuple[int, int]],
    rest: int,
    early: int,
) -> None:
    both = Both(BOTH[version])
    both.begin()
    sent = bytearray(), bytearray()
    carrying = iter(splits)
    for number, (sender, size) in enumerate(sizes):
        piece = struct.pack("!I", number) + os.urandom(size)
        both.ends[sender].send(piece)
        sent[sender].extend(piece)
        if number >= early:  # the first ones wait for the handshake
            for who, amount in (pair for pair, _ in zip(carrying, range(5), strict=False)):
                both.carry(who, amount)
    both.settle(rest)
    for who in (0, 1):
        both.ends[who].send_eof()
    both.settle(rest)
    for who in (0, 1):
        assert both.owners[1 - who].data == sent[who]
        assert "eof" in both.owners[1 - who].said
        assert both.ends[who].waiting == 0


# --- the handshake ------------------------------------------------------------------------------------------


class Scene:
    """A poller that runs."""

    def __init__(self) -> None:
        self.poller = Poller()

    def both(
        self, client: ssl.SSLContext, server: ssl.SSLContext, host: str = HOST
    ) -> tuple[TlsLine, Recorder, TlsLine, Recorder]:
        """A client's line and a server's, over a pair of sockets."""
        found: list[Any] = []
        for sock, context, name in zip(socket.socketpair(), (client, server), (host, None), strict=True):
            sock.setblocking(False)
            owner = Recorder()
            found += [
                add_tls(self.poller, sock, owner, context=context, host=name, target="wss://test"),
                owner,
            ]
        return tuple(found)


@pytest.fixture
async def scene(nursery: trio.Nursery) -> Any:
    found = Scene()
    nursery.start_soon(found.poller.run)
    yield found
    nursery.cancel_scope.cancel()


async def until(condition: Any) -> None:
    with trio.fail_after(WAIT_S):
        while not condition():  # noqa: ASYNC110  # what is waited for is in the kernel, or a plain list
            await trio.sleep(0.001)


async def test_bytes_go_both_ways_and_close_says_so(scene: Scene) -> None:
    client, told, server, heard = scene.both(*contexts())
    assert client.is_securing
    assert client.send(b"early") is False
    await until(lambda: heard.data == b"early")
    await until(lambda: told.said == ["connected", "drained"])
    assert server.send(b"answer" * 50_000) in (True, False)
    await until(lambda: len(told.data) == 300_000)
    client.close()
    client.close()
    await until(lambda: "closed" in heard.said)
    assert [word for word in heard.said if word != "drained"] == ["connected", "eof", "closed"]
    assert heard.error is None, "close_notify was said"
    assert "closed" not in told.said, "who closes is not told"
    assert "closed" in repr(client)
    with pytest.raises(ConnectionClosed):
        client.send(b"x")


@pytest.mark.parametrize(
    ("name", "authority", "words"),
    [
        ("other.example", AUTHORITY, "IP address mismatch"),
        (HOST, trustme.CA(), "unable to get local issuer certificate"),
    ],
)
async def test_a_wrong_certificate_is_refused_before_anything_is_said(
    scene: Scene, name: str, authority: trustme.CA, words: str
) -> None:
    client, told, _, heard = scene.both(*contexts(name, authority=authority))
    client.send(b"a secret")
    await until(lambda: "closed" in told.said and "closed" in heard.said)
    assert told.said == ["closed"]
    assert isinstance(told.error, TlsFailed)
    assert words in str(told.error)
    assert heard.data == b""
    assert isinstance(heard.error, TlsFailed)
    assert "ALERT" in str(heard.error), "it came"
    with pytest.raises(ConnectionClosed):
        client.send(b"more")


async def test_a_port_that_speaks_no_tls_and_one_that_hangs_up(scene: Scene) -> None:
    for answer, words in (
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"),
        (b"", "during the TLS"),
    ):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        told = Recorder()
        add_tls(scene.poller, ours, told, context=contexts()[0], host=HOST, target="wss://test")
        theirs.recv(1000)
        theirs.sendall(answer)
        theirs.close()
        await until(lambda told=told: told.said == ["closed"])
        assert isinstance(told.error, TlsFailed)
        assert words in str(told.error)


async def test_a_connection_that_is_refused_is_no_failure_of_tls(scene: Scene) -> None:
    with socket.create_server((HOST, 0)) as server:
        address = server.getsockname()
    told = Recorder()
    connect_tls(
        scene.poller, socket.AF_INET, address, told, context=contexts()[0], host=HOST, target="wss://test"
    )
    await until(lambda: told.said == ["closed"])
    assert isinstance(told.error, ConnectionBroken)
    assert isinstance(told.error.__cause__, ConnectionRefusedError)


async def test_a_host_that_is_none_is_refused_and_its_socket_closed(scene: Scene) -> None:
    ours, theirs = socket.socketpair()
    with pytest.raises(TlsFailed, match="empty"):
        add_tls(scene.poller, ours, Recorder(), context=contexts()[0], host="", target="wss://test")
    assert ours.fileno() == -1
    theirs.close()


async def test_an_owner_that_gives_up_in_the_handshake_closes_at_once(scene: Scene) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    told = Recorder()
    line = add_tls(scene.poller, ours, told, context=contexts()[0], host=HOST, target="wss://test")
    with trio.move_on_after(0.02):
        await until(lambda: told.said)
    line.close()
    assert (told.said, line.is_closed) == ([], True)
    assert theirs.recv(5000)
    assert theirs.recv(5000) == b""
    theirs.close()


# --- ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", sorted(BOTH))
def test_an_end_without_close_notify_is_truncated(version: ssl.TLSVersion) -> None:
    both = Both(BOTH[version]).secured()
    both.ends[1].send(b"all of it" * 10)
    while both.carry(1, 50):
        pass
    both.ends[0].received_eof(both.wires[0])
    assert both.owners[0].data == b"all of it" * 10
    assert both.owners[0].said == ["connected", "closed"]
    assert type(both.owners[0].error) is TlsTruncated


@pytest.mark.parametrize("version", sorted(BOTH))
def test_one_direction_may_end_and_the_other_go_on(version: ssl.TLSVersion) -> None:
    both = Both(BOTH[version]).secured()
    both.owners[1].keeps = True
    both.ends[0].send(b"question")
    both.ends[0].send_eof()
    both.ends[0].send_eof()
    both.settle()
    assert both.wires[0].shut
    assert both.owners[1].said[-1] == "eof"
    with pytest.raises(ConnectionClosed, match="end of our direction"):
        both.ends[0].send(b"more")
    both.ends[1].received_eof(both.wires[1])
    both.ends[1].send(b"answer" * 10_000)
    both.settle()
    assert both.owners[0].data == b"answer" * 10_000
    both.ends[1].received(both.wires[1], b"behind the end")
    assert both.owners[1].data == b"question"
    assert both.owners[1].said.count("eof") == 1
    both.ends[1].close()
    both.settle()
    assert both.owners[0].said[-2:] == ["eof", "closed"]
    assert both.owners[0].error is None


def test_large_pieces_sent_before_the_handshake_keep_their_order() -> None:
    both = Both(BOTH[ssl.TLSVersion.TLSv1_3])
    both.begin()
    pieces = [bytes([number]) * 40_000 for number in range(3)]
    for piece in pieces:
        both.ends[0].send(piece)
    both.settle()
    assert both.owners[1].data == b"".join(pieces)


def test_an_end_that_is_ours_says_close_notify_and_tells_us() -> None:
    both = Both(BOTH[ssl.TLSVersion.TLSv1_3]).secured()
    fault = ValueError("enough")
    both.ends[0].end(fault)
    both.settle()
    assert both.owners[0].error is fault
    assert both.owners[1].said == ["connected", "eof", "closed"]
    assert both.owners[1].error is None


def test_a_damaged_record_ends_it_after_what_was_whole() -> None:
    both = Both(BOTH[ssl.TLSVersion.TLSv1_3]).secured()
    both.ends[1].send(b"whole")
    whole = both.wires[1].take(1 << 16)
    both.ends[1].send(b"damaged")
    bad = bytearray(both.wires[1].take(1 << 16))
    bad[-1] ^= 1
    both.ends[0].received(both.wires[0], whole + bad)
    assert both.owners[0].data == b"whole"
    assert type(both.owners[0].error) is ConnectionBroken
    assert "TLS failed" in str(both.owners[0].error)


# --- bounds -------------------------------------------------------------------------------------------------


def test_what_waits_is_bounded_and_told_when_it_has_gone() -> None:
    both = Both(BOTH[ssl.TLSVersion.TLSv1_3], outbound_max=100_000)
    both.begin()
    both.ends[0].send(b"e" * 90_000)
    with pytest.raises(OutboundFull, match="90"):
        both.ends[0].send(b"x" * 20_000)
    both.settle()
    assert both.owners[0].said == ["connected", "drained"]
    both.ends[0].send(b"L" * 500_000)
    with pytest.raises(OutboundFull):
        both.ends[0].send(b"x")
    both.settle()
    assert both.owners[1].data == b"e" * 90_000 + b"L" * 500_000
    assert both.owners[0].said[-1] == "drained"
    assert both.ends[0].waiting == 0
    with pytest.raises(OutboundFull):
        for _ in range(100_000):
            both.ends[0].send(b"s")
    assert both.wires[0].waiting <= 100_100, "small ones are counted as they are on the wire"


def test_one_read_is_one_call_of_the_owner() -> None:
    both = Both(BOTH[ssl.TLSVersion.TLSv1_3]).secured()
    for _ in range(100):
        both.ends[1].send(b"tick")
    before = len(both.owners[0].reads)
    both.settle(16 * 1024)
    assert both.owners[0].data == b"tick" * 100
    assert len(both.owners[0].reads) == before + 1


async def test_a_paused_line_slows_its_peer_down(scene: Scene) -> None:
    client, told, server, heard = scene.both(*contexts())
    await until(lambda: "connected" in told.said and "connected" in heard.said)
    client.pause()
    server.send(b"p" * 900_000)
    await trio.sleep(0.02)
    assert told.data == b""
    assert server.waiting > 100_000
    client.resume()
    await until(lambda: len(told.data) == 900_000)
    assert max(told.reads) <= 2 * 16 * 1024 + 1024


# --- what OpenSSL does by itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "key"), [("-tls1_3", b"K\n"), ("-tls1_3", b"k\n"), ("-tls1_2", b"r\n")])
async def test_new_keys_and_renegotiation_are_harmless(
    scene: Scene, tmp_path: Path, version: str, key: bytes
) -> None:
    """`openssl s_server` asks for new keys (K: for ours too), or for a new handshake, at a letter."""
    cert = AUTHORITY.issue_cert(HOST)
    path = tmp_path / "both.pem"
    cert.private_key_and_cert_chain_pem.write_to_path(path)
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    command = ["openssl", "s_server", "-accept", str(port), "-cert", str(path), version]
    with subprocess.Popen(  # noqa: ASYNC220  # it starts at once, and is spoken to without waiting
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            await _speak_over_new_keys(scene, server, port, key)
        finally:
            server.kill()


async def _speak_over_new_keys(scene: Scene, server: subprocess.Popen[bytes], port: int, key: bytes) -> None:
    assert server.stdin is not None
    assert server.stdout is not None
    said = bytearray()

    def heard(words: bytes) -> bool:
        assert server.stdout is not None
        while select.select([server.stdout], [], [], 0)[0] and (
            data := os.read(server.stdout.fileno(), 4096)
        ):
            said.extend(data)
        return words in said

    await until(lambda: heard(b"ACCEPT"))
    told = Recorder()
    line = connect_tls(
        scene.poller,
        socket.AF_INET,
        (HOST, port),
        told,
        context=contexts()[0],
        host=HOST,
        target="wss://test",
    )
    await until(lambda: told.said)
    assert told.said == ["connected"], told.error
    line.send(b"before\n")
    await until(lambda: heard(b"before"))
    for number in range(5):
        os.write(server.stdin.fileno(), key)
        await until(lambda: unread(server.stdin) == 0)  # a letter is heard only where it is alone
        line.send(b"after %d\n" % number)
        os.write(server.stdin.fileno(), b"reply %d\n" % number)
        await until(lambda number=number: heard(b"after %d" % number))
        await until(lambda number=number: b"reply %d" % number in told.data)
    assert "closed" not in told.said
    line.close()


def unread(pipe: IO[bytes] | None) -> int:
    """Bytes that the other end of a pipe has not read yet."""
    assert pipe is not None
    count = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    return count[0]


def test_the_memory_of_a_client_is_what_is_documented() -> None:
    """Of this process, both ends: twice what a client costs, and the test's own lists."""
    pair = BOTH[ssl.TLSVersion.TLSv1_3]
    Both(pair).secured()
    gc.collect()
    before = resident()
    kept = [Both(pair).secured() for _ in range(200)]
    cost = (resident() - before) / len(kept) / 2
    assert cost < 40 * 1024, f"{cost / 1024:.0f} KiB an end"


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
