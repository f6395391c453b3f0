"""The wire, sans-I/O: values, codecs and sessions that know no socket, no clock and no chance."""

from potrio.protocol.client_session import ClientSession
from potrio.protocol.engineio import Handshake, Message
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import (
    AckReceived,
    Authenticated,
    AuthRequested,
    Closed,
    Connected,
    ConnectErrorReceived,
    Disconnected,
    EventReceived,
    EventRun,
    MessageReceived,
    Opened,
    SessionEvent,
)
from potrio.protocol.server_session import ServerSession
from potrio.protocol.state import SessionState

__all__ = [
    "AckReceived",
    "AuthRequested",
    "Authenticated",
    "ClientSession",
    "Closed",
    "ConnectErrorReceived",
    "Connected",
    "Disconnected",
    "EngineIOSession",
    "EventReceived",
    "EventRun",
    "Handshake",
    "Message",
    "MessageReceived",
    "Opened",
    "ServerSession",
    "SessionEvent",
    "SessionState",
]
