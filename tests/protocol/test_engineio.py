"""Engine.IO packets: the examples of the specification both ways, refusals, the handshake and its tolerance."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from potrio.limits import HANDSHAKE_CHARS_MAX, SERVER_MESSAGE_MAX
from potrio.protocol.engineio import (
    EngineIOPacket,
    EngineIOPacketType,
    Handshake,
    decode_engineio_packet,
    decode_handshake,
    encode_engineio_packet,
    encode_handshake,
)

T = EngineIOPacketType
OPEN = (
    '{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],'
    '"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
)

EXAMPLES = [
    ("0" + OPEN, EngineIOPacket(T.OPEN, OPEN)),
    ("1", EngineIOPacket(T.CLOSE)),
    ("2", EngineIOPacket(T.PING)),
    ("3", EngineIOPacket(T.PONG)),
    ("2probe", EngineIOPacket(T.PING, "probe")),
    ("3probe", EngineIOPacket(T.PONG, "probe")),
    ("4hello", EngineIOPacket(T.MESSAGE, "hello")),
    ("4€", EngineIOPacket(T.MESSAGE, "€")),
    ("4", EngineIOPacket(T.MESSAGE, "")),
    ("5", EngineIOPacket(T.UPGRADE)),
    ("6", EngineIOPacket(T.NOOP)),
    (b"\x01\x02\x03\x04", EngineIOPacket(T.MESSAGE, b"\x01\x02\x03\x04")),
    (b"", EngineIOPacket(T.MESSAGE, b"")),
]


@pytest.mark.parametrize(("wire", "packet"), EXAMPLES)
def test_examples_of_the_specification_both_ways(wire, packet) -> None:
    assert decode_engineio_packet(wire) == packet
    assert encode_engineio_packet(packet) == wire


@pytest.mark.parametrize("wire", ["", "7", "abc", "9", "-1", " 4", "\x00", "４", "é"])
def test_unknown_types_are_refused(wire: str) -> None:
    with pytest.raises(RemoteProtocolError, match=r"unknown Engine\.IO packet type") as caught:
        decode_engineio_packet(wire)
    assert caught.value.close_code == 1002


@pytest.mark.parametrize(
    "packet",
    [
        *(EngineIOPacket(type_, "x") for type_ in (T.CLOSE, T.UPGRADE, T.NOOP, T.PING, T.PONG)),
        EngineIOPacket(T.PING, "Probe"),
        *(EngineIOPacket(type_, b"probe") for type_ in T if type_ is not T.MESSAGE),
    ],
    ids=str,
)
def test_data_where_none_may_be_is_refused_both_ways(packet) -> None:
    with pytest.raises(LocalProtocolError, match=packet.type.name):
        encode_engineio_packet(packet)
    if isinstance(packet.data, str):
        with pytest.raises(RemoteProtocolError, match=packet.type.name):
            decode_engineio_packet(packet.type.value + packet.data)


@given(st.text() | st.binary())
def test_any_message_is_a_packet_or_a_protocol_error(wire) -> None:
    try:
        packet = decode_engineio_packet(wire)
    except RemoteProtocolError:
        return
    assert encode_engineio_packet(packet) == wire


@given(st.sampled_from(T), st.text() | st.binary())
def test_any_packet_makes_the_round_trip_or_is_a_local_error(type_, data) -> None:
    packet = EngineIOPacket(type_, data)
    try:
        wire = encode_engineio_packet(packet)
    except LocalProtocolError:
        return
    assert decode_engineio_packet(wire) == packet


def test_packets_show_no_data() -> None:
    assert str(EngineIOPacket(T.MESSAGE, "secret")) == "MESSAGE(6)"


# --- handshake -------------------------------------------------------------------------------------------------------


def test_handshake_both_ways() -> None:
    handshake = Handshake("lv_VI97HAXpY6yYWAAAC", ("websocket",), 25_000, 20_000, 1_000_000)
    assert decode_handshake(OPEN) == handshake
    assert encode_handshake(handshake) == OPEN


def test_the_sid_comes_first_and_compact() -> None:
    """Some clients look for this text and are silent for ever without it."""
    assert encode_handshake(Handshake("x")).startswith('{"sid":"x"')


def test_unknown_fields_and_a_missing_max_payload_are_tolerated() -> None:
    found = decode_handshake('{ "new": {"a":[1]}, "pingTimeout": 2, "sid": "s", "pingInterval": 1 }')
    assert found == Handshake("s", (), 1, 2, SERVER_MESSAGE_MAX)


GOOD = {"sid": "s", "upgrades": [], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1024}


@pytest.mark.parametrize(
    "change",
    [
        {"sid": ""},
        {"sid": "x" * 257},
        {"sid": 5},
        {"sid": None},
        {"pingInterval": 0},
        {"pingInterval": -1},
        {"pingInterval": 86_400_001},
        {"pingInterval": "300"},
        {"pingInterval": 300.5},
        {"pingInterval": 10**30},
        {"pingTimeout": 0},
        {"pingTimeout": 86_400_001},
        {"maxPayload": 0},
        {"maxPayload": 1023},
        {"maxPayload": None},
        {"upgrades": "websocket"},
    ],
    ids=str,
)
def test_bad_fields_are_refused(change: dict) -> None:
    with pytest.raises(RemoteProtocolError, match=r"bad Engine\.IO handshake") as caught:
        decode_handshake(msgspec.json.encode(GOOD | change).decode())
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "change",
    [
        {"sid": "x" * 256},
        {"pingInterval": 1},
        {"pingInterval": 86_400_000},
        {"pingTimeout": 1},
        {"pingTimeout": 86_400_000},
        {"maxPayload": 1024},
        {"padding": "x" * (HANDSHAKE_CHARS_MAX - len(msgspec.json.encode(GOOD | {"padding": ""})))},
    ],
    ids=lambda change: str(change)[:40],
)
def test_the_edges_are_taken(change: dict) -> None:
    decode_handshake(msgspec.json.encode(GOOD | change).decode())


@pytest.mark.parametrize("missing", ["sid", "pingInterval", "pingTimeout"])
def test_missing_fields_are_refused(missing: str) -> None:
    fields = {name: value for name, value in GOOD.items() if name != missing}
    with pytest.raises(RemoteProtocolError, match="missing required field"):
        decode_handshake(msgspec.json.encode(fields).decode())


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"sid":"\ud800"}', b"\xff", '{"sid":"s"}x'])
def test_what_is_no_object_is_refused(text) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_handshake(text)


def test_a_huge_handshake_is_refused() -> None:
    padding = "x" * HANDSHAKE_CHARS_MAX
    with pytest.raises(LimitExceeded):
        decode_handshake(f'{{"sid":"s","pingInterval":1,"pingTimeout":1,"x":"{padding}"}}')


def test_a_deep_handshake_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        decode_handshake('{"x":' + "[" * 65 + "]" * 65 + "}")


def test_a_handshake_cannot_be_made_wrong() -> None:
    with pytest.raises(ValueError, match="pingInterval"):
        Handshake("s", ping_interval_ms=0)
    with pytest.raises(AttributeError):
        Handshake("s").sid = "t"


@given(st.text())
def test_any_text_is_a_handshake_or_a_protocol_error(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_handshake(text)
    try:
        decode_handshake('{"sid":"s","pingInterval":1,"pingTimeout":1,"x":' + text + "}")
    except RemoteProtocolError:
        pass
