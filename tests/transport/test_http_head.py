"""HTTP heads: complete at any split, bounded, and refused at the first byte that cannot be one."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConnectionBroken, LimitExceeded, RemoteProtocolError
from potrio.limits import HTTP_HEAD_MAX, HTTP_HEADERS_MAX
from potrio.transport.http_head import HeadBuffer, receive_head

RESPONSE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


@given(st.lists(st.integers(0, len(RESPONSE) + 9)))
def test_a_head_at_any_split(cuts):
    data = RESPONSE + b"\x81\x02hi\r\n\r\n"
    head = HeadBuffer("response")
    edges = [0, *sorted(cuts), len(data)]
    complete = rest = None
    for start, stop in pairwise(edges):
        if complete is not None:
            rest += data[start:stop]
        elif (complete := head.receive_data(data[start:stop])) is not None:
            rest = head.rest

    assert complete == RESPONSE
    assert rest == b"\x81\x02hi\r\n\r\n"


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\n\r\n", b"\r\n\n"])
def test_an_empty_line_in_any_form(end):
    head = HeadBuffer("request")

    assert head.receive_data(b"GET / HTTP/1.1" + end + b"rest") == b"GET / HTTP/1.1" + end
    assert head.rest == b"rest"


def test_the_limits_are_exact():
    lines = b"".join(b"X%d: y\r\n" % number for number in range(HTTP_HEADERS_MAX))
    start = b"HTTP/1.1 200 OK\r\n"

    assert HeadBuffer("response").receive_data(start + lines + b"\r\n")
    with pytest.raises(LimitExceeded, match="header lines"):
        HeadBuffer("response").receive_data(start + lines + b"Z: y\r\n\r\n")

    padding = HTTP_HEAD_MAX - len(start + b"X: \r\n\r\n")
    assert HeadBuffer("response").receive_data(start + b"X: " + b"y" * padding + b"\r\n\r\n")
    with pytest.raises(LimitExceeded, match="bytes"):
        HeadBuffer("response").receive_data(start + b"X: " + b"y" * padding + b"y\r\n\r\n")


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("line", [b"X: y\r\n", b"X: " + b"y" * 500 + b"\r\n", b"y" * 100])
def test_a_head_without_end_is_cut_off_soon(line, chunk):
    head = HeadBuffer("response")
    data = b"HTTP/1.1 200 OK\r\n" + line * 5000
    taken = 0

    def feed():
        nonlocal taken
        while taken < len(data):
            head.receive_data(data[taken : taken + chunk])
            taken += chunk

    with pytest.raises(LimitExceeded):
        feed()
    assert taken <= HTTP_HEAD_MAX


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("response", b"X"),
        ("response", b"HTTP/2"),
        ("response", b"http/1.1"),
        ("response", b"\r\nHTTP/1.1"),
        ("request", b"\x16\x03\x01"),
        ("request", b"\r\n"),
        ("request", b" GET"),
        ("request", b"\x00"),
    ],
)
def test_what_is_not_http_is_refused_at_once(kind, data):
    with pytest.raises(RemoteProtocolError, match=f"does not send an HTTP {kind}"):
        HeadBuffer(kind).receive_data(data)


@given(st.sampled_from(["request", "response"]), st.lists(st.binary()))
def test_any_bytes_are_a_head_or_a_typed_error(kind, parts):
    head = HeadBuffer(kind)
    with suppress(RemoteProtocolError):
        for part in parts:
            if head.receive_data(part) is not None:
                break


async def test_receiving_a_head():
    ours, theirs = trio.testing.memory_stream_pair()
    head = HeadBuffer("response")
    await theirs.send_all(RESPONSE + b"more")

    assert await receive_head(ours, head) == RESPONSE
    assert head.rest == b"more"


async def test_a_head_that_breaks_off():
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(RESPONSE[:-1])
    await theirs.aclose()

    with pytest.raises(ConnectionBroken, match="closed the connection before the end"):
        await receive_head(ours, HeadBuffer("response"))


@pytest.mark.parametrize("raised", [trio.BrokenResourceError, trio.ClosedResourceError])
async def test_a_connection_that_is_lost_before_the_head(raised):
    ours, _ = trio.testing.memory_stream_pair()

    async def fail():
        raise raised from ConnectionResetError(104, "reset")

    ours.receive_stream.receive_some_hook = fail

    with pytest.raises(ConnectionBroken, match="the connection was lost"):
        await receive_head(ours, HeadBuffer("response"))
