"""Socket.IO events and acks as the WebSocket messages that carry them: encode once, send to many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from potrio.errors import LocalProtocolError
from potrio.limits import ATTACHMENTS_BYTES_MAX
from potrio.protocol.attachments import PLACEHOLDER
from potrio.protocol.engineio import EngineIOPacketType, Message
from potrio.protocol.socketio import (
    MAIN_NAMESPACE,
    SocketIOPacket,
    SocketIOPacketType,
    encode_socketio_packet,
)

__all__ = ["encode_ack", "encode_event", "encode_message"]

_T = SocketIOPacketType
_MESSAGE: Final = EngineIOPacketType.MESSAGE.value


def encode_event(
    name: str,
    payload: bytes | None = None,
    *,
    binary: bool = False,
    ack_id: int | None = None,
    args: Sequence[bytes] = (),
    attachments: Sequence[bytes] = (),
    namespace: str = MAIN_NAMESPACE,
) -> list[Message]:
    """Write an event: one text message, and the attachments behind it.

    Args:
        name: the event's name.
        payload: its only argument: JSON text, or with `binary` bytes that travel as an attachment.
        binary: send `payload` as attachment.
        ack_id: ask the peer to acknowledge the event under this id.
        args: instead of `payload`: the JSON texts of all arguments, with a placeholder
            (``{"_placeholder":true,"num":0}``) for each of `attachments`.
        attachments: what the placeholders in `args` stand for.
        namespace: where to.

    Raises:
        LocalProtocolError: the arguments contradict each other, are not JSON, or beyond a limit.
    """
    if payload is not None:
        if args or attachments:
            raise LocalProtocolError("an event has a payload or arguments, not both")
        args, attachments = ((PLACEHOLDER,), (payload,)) if binary else ((payload,), ())
    elif binary:
        raise LocalProtocolError("a binary event without payload")
    packet = SocketIOPacket(
        type=_T.BINARY_EVENT if attachments else _T.EVENT,
        namespace=namespace,
        ack_id=ack_id,
        name=name,
        args=tuple(args),
        attachment_count=len(attachments),
    )
    return _encode(packet, attachments)


def encode_ack(
    ack_id: int,
    args: Sequence[bytes] = (),
    attachments: Sequence[bytes] = (),
    *,
    namespace: str = MAIN_NAMESPACE,
) -> list[Message]:
    """Write the acknowledgement of an event; the arguments are those of `encode_event`.

    Raises:
        LocalProtocolError: the arguments contradict each other, are not JSON, or beyond a limit.
    """
    packet = SocketIOPacket(
        type=_T.BINARY_ACK if attachments else _T.ACK,
        namespace=namespace,
        ack_id=ack_id,
        args=tuple(args),
        attachment_count=len(attachments),
    )
    return _encode(packet, attachments)


def encode_message(packet: SocketIOPacket) -> str:
    """Write a packet without attachments as one Engine.IO message.

    Raises:
        LocalProtocolError: it is not a packet.
    """
    return _MESSAGE + encode_socketio_packet(packet)


def _encode(packet: SocketIOPacket, attachments: Sequence[bytes]) -> list[Message]:
    if sum(map(len, attachments)) > ATTACHMENTS_BYTES_MAX:
        raise LocalProtocolError("the attachments of one packet are too large together")
    return [_MESSAGE + encode_socketio_packet(packet), *attachments]
