"""The server's side of HTTP: good, sloppy and hostile clients, answers and upgrades, bounded in time and size."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import (
    ConnectionBroken,
    LimitExceeded,
    LocalProtocolError,
    PotrioError,
    RemoteProtocolError,
)
from potrio.limits import CLOSE_TIMEOUT, HTTP_BODY_MAX, HTTP_HEAD_MAX, RESPONSE_TIMEOUT, SERVER_HEAD_TIMEOUT
from potrio.protocol.websocket import WebSocketCodec
from potrio.transport.accept import accept

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 section 1.3."""


def upgrade_head(*more, key=b"Sec-WebSocket-Key: " + KEY, version=b"Sec-WebSocket-Version: 13", target=b"/x"):
    """A request to upgrade."""
    lines = [
        b"GET " + target + b" HTTP/1.1",
        b"Host: h",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        key,
        version,
        *more,
    ]
    return b"\r\n".join(line for line in lines if line) + b"\r\n\r\n"


async def request_of(data, **options):
    """Accept these bytes; return the request and the client's end."""
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(data)
    return await accept(ours, **options), theirs


async def read_all(stream):
    """Read until the other end closes."""
    received = b""
    while data := await stream.receive_some():
        received += data
    return received


async def refusal_of(data, error_type=RemoteProtocolError, **options):
    """Check that these bytes are refused; return the error and what the client was told."""
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(data)
    await theirs.send_eof()
    with pytest.raises(error_type) as caught:
        await accept(ours, **options)
    assert type(caught.value) is error_type
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()
    return caught.value, await read_all(theirs)


# --- requests --------------------------------------------------------------------------------------------------------


async def test_a_request_is_taken_apart():
    request, _ = await request_of(
        b"GET /stats?a=1&b=%20x&a=2&c HTTP/1.1\r\nHost: h:1\r\naccept: */*\r\nX-Two: one\r\nX-TWO: two\r\n\r\n"
    )

    assert (request.method, request.target, request.path) == ("GET", "/stats?a=1&b=%20x&a=2&c", "/stats")
    assert request.query == {"a": "1", "b": " x", "c": ""}
    assert request.headers == (("host", "h:1"), ("accept", "*/*"), ("x-two", "one"), ("x-two", "two"))
    assert request.header("X-Two") == "one"
    assert request.header("nothing") is None
    assert request.body == b""
    assert not request.wants_websocket


@pytest.mark.parametrize("split", [1, 5, 1000])
async def test_a_body_at_any_split(split):
    data = b"POST /faults HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\n" + b"abcdefghijklmnopqrstuvwxyz"
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send():
            for start in range(0, len(data), split):
                await theirs.send_all(data[start : start + split])

        request = await accept(ours)

    assert request.method == "POST"
    assert request.body == b"abcdefghijklmnopqrstuvwxyz"


async def test_a_chunked_body():
    request, _ = await request_of(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )

    assert request.body == b"abcde"


async def test_a_client_that_waits_to_be_told_to_go_on():
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def client():
            assert (await theirs.receive_some()).startswith(b"HTTP/1.1 100 ")
            await theirs.send_all(b"abc")

        request = await accept(ours)

    assert request.body == b"abc"


async def test_an_old_client():
    request, theirs = await request_of(b"GET /stats HTTP/1.0\r\n\r\n")
    await theirs.send_eof()
    await request.respond(200, b"x")

    assert (await read_all(theirs)).endswith(b"\r\n\r\nx")


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_an_answer():
    request, theirs = await request_of(b"GET /stats HTTP/1.1\r\nHost: h\r\n\r\n")
    await theirs.send_eof()
    await request.respond(200, b'{"a":1}', "application/json", [("X-A", "b")])

    assert await read_all(theirs) == (
        b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nConnection: close\r\nX-A: b\r\n"
        b"Content-Type: application/json\r\nContent-Length: 7\r\n\r\n"
        b'{"a":1}'
    )


@pytest.mark.parametrize(
    ("method", "status", "end"),
    [
        (b"HEAD", 200, b"Content-Length: 4\r\n\r\n"),
        (b"GET", 204, b"Connection: close\r\n\r\n"),
        (b"GET", 304, b"Connection: close\r\n\r\n"),
        (b"DELETE", 599, b"Content-Length: 4\r\n\r\nbody"),
    ],
)
async def test_answers_without_a_body_or_a_known_status(method, status, end):
    request, theirs = await request_of(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
    await theirs.send_eof()
    await request.respond(status, b"body")

    response = await read_all(theirs)
    assert response.startswith(b"HTTP/1.1 %d" % status)
    assert response.endswith(end)


async def test_a_request_is_answered_once():
    request, theirs = await request_of(upgrade_head())
    await theirs.send_eof()
    await request.respond(400)

    for again in (request.respond(200), request.upgrade()):
        with pytest.raises(LocalProtocolError):
            await again
    await request.aclose()


async def test_a_request_can_be_dropped():
    request, theirs = await request_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await request.aclose()

    assert await read_all(theirs) == b""


async def test_a_client_that_has_gone_is_no_error():
    request, theirs = await request_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await theirs.aclose()

    await request.respond(200, b"x")


async def test_a_client_that_does_not_read_its_answer(autojump_clock):
    request, _ = await request_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

    async def never(data):
        await trio.sleep_forever()

    request._stream.send_all = never
    await request.respond(200, b"x" * 100)

    assert trio.current_time() == pytest.approx(RESPONSE_TIMEOUT)


async def test_a_client_that_keeps_the_connection_is_not_waited_for_long(autojump_clock):
    request, theirs = await request_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await request.respond(200, b"x")

    assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT)
    assert (await read_all(theirs)).endswith(b"x")


