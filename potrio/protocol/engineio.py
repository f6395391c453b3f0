"""Engine.IO v4 packets and the handshake they open with: WebSocket messages to values and back."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from potrio.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from potrio.limits import HANDSHAKE_CHARS_MAX, MAX_PAYLOAD_MIN, SERVER_MESSAGE_MAX, SID_CHARS_MAX
from potrio.protocol.json_guard import JSON_ERRORS, check_depth

__all__ = [
    "EngineIOPacket",
    "EngineIOPacketType",
    "Handshake",
    "Message",
    "decode_engineio_packet",
    "decode_handshake",
    "encode_engineio_packet",
    "encode_handshake",
]

Message: TypeAlias = str | bytes
"""One whole WebSocket message: text as str, binary as bytes. It carries exactly one Engine.IO packet."""

_DAY_MS: Final = 24 * 60 * 60 * 1000


class EngineIOPacketType(Enum):
    """The packet types of the Engine.IO protocol, revision 4; the value is the character on the wire."""

    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    MESSAGE = "4"
    UPGRADE = "5"
    NOOP = "6"


class EngineIOPacket(Struct, frozen=True):
    """One packet. `data` is what follows the type; a binary message is a MESSAGE without type character."""

    type: EngineIOPacketType
    data: Message = ""

    def __str__(self) -> str:
        return f"{self.type.name}({len(self.data)})"


_TYPES: Final = {type.value: type for type in EngineIOPacketType}
_HEARTBEAT_DATA: Final = ("", "probe")  # "probe" during the upgrade of a transport, else nothing
_EMPTY_TYPES: Final = frozenset(
    {EngineIOPacketType.CLOSE, EngineIOPacketType.UPGRADE, EngineIOPacketType.NOOP}
)
_HEARTBEAT_TYPES: Final = frozenset({EngineIOPacketType.PING, EngineIOPacketType.PONG})


def decode_engineio_packet(message: Message) -> EngineIOPacket:
    """Read one WebSocket message.

    Raises:
        RemoteProtocolError: it is empty, its type is unknown, or a packet that has no data came with some.
    """
    if isinstance(message, bytes):
        return EngineIOPacket(EngineIOPacketType.MESSAGE, message)
    type_ = _TYPES.get(message[:1])
    if type_ is None:
        raise RemoteProtocolError("unknown Engine.IO packet type")
    packet = EngineIOPacket(type_, message[1:])
    reason = _fault(packet)
    if reason:
        raise RemoteProtocolError(reason)
    return packet


def encode_engineio_packet(packet: EngineIOPacket) -> Message:
    """Write a packet as one WebSocket message.

    Raises:
        LocalProtocolError: the packet may not carry such data.
    """
    reason = _fault(packet)
    if reason:
        raise LocalProtocolError(reason)
    if isinstance(packet.data, bytes):
        return packet.data
    return packet.type.value + packet.data


def _fault(packet: EngineIOPacket) -> str:
    """Say why a packet cannot be, or return an empty text."""
    if packet.type is EngineIOPacketType.MESSAGE:
        return ""
    if isinstance(packet.data, bytes):
        return f"an Engine.IO {packet.type.name} packet with binary data"
    if packet.type in _EMPTY_TYPES and packet.data:
        return f"an Engine.IO {packet.type.name} packet with data"
    if packet.type in _HEARTBEAT_TYPES and packet.data not in _HEARTBEAT_DATA:
        return f"an Engine.IO {packet.type.name} packet with data other than 'probe'"
    return ""


class Handshake(
    Struct,
    frozen=True,
    rename={
        "ping_interval_ms": "pingInterval",
        "ping_timeout_ms": "pingTimeout",
        "max_payload": "maxPayload",
    },
):
    """The payload of OPEN, in the order it has on the wire: some clients test for the text ``0{"sid":``.

    Unknown fields are ignored; `max_payload` may be missing, as older servers do not send it.
    """

    sid: str
    upgrades: tuple[str, ...] = ()
    ping_interval_ms: int = 25_000
    ping_timeout_ms: int = 20_000
    max_payload: int = SERVER_MESSAGE_MAX

    def __post_init__(self) -> None:
        if not 0 < len(self.sid) <= SID_CHARS_MAX:
            raise ValueError("the sid is empty or too long")
        if not 0 < self.ping_interval_ms <= _DAY_MS:
            raise ValueError("pingInterval is not within a day")
        if not 0 < self.ping_timeout_ms <= _DAY_MS:
            raise ValueError("pingTimeout is not within a day")
        if self.max_payload < MAX_PAYLOAD_MIN:
            raise ValueError(f"maxPayload is less than {MAX_PAYLOAD_MIN}")


class _OpenPayload(Struct, rename="camel"):
    """What OPEN must have; the defaults of `Handshake` are not the peer's."""

    sid: str
    ping_interval: int
    ping_timeout: int
    upgrades: list[str] = []
    max_payload: int = SERVER_MESSAGE_MAX


_open_decoder: Final = msgspec.json.Decoder(_OpenPayload)


def decode_handshake(data: Message) -> Handshake:
    """Read the data of an OPEN packet.

    Raises:
        RemoteProtocolError: it is not a JSON object with a sid, a ping interval and a ping timeout.
    """
    if len(data) > HANDSHAKE_CHARS_MAX:
        raise LimitExceeded("length of the Engine.IO handshake", HANDSHAKE_CHARS_MAX)
    try:
        text = data.encode() if isinstance(data, str) else data
        check_depth(text)
        found = _open_decoder.decode(text)
        return Handshake(
            found.sid, tuple(found.upgrades), found.ping_interval, found.ping_timeout, found.max_payload
        )
    except (*JSON_ERRORS, ValueError) as error:
        reason = str(error)
    raise RemoteProtocolError(f"bad Engine.IO handshake: {reason}")


def encode_handshake(handshake: Handshake) -> str:
    """Write the data of an OPEN packet: compact, the sid first."""
    return msgspec.json.encode(handshake).decode()
