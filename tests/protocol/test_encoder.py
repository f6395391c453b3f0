"""Events and acks as WebSocket messages: literals that clients test for, several attachments, and refusals."""

import pytest

from potrio.errors import LocalProtocolError
from potrio.limits import ATTACHMENTS_BYTES_MAX
from potrio.protocol.encoder import encode_ack, encode_event, encode_message
from potrio.protocol.socketio import SocketIOPacket, SocketIOPacketType

P0 = b'{"_placeholder":true,"num":0}'
P1 = b'{"_placeholder":true,"num":1}'


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ({"name": "ps"}, ['42["ps"]']),
        ({"name": "subfor", "payload": b'"EURUSD_otc"'}, ['42["subfor","EURUSD_otc"]']),
        (
            {"name": "updateStream", "payload": b"[[1]]", "binary": True},
            ['451-["updateStream",{"_placeholder":true,"num":0}]', b"[[1]]"],
        ),
        (
            {"name": "x", "payload": b"\xff\x00", "binary": True, "ack_id": 7, "namespace": "/custom"},
            ['451-/custom,7["x",{"_placeholder":true,"num":0}]', b"\xff\x00"],
        ),
        ({"name": "x", "payload": b"", "binary": True}, ['451-["x",{"_placeholder":true,"num":0}]', b""]),
        ({"name": "x", "args": [b"1", b'"2"'], "ack_id": 0}, ['420["x",1,"2"]']),
        (
            {"name": "x", "args": [P1, b"[%s]" % P0], "attachments": [b"a", b"b"]},
            ['452-["x",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]', b"a", b"b"],
        ),
        ({"name": 'é"'}, ['42["é\\""]']),
    ],
    ids=lambda value: str(value)[:40],
)
def test_events(arguments: dict, messages: list) -> None:
    assert encode_event(**arguments) == messages


@pytest.mark.parametrize(
    "arguments",
    [
        {"payload": b"1", "args": [b"1"]},
        {"payload": b"1", "attachments": [b"1"]},
        {"binary": True},
        {"binary": True, "args": [P0], "attachments": [b""]},
        {"args": [P0, P0], "attachments": [b""]},
        {"args": [b"1"], "attachments": [b""]},
        {"attachments": [b""]},
        {"payload": b"nope"},
        {"payload": b"1", "ack_id": -1},
        {"payload": b"1", "namespace": "custom"},
        {"payload": bytes(ATTACHMENTS_BYTES_MAX + 1), "binary": True},
    ],
    ids=lambda value: str(value)[:50],
)
def test_events_that_cannot_be(arguments: dict) -> None:
    with pytest.raises(LocalProtocolError):
        encode_event("x", **arguments)


def test_attachments_to_the_edge() -> None:
    assert len(encode_event("x", bytes(ATTACHMENTS_BYTES_MAX), binary=True)) == 2


def test_acks() -> None:
    assert encode_ack(456) == ["43456[]"]
    assert encode_ack(456, [b"1", b'"2"'], namespace="/custom") == ['43/custom,456[1,"2"]']
    assert encode_ack(789, [P0, P1], [b"a", b"b"]) == [
        '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"a",
        b"b",
    ]
    with pytest.raises(LocalProtocolError):
        encode_ack(789, [P0, P1], [b"a"])


def test_other_packets() -> None:
    disconnect = SocketIOPacket(type=SocketIOPacketType.DISCONNECT)
    assert encode_message(disconnect) == "41"
    with pytest.raises(LocalProtocolError):
        encode_message(SocketIOPacket(type=SocketIOPacketType.DISCONNECT, payload=b"{}"))