# --- upgrades --------------------------------------------------------------------------------------------------------


async def test_an_upgrade_and_the_frames_right_behind_it():
    client = WebSocketCodec("client", mask_bytes=bytes)
    client.send_messages(["first"])
    request, theirs = await request_of(upgrade_head(b"Origin: https://x.test") + client.data_to_send())
    assert request.wants_websocket
    transport = await request.upgrade()

    assert await theirs.receive_some() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
    )
    assert await transport.receive() == ["first"]
    await transport.send([b"reply"])
    assert client.receive_data(await theirs.receive_some(), 0.0) == [b"reply"]


SLOPPY = {
    "lower-case": upgrade_head().replace(b"Upgrade", b"upgrade").replace(b"Sec-WebSocket", b"sec-websocket"),
    "upper-case": b"GET /x HTTP/1.1\r\n"
    + upgrade_head().partition(b"\r\n")[2].upper().replace(KEY.upper(), KEY),
    "keep-alive": upgrade_head().replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"),
    "many-headers": upgrade_head(*(b"X-%d: y" % number for number in range(50))),
    "compression": upgrade_head(b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
    "subprotocol": upgrade_head(b"Sec-WebSocket-Protocol: chat"),
    "other-query": upgrade_head(target=b"/socket.io/?transport=websocket&EIO=4&t=1.5"),
    "cookie": upgrade_head(b"Cookie: a=\xe9"),
    "content-length-0": upgrade_head(b"Content-Length: 0"),
    "bare-lf": upgrade_head().replace(b"\r\n", b"\n"),
}


@pytest.mark.parametrize("head", SLOPPY.values(), ids=SLOPPY.keys())
async def test_sloppy_clients_are_welcome(head):
    request, theirs = await request_of(head)
    await request.upgrade()
    response = await theirs.receive_some()

    assert response.startswith(b"HTTP/1.1 101 ")
    assert ACCEPT in response
    assert b"extensions" not in response.lower()
    assert b"protocol:" not in response.lower()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (upgrade_head(key=b""), 400),
        (upgrade_head(version=b""), 400),
        (upgrade_head(version=b"Sec-WebSocket-Version: 8"), 426),
        (upgrade_head().replace(b"Connection: Upgrade", b"Connection: close"), 400),
        (upgrade_head().replace(b"Upgrade: websocket", b"Upgrade: websocket2"), 400),
        (upgrade_head(b"Connection: \xff"), 400),
    ],
    ids=["no-key", "no-version", "old-version", "no-connection", "odd-upgrade", "not-ascii"],
)
async def test_an_upgrade_that_is_none(head, status):
    request, theirs = await request_of(head)
    await theirs.send_eof()
    with pytest.raises(RemoteProtocolError, match="this is not a WebSocket handshake"):
        await request.upgrade()
    response = await read_all(theirs)

    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert (b"Sec-WebSocket-Version: 13" in response) is (status == 426)


