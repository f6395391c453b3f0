"""Socket.IO v5 packets: the text that follows the Engine.IO MESSAGE type, to values and back."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from potrio.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from potrio.limits import (
    ACK_ID_DIGITS_MAX,
    ATTACHMENTS_MAX,
    BINARY_HEADER_CHARS_MAX,
    EVENT_ARGS_MAX,
    EVENT_NAME_CHARS_MAX,
    NAMESPACE_CHARS_MAX,
)
from potrio.protocol.attachments import PlaceholderError, check_placeholders
from potrio.protocol.json_guard import JSON_ERRORS, check_depth

__all__ = [
    "MAIN_NAMESPACE",
    "RESERVED_NAMES",
    "SocketIOPacket",
    "SocketIOPacketType",
    "decode_socketio_packet",
    "encode_socketio_packet",
]

MAIN_NAMESPACE: Final = "/"

RESERVED_NAMES: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Event names that no one may send: receivers of the field raise these by themselves."""


class SocketIOPacketType(Enum):
    """The packet types of the Socket.IO protocol, revision 5; the value is the character on the wire."""

    CONNECT = "0"
    DISCONNECT = "1"
    EVENT = "2"
    ACK = "3"
    CONNECT_ERROR = "4"
    BINARY_EVENT = "5"
    BINARY_ACK = "6"


_T = SocketIOPacketType
_TYPES: Final = {type.value: type for type in _T}
_EVENTS: Final = frozenset({_T.EVENT, _T.BINARY_EVENT})
_ACKS: Final = frozenset({_T.ACK, _T.BINARY_ACK})
_BINARY: Final = frozenset({_T.BINARY_EVENT, _T.BINARY_ACK})
_WITH_PAYLOAD: Final = frozenset({_T.CONNECT, _T.CONNECT_ERROR})


class SocketIOPacket(Struct, frozen=True, kw_only=True):
    """One packet without its attachments. JSON stays text: its meaning is the business of the layer above.

    Attributes:
        type: the packet type.
        namespace: begins with a slash; a query string behind it is dropped on decoding.
        ack_id: of an ACK the event it answers; of an event the id under which an answer is wanted.
        name: of an event its name.
        args: of an event the arguments after the name, of an ACK all arguments; JSON texts.
        payload: of CONNECT and CONNECT_ERROR the JSON text, None where there is none.
        attachment_count: of the two binary types the number of binary messages that follow.
    """

    type: SocketIOPacketType
    namespace: str = MAIN_NAMESPACE
    ack_id: int | None = None
    name: str = ""
    args: tuple[bytes, ...] = ()
    payload: bytes | None = None
    attachment_count: int = 0

    def __repr__(self) -> str:
        """Payloads are not shown: one may hold the session token."""
        fields = [self.type.name, self.namespace]
        if self.name:
            fields.append(repr(self.name))
        if self.ack_id is not None:
            fields.append(f"ack_id={self.ack_id}")
        return f"<{' '.join(fields)} args={len(self.args)} attachments={self.attachment_count}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("packet", repr(self))]


# Both structs split a JSON array without decoding its elements, in one pass. A list of Raw would do that
# too, but takes 32 times the size of the text before it can be bounded; these stop at the first element too
# many.
_RAWS: Final = [(f"arg{number}", Raw, Raw(b"")) for number in range(EVENT_ARGS_MAX)]
_EventArray: Final = msgspec.defstruct(
    "_EventArray", [("name", str), *_RAWS], array_like=True, forbid_unknown_fields=True
)
_AckArray: Final = msgspec.defstruct("_AckArray", _RAWS, array_like=True, forbid_unknown_fields=True)

_event_decoder: Final = msgspec.json.Decoder(_EventArray)
_ack_decoder: Final = msgspec.json.Decoder(_AckArray)
_raw_decoder: Final = msgspec.json.Decoder(Raw)

# type [attachments -] [/namespace [,]] [ack id]; what is left is the payload. A namespace ends at a comma
# or at the end of the packet.
_HEAD: Final = re.compile(r"(?:([0-4])|([56])([0-9]+)-)(?:(/[^,]*),?)?([0-9]+)?")


def decode_socketio_packet(text: str) -> SocketIOPacket:
    """Read the text of a packet, without the Engine.IO type in front.

    Raises:
        RemoteProtocolError: it is not a packet; for binary types also where the placeholders do not use each
            attachment exactly once.
        LimitExceeded: a number, a name or the nesting is beyond its limit.
    """
    head = _HEAD.match(text)
    if head is None:
        raise RemoteProtocolError(
            "unknown Socket.IO packet type, or a binary one without its attachment count"
        )
    plain, binary, count, namespace, ack = head.groups()
    type_ = _TYPES[plain or binary]
    if ack is not None and len(ack) > ACK_ID_DIGITS_MAX:
        raise LimitExceeded("digits of an ack id", ACK_ID_DIGITS_MAX)
    if count is not None and (len(count) > ACK_ID_DIGITS_MAX or int(count) > ATTACHMENTS_MAX):
        raise LimitExceeded("number of attachments", ATTACHMENTS_MAX)
    if type_ in _BINARY and len(text) > BINARY_HEADER_CHARS_MAX:
        raise LimitExceeded("length of a packet with attachments", BINARY_HEADER_CHARS_MAX)
    namespace = MAIN_NAMESPACE if namespace is None else namespace.partition("?")[0]
    if len(namespace) > NAMESPACE_CHARS_MAX:
        raise LimitExceeded("length of a namespace", NAMESPACE_CHARS_MAX)
    ack_id = None if ack is None else int(ack)
    name, args, payload = _decode_payload(type_, text[head.end() :])
    packet = SocketIOPacket(
        type=type_,
        namespace=namespace,
        ack_id=ack_id,
        name=name,
        args=args,
        payload=payload,
        attachment_count=int(count or 0),
    )
    reason = _fault(packet)
    if reason:
        raise RemoteProtocolError(reason)
    return packet


