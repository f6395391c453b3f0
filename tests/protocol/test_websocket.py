"""The codec rule by rule: both roles, the closing handshake, every limit, and what happens after the end."""

from __future__ import annotations

import gc

import pytest

from potrio.errors import ConnectionBroken, LimitExceeded, LocalProtocolError, RemoteProtocolError
from potrio.limits import (
    CLIENT_MESSAGE_MAX,
    CONTROL_FRAMES_BURST,
    EMPTY_FRAGMENTS_MAX,
    FRAGMENTS_MAX,
    PONGS_PENDING_MAX,
)
from potrio.protocol.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_close, encode_frame
from potrio.protocol.websocket import Close, Message, Ping, Pong, Role, WebSocketCodec

HEADER = '451-["updateStream",{"_placeholder":true,"num":0}]'
TICK = b'[["EURUSD_otc",1770856131.3,1.19537]]'
KEY = b"\x37\xfa\x21\x3d"


def mask_bytes(count: int) -> bytes:
    return (KEY * count)[:count]


def no_mask_bytes(count: int) -> bytes:
    raise AssertionError("a server does not mask")


@pytest.fixture
def client() -> WebSocketCodec:
    return WebSocketCodec("client", mask_bytes=mask_bytes)


@pytest.fixture
def server() -> WebSocketCodec:
    return WebSocketCodec("server", mask_bytes=no_mask_bytes)


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> Role:
    return request.param


@pytest.fixture
def codec(role: Role, client: WebSocketCodec, server: WebSocketCodec) -> WebSocketCodec:
    return client if role == "client" else server