@pytest.mark.parametrize("more", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_an_upgrade_with_a_body(more):
    _, response = await refusal_of(upgrade_head(more))

    assert response.startswith(b"HTTP/1.1 400 ")


async def test_a_client_that_goes_away_during_the_upgrade():
    request, theirs = await request_of(upgrade_head())
    await theirs.aclose()

    with pytest.raises(ConnectionBroken):
        await request.upgrade()


async def test_a_client_that_does_not_read_its_101(autojump_clock):
    request, _ = await request_of(upgrade_head())

    async def never(data):
        await trio.sleep_forever()

    request._stream.send_all = never
    with pytest.raises(ConnectionBroken):
        await request.upgrade()
    assert trio.current_time() == pytest.approx(RESPONSE_TIMEOUT)


async def test_the_message_limit_is_the_callers(autojump_clock):
    client = WebSocketCodec("client", mask_bytes=bytes)
    client.send_messages([b"x" * 1001])
    request, _ = await request_of(upgrade_head() + client.data_to_send())
    transport = await request.upgrade(message_max=1000)

    with pytest.raises(LimitExceeded):
        await transport.receive()


async def test_the_limit_on_fragments_is_the_callers(autojump_clock):
    fragments = b"\x01\x81\0\0\0\0a" + b"\x00\x81\0\0\0\0b" + b"\x80\x81\0\0\0\0c"
    request, _ = await request_of(upgrade_head() + fragments)
    transport = await request.upgrade(fragments_max=3)
    assert await transport.receive() == ["abc"]

    request, _ = await request_of(upgrade_head() + fragments)
    transport = await request.upgrade(fragments_max=2)
    with pytest.raises(LimitExceeded):
        await transport.receive()


# --- hostile clients -------------------------------------------------------------------------------------------------


GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"
FLOOD = b"x" * (HTTP_BODY_MAX + 1)
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

BAD_REQUESTS = {
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400, RemoteProtocolError),
    "no-target": (b"GET\r\n\r\n", 400, RemoteProtocolError),
    "no-host": (b"GET / HTTP/1.1\r\n\r\n", 400, RemoteProtocolError),
    "no-colon": (GET + b"no colon\r\n\r\n", 400, RemoteProtocolError),
    "two-hosts": (GET + b"Host: i\r\n\r\n", 400, RemoteProtocolError),
    "two-lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, RemoteProtocolError),
    "negative-length": (POST + b"Content-Length: -5\r\n\r\n", 400, RemoteProtocolError),
    "gzip": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501, RemoteProtocolError),
    "chunks": (CHUNKED + b"zz\r\n", 400, RemoteProtocolError),
    "fields": (b"GET /?" + b"a&" * 100 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 400, RemoteProtocolError),
    "lines": (GET + b"X: y\r\n" * 64 + b"\r\n", 431, LimitExceeded),
    "bytes": (b"GET /" + b"x" * HTTP_HEAD_MAX, 431, LimitExceeded),
    "body": (POST + b"Content-Length: 999999\r\n\r\n" + FLOOD, 413, LimitExceeded),
    "chunked-body": (CHUNKED + b"fffff\r\n" + FLOOD, 413, LimitExceeded),
}


@pytest.mark.parametrize(("data", "status", "error_type"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
async def test_a_bad_request_is_refused_with_its_status(data, status, error_type):
    error, response = await refusal_of(data, error_type)

    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert response.endswith(str(error).encode() + b"\n")


async def test_a_refusal_repeats_nothing_of_the_request():
    error, response = await refusal_of(b"GET / HTTP/1.1\r\nHost: h\r\ncanary\r\n\r\n")

    assert "canary" not in str(error)
    assert b"canary" not in response


@pytest.mark.parametrize(
    "data", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc"]
)
async def test_a_client_that_breaks_off(data):
    _, response = await refusal_of(data, ConnectionBroken)

    assert response == b""


async def test_a_connection_that_is_lost_in_the_body():
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(POST + b"Content-Length: 5\r\n\r\n")
    reads = 0

    async def reset():
        nonlocal reads
        reads += 1
        if reads == 2:
            raise trio.BrokenResourceError

    ours.receive_stream.receive_some_hook = reset
    with pytest.raises(ConnectionBroken, match="in the body"):
        await accept(ours)


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"]
)
async def test_a_client_that_takes_for_ever(data, autojump_clock):
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def drip():
            await theirs.send_all(data)
            try:
                while True:
                    await trio.sleep(2)
                    await theirs.send_all(b"y")
            except trio.BrokenResourceError:
                pass

        with pytest.raises(RemoteProtocolError, match="no complete HTTP request within 5 s"):
            await accept(ours)
    assert trio.current_time() <= SERVER_HEAD_TIMEOUT + CLOSE_TIMEOUT + 2
    assert (await theirs.receive_some()).startswith(b"HTTP/1.1 408 ")


async def test_cancelled_at_each_step_the_stream_is_closed(cancelled_at):
    for step in range(1, 100):
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(upgrade_head())
        transports = []

        async def serve(ours=ours, transports=transports):
            request = await accept(ours)
            transports.append(await request.upgrade())

        if await cancelled_at(step, serve):
            return
        if not transports:
            with pytest.raises(trio.ClosedResourceError):
                await ours.receive_some()
    pytest.fail("accept takes too many steps")


def test_any_bytes_are_a_request_or_a_typed_error():
    @given(st.binary() | st.builds(b"GET / HTTP/1.1\r\nHost: h\r\n".__add__, st.binary()), st.integers(1, 50))
    def check(data, size):
        async def main():
            ours, theirs = trio.testing.memory_stream_pair()
            for start in range(0, len(data), size):
                await theirs.send_all(data[start : start + size])
            await theirs.send_eof()
            try:
                request = await accept(ours)
            except PotrioError:
                return
            await request.respond(200)

        trio.run(main)

    check()