def _decode_payload(type_: SocketIOPacketType, payload: str) -> tuple[str, tuple[bytes, ...], bytes | None]:
    """Split the JSON text of a packet into name, arguments and payload, of which a type has one or two."""
    try:
        data = payload.encode().strip(b" \t\r\n")
        check_depth(data)
        if type_ in _EVENTS:
            name, *args = msgspec.structs.astuple(_event_decoder.decode(data))
            return name, tuple(bytes(arg) for arg in args if arg), None
        if type_ in _ACKS:
            args = [*msgspec.structs.astuple(_ack_decoder.decode(data))]
            return "", tuple(bytes(arg) for arg in args if arg), None
        if data:
            _raw_decoder.decode(data)
        return "", (), data or None
    except (*JSON_ERRORS, UnicodeEncodeError) as error:
        reason = "bad Unicode" if isinstance(error, UnicodeError) else str(error)
    raise RemoteProtocolError(f"bad payload of a Socket.IO {type_.name} packet: {reason}")


def encode_socketio_packet(packet: SocketIOPacket) -> str:
    """Write a packet as text, without the Engine.IO type in front: compact, whatever the spacing of its JSON.

    Raises:
        LocalProtocolError: the packet is none that `decode_socketio_packet` would take.
    """
    reason = _fault(packet) or _fault_of_sender(packet)
    if reason:
        raise LocalProtocolError(reason)
    parts = [packet.type.value]
    if packet.type in _BINARY:
        parts.append(f"{packet.attachment_count}-")
    if packet.namespace != MAIN_NAMESPACE:
        parts.append(packet.namespace + ",")
    if packet.ack_id is not None:
        parts.append(str(packet.ack_id))
    if packet.type in _EVENTS:
        items = (msgspec.json.encode(packet.name), *packet.args)
        parts.append(f"[{b','.join(items).decode()}]")
    elif packet.type in _ACKS:
        parts.append(f"[{b','.join(packet.args).decode()}]")
    elif packet.payload is not None:
        parts.append(packet.payload.decode())
    return "".join(parts)


def _fault(packet: SocketIOPacket) -> str:
    """Say what both sides refuse in a packet whose JSON is sound, or return an empty text."""
    type_ = packet.type
    if type_ in _EVENTS:
        if packet.name in RESERVED_NAMES:
            return "an event with a reserved name"
        if not 0 < len(packet.name) <= EVENT_NAME_CHARS_MAX:
            return "an event whose name is empty or too long"
    elif type_ in _ACKS:
        if packet.ack_id is None:
            return f"a Socket.IO {type_.name} packet without ack id"
    elif packet.ack_id is not None:
        return f"a Socket.IO {type_.name} packet with an ack id"
    payload = packet.payload
    if payload is not None:
        if type_ not in _WITH_PAYLOAD:
            return f"a Socket.IO {type_.name} packet with a payload"
        if payload[:1] != b"{" and (type_ is _T.CONNECT or payload[:1] != b'"'):
            return f"the payload of a Socket.IO {type_.name} packet is no object"
    if type_ in _BINARY:
        try:
            check_placeholders(packet.args, packet.attachment_count)
        except PlaceholderError as error:
            return str(error)
        except JSON_ERRORS:
            return "an argument is not valid JSON"
    return ""


def _fault_of_sender(packet: SocketIOPacket) -> str:
    """Say what only a sender can get wrong, as a receiver has it checked while decoding."""
    if packet.ack_id is not None and not 0 <= packet.ack_id < 10**ACK_ID_DIGITS_MAX:
        return "an ack id that is negative or too large"
    if packet.attachment_count and packet.type not in _BINARY:
        return f"a Socket.IO {packet.type.name} packet with attachments"
    if not 0 <= packet.attachment_count <= ATTACHMENTS_MAX:
        return "too many attachments"
    if len(packet.args) > EVENT_ARGS_MAX:
        return "too many arguments"
    if (packet.args and packet.type not in _EVENTS | _ACKS) or (packet.name and packet.type not in _EVENTS):
        return f"a Socket.IO {packet.type.name} packet with a name or arguments"
    if packet.namespace[:1] != "/" or set(packet.namespace) & {",", "?"}:
        return "a namespace that does not begin with a slash, or with a comma or a question mark in it"
    if len(packet.namespace) > NAMESPACE_CHARS_MAX:
        return "a namespace that is too long"
    try:
        for text in (*packet.args, packet.payload or b"null"):
            check_depth(text)
            _raw_decoder.decode(text)
            text.decode()
        packet.name.encode()
        packet.namespace.encode()
    except (*JSON_ERRORS, UnicodeEncodeError, LimitExceeded):
        return "an argument is not valid JSON"
    return ""