def from_peer(role: Role, opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """A frame as the peer of a codec of this role sends it."""
    return encode_frame(opcode, payload, KEY if role == "server" else None, final=final)


def to_peer(role: Role, opcode: int, payload: bytes = b"") -> bytes:
    """A frame as a codec of this role sends it."""
    return encode_frame(opcode, payload, KEY if role == "client" else None)


def failed(codec: WebSocketCodec, role: Role) -> int:
    """Check that the codec has failed the connection by the rules; return the code it gave."""
    error = codec.close_exc
    assert isinstance(error, RemoteProtocolError)
    assert codec.closed
    assert codec.close_sent
    assert codec.close_received is None
    sent = codec.data_to_send()
    assert sent.endswith(to_peer(role, CLOSE, encode_close(error.close_code, str(error))))
    assert codec.receive_data(from_peer(role, TEXT, b"late"), 0.0) == []
    return error.close_code


# --- messages --------------------------------------------------------------------------------------------------------


def test_a_read_brings_all_its_messages(client: WebSocketCodec) -> None:
    messages: list[Message] = [HEADER, TICK] * 3 + ["2", b"x" * 300, b"x" * 70_000, "é"]
    sender = WebSocketCodec("server", mask_bytes=no_mask_bytes)
    sender.send_messages(messages)

    assert client.receive_data(sender.data_to_send(), 0.0) == messages
    assert client.frames_received == sender.frames_sent == len(messages)


def test_any_kind_of_buffer_is_taken_and_not_kept(codec: WebSocketCodec, role: Role) -> None:
    data = bytearray(from_peer(role, BINARY, TICK))
    events = codec.receive_data(memoryview(data), 0.0) + codec.receive_data(data, 0.0)
    cut = bytearray(from_peer(role, BINARY, TICK))
    assert codec.receive_data(memoryview(cut)[:7], 0.0) == []
    first_part_is_ours = bytes(cut)
    cut[:7] = bytes(7)
    events += codec.receive_data(first_part_is_ours[7:], 0.0)

    assert events == [TICK] * 3
    assert [type(event) for event in events] == [bytes] * 3


def test_an_empty_read_brings_nothing(codec: WebSocketCodec) -> None:
    assert codec.receive_data(b"", 0.0) == []
    assert not codec.closed


def test_control_frames_between_fragments(codec: WebSocketCodec, role: Role) -> None:
    data = (
        from_peer(role, TEXT, b"a", final=False)
        + from_peer(role, PING, b"p")
        + from_peer(role, CONTINUATION, b"b", final=False)
        + from_peer(role, PONG, b"q")
        + from_peer(role, CONTINUATION, b"c")
        + from_peer(role, BINARY, b"d")
    )

    assert codec.receive_data(data, 0.0) == [Ping(b"p"), Pong(b"q"), "abc", b"d"]
    assert codec.frames_received == 6


def test_what_is_kept_between_reads_is_bounded(codec: WebSocketCodec, role: Role) -> None:
    """Only a cut header or control frame waits to be looked at again; payload is never touched twice."""
    stream = (
        from_peer(role, PING, b"p" * 125)
        + from_peer(role, BINARY, b"b" * 1000)
        + from_peer(role, TEXT, b"t" * 70_000)
    )
    kept = []
    for index in range(len(stream)):
        codec.receive_data(stream[index : index + 1], 0.0)
        kept.append(len(codec._cut))

    assert max(kept) == len(from_peer(role, PING, b"p" * 125)) - 1 <= 130
    assert codec.frames_received == 3


# --- sending ---------------------------------------------------------------------------------------------------------


def test_a_client_masks_and_a_server_does_not(client: WebSocketCodec, server: WebSocketCodec) -> None:
    for codec in (client, server):
        codec.send_messages(["hello", b"\x00" * 4])
        codec.send_ping(b"p")
        codec.send_close()

    assert client.data_to_send() == (
        encode_frame(TEXT, b"hello", KEY) + b"\x82\x84" + KEY + KEY
        + encode_frame(PING, b"p", KEY) + encode_frame(CLOSE, b"\x03\xe8", KEY)
    )  # fmt: skip
    assert server.data_to_send() == b"\x81\x05hello\x82\x04\x00\x00\x00\x00\x89\x01p\x88\x02\x03\xe8"
    assert client.frames_sent == server.frames_sent == 4


def test_data_to_send_forgets(codec: WebSocketCodec, role: Role) -> None:
    codec.send_messages(["a"])
    codec.send_messages([])
    assert codec.data_to_send() == to_peer(role, TEXT, b"a")
    assert codec.data_to_send() == b""


def test_a_bad_message_queues_none(codec: WebSocketCodec) -> None:
    with pytest.raises(LocalProtocolError):
        codec.send_messages(["fine", "\ud800"])
    assert codec.data_to_send() == b""
    assert codec.frames_sent == 0


def test_a_ping_of_125_bytes_is_the_longest(codec: WebSocketCodec, role: Role) -> None:
    codec.send_ping(b"x" * 125)
    assert codec.data_to_send() == to_peer(role, PING, b"x" * 125)
    with pytest.raises(LocalProtocolError, match="126"):
        codec.send_ping(b"x" * 126)
    assert codec.data_to_send() == b""


def test_role_must_be_one() -> None:
    with pytest.raises(ValueError, match="role"):
        WebSocketCodec("proxy", mask_bytes=mask_bytes)  # type: ignore[arg-type]  # the fault under test


# --- ping and pong ---------------------------------------------------------------------------------------------------


def test_pings_are_answered_in_order_before_what_is_queued(codec: WebSocketCodec, role: Role) -> None:
    codec.send_messages(["queued"])
    codec.receive_data(from_peer(role, PING, b"1") + from_peer(role, PING, b"2"), 0.0)

    assert codec.data_to_send() == (
        to_peer(role, PONG, b"1") + to_peer(role, PONG, b"2") + to_peer(role, TEXT, b"queued")
    )
    assert codec.frames_sent == 3


def test_only_the_latest_pings_are_answered_when_pongs_pile_up(codec: WebSocketCodec, role: Role) -> None:
    count = PONGS_PENDING_MAX + 5
    pings = [str(index).encode() for index in range(count)]
    events = codec.receive_data(b"".join(from_peer(role, PING, ping) for ping in pings), 0.0)

    assert events == [Ping(ping) for ping in pings]
    assert codec.data_to_send() == b"".join(to_peer(role, PONG, ping) for ping in pings[5:])


def test_an_unasked_pong_is_an_event_and_nothing_else(codec: WebSocketCodec, role: Role) -> None:
    assert codec.receive_data(from_peer(role, PONG, b"p"), 0.0) == [Pong(b"p")]
    assert codec.data_to_send() == b""


# --- the closing handshake -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe9going away", b"\x0f\xa0"])
def test_the_peer_closes_first(codec: WebSocketCodec, role: Role, payload: bytes) -> None:
    data = from_peer(role, TEXT, b"last") + from_peer(role, CLOSE, payload)
    close = Close(int.from_bytes(payload[:2]) if payload else 1005, payload[2:].decode())

    assert codec.receive_data(data + from_peer(role, TEXT, b"after"), 0.0) == ["last", close]
    assert codec.close_received == close
    assert codec.close_sent
    assert codec.closed
    assert codec.data_to_send() == to_peer(role, CLOSE, payload[:2])
    assert codec.receive_data(from_peer(role, TEXT, b"after"), 0.0) == []
    codec.receive_eof()
    assert codec.close_exc is None


def test_we_close_first(codec: WebSocketCodec, role: Role) -> None:
    codec.send_close(1001, "bye")
    assert codec.data_to_send() == to_peer(role, CLOSE, b"\x03\xe9bye")
    assert codec.close_sent
    assert not codec.closed

    assert codec.receive_data(from_peer(role, TEXT, b"on its way"), 0.0) == ["on its way"]
    assert codec.receive_data(from_peer(role, CLOSE, b"\x03\xe9"), 0.0) == [Close(1001, "")]
    assert codec.closed
    assert codec.data_to_send() == b""
    codec.receive_eof()
    assert codec.close_exc is None


def test_both_close_at_once(client: WebSocketCodec, server: WebSocketCodec) -> None:
    client.send_close(1000)
    server.send_close(1001)
    to_server, to_client = client.data_to_send(), server.data_to_send()

    assert client.receive_data(to_client, 0.0) == [Close(1001, "")]
    assert server.receive_data(to_server, 0.0) == [Close(1000, "")]
    for codec in (client, server):
        assert codec.closed
        assert codec.data_to_send() == b""
        assert codec.close_exc is None


def test_pings_after_our_close_are_not_answered(codec: WebSocketCodec, role: Role) -> None:
    codec.receive_data(from_peer(role, PING, b"1"), 0.0)
    codec.send_close()
    assert codec.receive_data(from_peer(role, PING, b"2"), 0.0) == [Ping(b"2")]

    assert codec.data_to_send() == to_peer(role, PONG, b"1") + to_peer(role, CLOSE, b"\x03\xe8")


def test_a_close_inside_a_message_drops_the_message(codec: WebSocketCodec, role: Role) -> None:
    data = from_peer(role, TEXT, b"half", final=False) + from_peer(role, CLOSE, b"\x03\xe8")

    assert codec.receive_data(data, 0.0) == [Close(1000, "")]
    assert codec.close_exc is None


def test_a_close_without_a_code(codec: WebSocketCodec, role: Role) -> None:
    codec.send_close(1005)
    assert codec.data_to_send() == to_peer(role, CLOSE)


def test_nothing_is_sent_after_close(codec: WebSocketCodec) -> None:
    codec.send_close()
    codec.data_to_send()
    for send in (lambda: codec.send_messages(["x"]), codec.send_ping, codec.send_close):
        with pytest.raises(LocalProtocolError, match="after a WebSocket Close frame"):
            send()
    assert codec.data_to_send() == b""


def test_a_code_that_may_not_be_sent_changes_nothing(codec: WebSocketCodec) -> None:
    for code, reason in ((1006, ""), (1015, ""), (1005, "a reason"), (999, ""), (5000, ""), (-1, "")):
        with pytest.raises(LocalProtocolError, match=str(code)):
            codec.send_close(code, reason)
    assert not codec.close_sent
    assert codec.data_to_send() == b""


# --- the end without a Close frame -----------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["nothing", "message", "half a frame", "our close"])
def test_eof_without_close_is_broken(codec: WebSocketCodec, role: Role, before: str) -> None:
    if before == "our close":
        codec.send_close()
    elif before != "nothing":
        frame = from_peer(role, TEXT, b"hello")
        codec.receive_data(frame if before == "message" else frame[:-1], 0.0)

    codec.receive_eof()

    assert type(codec.close_exc) is ConnectionBroken
    assert codec.closed
    assert codec.receive_data(from_peer(role, TEXT, b"late"), 0.0) == []
    with pytest.raises(LocalProtocolError):
        codec.send_messages(["x"])


def test_eof_after_an_error_keeps_the_error(codec: WebSocketCodec, role: Role) -> None:
    codec.receive_data(b"\xff\xff", 0.0)
    error = codec.close_exc
    codec.receive_eof()
    assert codec.close_exc is error
    assert failed(codec, role) == 1002


# --- what the peer may not do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opcode", "payload", "final", "code"),
    [
        (0x3, b"", True, 1002),
        (0x7, b"", True, 1002),
        (0xB, b"", True, 1002),
        (0xF, b"", True, 1002),
        (PING, b"", False, 1002),
        (PONG, b"", False, 1002),
        (CLOSE, b"", False, 1002),
        (PING, b"x" * 126, True, 1002),
        (CLOSE, b"\x03\xe8" + b"x" * 124, True, 1002),
        (CLOSE, b"x", True, 1002),
        (CLOSE, b"\x03\xe7", True, 1002),
        (CLOSE, b"\x03\xed", True, 1002),
        (CLOSE, b"\x03\xe8\xff", True, 1007),
        (CONTINUATION, b"", True, 1002),
        (TEXT, b"\xff", True, 1007),
        (TEXT, b"\xff", False, 1007),
        (TEXT, b"\xc3", True, 1007),
    ],
)
def test_a_bad_frame_fails_the_connection(
    codec: WebSocketCodec, role: Role, opcode: int, payload: bytes, final: bool, code: int
) -> None:
    codec.send_messages(["queued before"])
    data = from_peer(role, TEXT, b"good") + from_peer(role, BINARY, b"good")

    events = codec.receive_data(data + from_peer(role, opcode, payload, final=final) + data, 0.0)

    assert events == ["good", b"good"]
    assert failed(codec, role) == code


@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_a_reserved_bit_is_1002(codec: WebSocketCodec, role: Role, opcode: int, bit: int) -> None:
    frame = bytearray(from_peer(role, opcode))
    frame[0] |= bit
    assert codec.receive_data(frame, 0.0) == []
    assert failed(codec, role) == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_the_wrong_masking_is_1002(codec: WebSocketCodec, role: Role, opcode: int) -> None:
    assert codec.receive_data(to_peer(role, opcode), 0.0) == []
    assert failed(codec, role) == 1002


@pytest.mark.parametrize("length", ["7e007d", "7f000000000000ffff", "7f8000000000010000"])
def test_a_length_in_the_wrong_form_is_1002(codec: WebSocketCodec, role: Role, length: str) -> None:
    data = bytearray(b"\x82" + bytes.fromhex(length) + bytes(200))
    if role == "server":
        data[1] |= 0x80
    assert codec.receive_data(data, 0.0) == []
    assert failed(codec, role) == 1002


def test_a_message_inside_another_is_1002(codec: WebSocketCodec, role: Role) -> None:
    assert (
        codec.receive_data(from_peer(role, TEXT, b"a", final=False) + from_peer(role, TEXT, b"b"), 0.0) == []
    )
    assert failed(codec, role) == 1002


def test_bad_text_is_found_before_its_frame_is_complete(codec: WebSocketCodec, role: Role) -> None:
    frame = from_peer(role, TEXT, b"good \xff" + b"x" * 1000)
    assert codec.receive_data(frame[:-990], 0.0) == []
    assert failed(codec, role) == 1007


def test_an_error_after_our_close_sends_no_second_one(codec: WebSocketCodec, role: Role) -> None:
    codec.send_close()
    codec.data_to_send()
    codec.receive_data(from_peer(role, 0x3), 0.0)
    assert isinstance(codec.close_exc, RemoteProtocolError)
    assert codec.closed
    assert codec.data_to_send() == b""


def test_errors_hold_nothing_the_peer_sent(codec: WebSocketCodec, role: Role) -> None:
    """The session token is in what a client sends: an error must not carry the bytes into a log."""
    codec.receive_data(from_peer(role, TEXT, b"a secret \xff"), 0.0)
    error = codec.close_exc
    assert error is not None
    assert error.__traceback__ is None
    assert error.__context__ is None
    assert error.__cause__ is None
    assert "secret" not in repr(error)
    assert [each for each in gc.get_referents(error) if isinstance(each, bytes)] == []


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_message_limit_is_checked_before_the_payload_comes(codec: WebSocketCodec, role: Role) -> None:
    header = from_peer(role, BINARY, bytes(CLIENT_MESSAGE_MAX + 1))[:14]
    assert codec.receive_data(from_peer(role, TEXT, b"good") + header, 0.0) == ["good"]
    assert isinstance(codec.close_exc, LimitExceeded)
    assert failed(codec, role) == 1009


def test_a_message_of_exactly_the_limit(codec: WebSocketCodec, role: Role) -> None:
    payload = bytes(CLIENT_MESSAGE_MAX)
    assert codec.receive_data(from_peer(role, BINARY, payload), 0.0) == [payload]


@pytest.mark.parametrize("message_max", [0, 10, 125, 126, 65_534, 65_535, 65_536])
def test_any_message_limit_is_kept_on_both_paths(role: Role, message_max: int) -> None:
    codec = WebSocketCodec(role, mask_bytes=mask_bytes, message_max=message_max)
    exact = bytes(message_max)
    assert codec.receive_data(from_peer(role, BINARY, exact) * 2, 0.0) == [exact] * 2
    assert codec.receive_data(from_peer(role, BINARY, exact + b"x"), 0.0) == []
    assert failed(codec, role) == 1009


def test_a_frame_that_claims_an_absurd_length(codec: WebSocketCodec, role: Role) -> None:
    header = bytearray(b"\x82\x7f" + (2**62).to_bytes(8) + KEY)
    if role == "server":
        header[1] |= 0x80
    assert codec.receive_data(header, 0.0) == []
    assert failed(codec, role) == 1009


def test_the_limit_of_fragments(codec: WebSocketCodec, role: Role) -> None:
    fragments = from_peer(role, CONTINUATION, b"x", final=False) * (FRAGMENTS_MAX - 2)
    message = from_peer(role, TEXT, b"x", final=False) + fragments + from_peer(role, CONTINUATION, b"x")
    assert codec.receive_data(message, 0.0) == ["x" * FRAGMENTS_MAX]

    endless = (
        from_peer(role, TEXT, b"x", final=False)
        + fragments
        + from_peer(role, CONTINUATION, b"x", final=False)
    )
    assert codec.receive_data(endless, 0.0) == []
    assert not codec.closed
    assert codec.receive_data(from_peer(role, CONTINUATION, b"x"), 0.0) == []
    assert failed(codec, role) == 1009


def test_the_limit_of_empty_fragments(codec: WebSocketCodec, role: Role) -> None:
    start = from_peer(role, TEXT, final=False) + from_peer(role, CONTINUATION, final=False) * (
        EMPTY_FRAGMENTS_MAX - 1
    )
    assert codec.receive_data(start + from_peer(role, CONTINUATION), 0.0) == [""]
    assert codec.receive_data(start, 0.0) == []
    assert not codec.closed
    assert codec.receive_data(from_peer(role, CONTINUATION, final=False), 0.0) == []
    assert failed(codec, role) == 1009


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_the_burst_of_control_frames(codec: WebSocketCodec, role: Role, opcode: int) -> None:
    frame = from_peer(role, opcode)
    assert len(codec.receive_data(frame * CONTROL_FRAMES_BURST, 5.0)) == CONTROL_FRAMES_BURST
    assert not codec.closed
    assert codec.receive_data(frame, 5.0) == []
    assert isinstance(codec.close_exc, LimitExceeded)
    assert failed(codec, role) == 1008


def test_the_rate_of_control_frames(codec: WebSocketCodec, role: Role) -> None:
    frame = from_peer(role, PING)
    codec.receive_data(frame * CONTROL_FRAMES_BURST, 100.0)
    for tick in range(1, 101):  # 20 a second, for ever
        codec.receive_data(frame, 100.0 + tick * 0.0501)
        codec.data_to_send()
    assert not codec.closed
    codec.receive_data(frame * 3, 105.02)
    assert failed(codec, role) == 1008


def test_silence_saves_no_more_than_one_burst(codec: WebSocketCodec, role: Role) -> None:
    frame = from_peer(role, PING)
    codec.receive_data(frame, 0.0)
    assert len(codec.receive_data(frame * (CONTROL_FRAMES_BURST + 1), 1e6)) == CONTROL_FRAMES_BURST
    assert failed(codec, role) == 1008


def test_a_clock_that_goes_back_costs_nothing(codec: WebSocketCodec, role: Role) -> None:
    codec.receive_data(from_peer(role, PING), 100.0)
    codec.receive_data(from_peer(role, PING), 1.0)
    codec.receive_data(from_peer(role, PING), 2.0)
    assert not codec.closed


def test_data_and_close_frames_are_not_counted_as_control_frames(role: Role) -> None:
    codec = WebSocketCodec(role, mask_bytes=mask_bytes, control_frames_burst=0)
    data = (
        from_peer(role, TEXT, b"x", final=False)
        + from_peer(role, CONTINUATION, b"y")
        + from_peer(role, CLOSE)
    )
    assert codec.receive_data(data, 0.0) == ["xy", Close(1005, "")]
