"""Transition tables: what is legal in which state of an Engine.IO session and of a Socket.IO namespace.

Laws of this file:

1. Every transition is a row of a table and is made by `step`. A (state, input) that is not in its table is an
   error: the peer's where the input is received, ours where it is sent.
2. The two lives are nested: a namespace (Socket.IO connection) lives inside an open Engine.IO session. What
   their owner sees is one `SessionState`, derived from both.

The diagrams at the end of this docstring are made from the tables when the module is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypeVar

from potrio.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "ENGINEIO_TRANSITIONS",
    "NAMESPACE_TRANSITIONS",
    "EngineIOInput",
    "EngineIOState",
    "NamespaceInput",
    "NamespaceState",
    "Role",
    "SessionState",
    "diagram",
    "session_state",
    "step",
]

Role: TypeAlias = Literal["client", "server"]


class SessionState(Enum):
    """The whole session as its owner sees it; the namespace meant is the main one."""

    OPENING = "opening"
    """A client waits for the Engine.IO handshake."""
    CONNECTING = "connecting"
    """Engine.IO is open, the namespace is not connected."""
    CONNECTED = "connected"
    """Connected, not authenticated; the client's turn."""
    AUTHENTICATING = "authenticating"
    """The authentication has been sent or has arrived; the server's turn."""
    READY = "ready"
    """Events flow both ways. An Engine.IO session without Socket.IO is ready once it is open."""
    CLOSED = "closed"
    """Dead: input is discarded, nothing can be sent."""


class EngineIOState(Enum):
    """Of one Engine.IO session."""

    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"


class EngineIOInput(Enum):
    """What can happen to an Engine.IO session: a packet received, a packet sent, or its end."""

    RECEIVE_OPEN = "receive OPEN"
    RECEIVE_CLOSE = "receive CLOSE"
    RECEIVE_PING = "receive PING"
    RECEIVE_PONG = "receive PONG"
    RECEIVE_MESSAGE = "receive MESSAGE"
    RECEIVE_UPGRADE = "receive UPGRADE"
    RECEIVE_NOOP = "receive NOOP"
    SEND_OPEN = "send OPEN"
    SEND_CLOSE = "send CLOSE"
    SEND_PING = "send PING"
    SEND_PONG = "send PONG"
    SEND_MESSAGE = "send MESSAGE"
    END = "end"
    """The transport ended, a deadline passed, the peer broke a rule, or we leave without a CLOSE packet."""


class NamespaceState(Enum):
    """Of one namespace of a session, on either side."""

    ABSENT = "absent"
    """Not connected: never was, was refused, or the peer left."""
    CONNECTING = "connecting"
    CONNECTED = "connected"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    LEFT = "left"
    """We sent DISCONNECT; what was under way from the peer by then is ignored."""


class NamespaceInput(Enum):
    """What can happen to a namespace. AUTH inputs are events with a meaning of their own in this protocol."""

    RECEIVE_CONNECT = "receive CONNECT"
    RECEIVE_CONNECT_ERROR = "receive CONNECT_ERROR"
    RECEIVE_DISCONNECT = "receive DISCONNECT"
    RECEIVE_EVENT = "receive EVENT"
    RECEIVE_ACK = "receive ACK"
    RECEIVE_AUTH = "receive auth"
    RECEIVE_AUTH_ACCEPTED = "receive successauth"
    RECEIVE_AUTH_REJECTED = "receive NotAuthorized"
    BUFFER_EVENT = "receive EVENT before authentication"
    SEND_CONNECT = "send CONNECT"
    SEND_CONNECT_ERROR = "send CONNECT_ERROR"
    SEND_DISCONNECT = "send DISCONNECT"
    SEND_EVENT = "send EVENT"
    SEND_ACK = "send ACK"
    SEND_AUTH = "send auth"
    SEND_AUTH_ACCEPTED = "send successauth"
    SEND_AUTH_REJECTED = "send NotAuthorized"
    WAIVE_AUTH = "no authentication required"


_E, _EI = EngineIOState, EngineIOInput
_N, _NI = NamespaceState, NamespaceInput

ENGINEIO_TRANSITIONS: Final[Mapping[Role, Mapping[tuple[EngineIOState, EngineIOInput], EngineIOState]]] = (
    MappingProxyType(
        {
            "client": MappingProxyType(
                {
                    (_E.OPENING, _EI.RECEIVE_OPEN): _E.OPEN,
                    (_E.OPENING, _EI.RECEIVE_CLOSE): _E.CLOSED,
                    (_E.OPENING, _EI.END): _E.CLOSED,
                    (_E.OPEN, _EI.RECEIVE_PING): _E.OPEN,
                    (_E.OPEN, _EI.RECEIVE_MESSAGE): _E.OPEN,
                    (_E.OPEN, _EI.RECEIVE_NOOP): _E.OPEN,
                    (_E.OPEN, _EI.RECEIVE_CLOSE): _E.CLOSED,
                    (_E.OPEN, _EI.SEND_PONG): _E.OPEN,
                    (_E.OPEN, _EI.SEND_MESSAGE): _E.OPEN,
                    (_E.OPEN, _EI.SEND_CLOSE): _E.CLOSED,
                    (_E.OPEN, _EI.END): _E.CLOSED,
                }
            ),
            "server": MappingProxyType(
                {
                    (_E.OPENING, _EI.SEND_OPEN): _E.OPEN,
                    (_E.OPEN, _EI.RECEIVE_PONG): _E.OPEN,
                    (_E.OPEN, _EI.RECEIVE_MESSAGE): _E.OPEN,
                    (_E.OPEN, _EI.RECEIVE_NOOP): _E.OPEN,
                    (_E.OPEN, _EI.RECEIVE_CLOSE): _E.CLOSED,
                    (_E.OPEN, _EI.SEND_PING): _E.OPEN,
                    (_E.OPEN, _EI.SEND_MESSAGE): _E.OPEN,
                    (_E.OPEN, _EI.SEND_CLOSE): _E.CLOSED,
                    (_E.OPEN, _EI.END): _E.CLOSED,
                }
            ),
        }
    )
)
"""An UPGRADE, and a PING to a server (``2probe``), belong to a session that began by HTTP polling: not ours."""

NAMESPACE_TRANSITIONS: Final[
    Mapping[Role, Mapping[tuple[NamespaceState, NamespaceInput], NamespaceState]]
] = MappingProxyType(
    {
        "client": MappingProxyType(
            {
                (_N.ABSENT, _NI.SEND_CONNECT): _N.CONNECTING,
                (_N.CONNECTING, _NI.RECEIVE_CONNECT): _N.CONNECTED,
                (_N.CONNECTING, _NI.RECEIVE_CONNECT_ERROR): _N.ABSENT,
                (_N.CONNECTING, _NI.RECEIVE_DISCONNECT): _N.ABSENT,
                (_N.CONNECTED, _NI.WAIVE_AUTH): _N.READY,
                (_N.CONNECTED, _NI.SEND_AUTH): _N.AUTHENTICATING,
                (_N.CONNECTED, _NI.RECEIVE_EVENT): _N.CONNECTED,  # the asset table comes before auth
                (_N.CONNECTED, _NI.RECEIVE_ACK): _N.CONNECTED,
                (_N.CONNECTED, _NI.RECEIVE_AUTH_REJECTED): _N.ABSENT,
                (_N.CONNECTED, _NI.RECEIVE_CONNECT_ERROR): _N.ABSENT,
                (_N.CONNECTED, _NI.RECEIVE_DISCONNECT): _N.ABSENT,
                (_N.CONNECTED, _NI.SEND_DISCONNECT): _N.LEFT,
                (_N.AUTHENTICATING, _NI.RECEIVE_EVENT): _N.AUTHENTICATING,
                (_N.AUTHENTICATING, _NI.RECEIVE_ACK): _N.AUTHENTICATING,
                (_N.AUTHENTICATING, _NI.RECEIVE_AUTH_ACCEPTED): _N.READY,
                (_N.AUTHENTICATING, _NI.RECEIVE_AUTH_REJECTED): _N.ABSENT,
                (_N.AUTHENTICATING, _NI.RECEIVE_CONNECT_ERROR): _N.ABSENT,
                (_N.AUTHENTICATING, _NI.RECEIVE_DISCONNECT): _N.ABSENT,
                (_N.AUTHENTICATING, _NI.SEND_DISCONNECT): _N.LEFT,
                (_N.READY, _NI.RECEIVE_EVENT): _N.READY,
                (_N.READY, _NI.RECEIVE_ACK): _N.READY,
                (_N.READY, _NI.RECEIVE_AUTH_ACCEPTED): _N.READY,  # said twice: ignored
                (_N.READY, _NI.RECEIVE_AUTH_REJECTED): _N.ABSENT,
                (_N.READY, _NI.RECEIVE_DISCONNECT): _N.ABSENT,
                (_N.READY, _NI.SEND_EVENT): _N.READY,
                (_N.READY, _NI.SEND_ACK): _N.READY,
                (_N.READY, _NI.SEND_DISCONNECT): _N.LEFT,
                (_N.LEFT, _NI.RECEIVE_EVENT): _N.LEFT,
                (_N.LEFT, _NI.RECEIVE_ACK): _N.LEFT,
                (_N.LEFT, _NI.RECEIVE_DISCONNECT): _N.LEFT,
            }
        ),
        "server": MappingProxyType(
            {
                (_N.ABSENT, _NI.RECEIVE_CONNECT): _N.CONNECTED,
                (_N.ABSENT, _NI.SEND_CONNECT_ERROR): _N.ABSENT,
                (_N.ABSENT, _NI.RECEIVE_DISCONNECT): _N.ABSENT,
                (_N.ABSENT, _NI.BUFFER_EVENT): _N.ABSENT,  # some clients resubscribe before anything else
                (_N.CONNECTED, _NI.WAIVE_AUTH): _N.READY,
                (_N.CONNECTED, _NI.RECEIVE_AUTH): _N.AUTHENTICATING,
                (_N.CONNECTED, _NI.BUFFER_EVENT): _N.CONNECTED,
                (_N.CONNECTED, _NI.RECEIVE_ACK): _N.CONNECTED,
                (_N.CONNECTED, _NI.RECEIVE_DISCONNECT): _N.ABSENT,
                (_N.CONNECTED, _NI.SEND_EVENT): _N.CONNECTED,
                (_N.CONNECTED, _NI.SEND_DISCONNECT): _N.LEFT,
                (_N.AUTHENTICATING, _NI.RECEIVE_AUTH): _N.AUTHENTICATING,  # a client that repeats itself
                (_N.AUTHENTICATING, _NI.BUFFER_EVENT): _N.AUTHENTICATING,
                (_N.AUTHENTICATING, _NI.RECEIVE_ACK): _N.AUTHENTICATING,
                (_N.AUTHENTICATING, _NI.RECEIVE_DISCONNECT): _N.ABSENT,
                (_N.AUTHENTICATING, _NI.SEND_AUTH_ACCEPTED): _N.READY,
                (_N.AUTHENTICATING, _NI.SEND_AUTH_REJECTED): _N.LEFT,
                (_N.AUTHENTICATING, _NI.SEND_EVENT): _N.AUTHENTICATING,
                (_N.AUTHENTICATING, _NI.SEND_DISCONNECT): _N.LEFT,
                (_N.READY, _NI.RECEIVE_EVENT): _N.READY,
                (_N.READY, _NI.RECEIVE_AUTH): _N.READY,
                (_N.READY, _NI.RECEIVE_ACK): _N.READY,
                (_N.READY, _NI.RECEIVE_DISCONNECT): _N.ABSENT,
                (_N.READY, _NI.SEND_EVENT): _N.READY,
                (_N.READY, _NI.SEND_ACK): _N.READY,
                (_N.READY, _NI.SEND_DISCONNECT): _N.LEFT,
                (_N.LEFT, _NI.RECEIVE_CONNECT): _N.CONNECTED,
                (_N.LEFT, _NI.RECEIVE_EVENT): _N.LEFT,
                (_N.LEFT, _NI.RECEIVE_ACK): _N.LEFT,
                (_N.LEFT, _NI.RECEIVE_DISCONNECT): _N.LEFT,
            }
        ),
    }
)


def session_state(engine: EngineIOState, namespace: NamespaceState) -> SessionState:
    """Derive what the owner of a Socket.IO session sees."""
    if engine is _E.CLOSED:
        return SessionState.CLOSED
    if engine is _E.OPENING:
        return SessionState.OPENING
    match namespace:
        case _N.ABSENT | _N.CONNECTING | _N.LEFT:
            return SessionState.CONNECTING
        case _N.CONNECTED:
            return SessionState.CONNECTED
        case _N.AUTHENTICATING:
            return SessionState.AUTHENTICATING
        case _N.READY:
            return SessionState.READY


_S = TypeVar("_S", bound=Enum)
_I = TypeVar("_I", bound=Enum)


def step(table: Mapping[tuple[_S, _I], _S], state: _S, input_: _I) -> _S:
    """Return the state that follows.

    Raises:
        RemoteProtocolError: the peer sent what is not legal in this state.
        LocalProtocolError: we were about to.
    """
    after = table.get((state, input_))
    if after is not None:
        return after
    reason = f"cannot {input_.value} in state {state.name}"
    if input_.name.startswith(("RECEIVE_", "BUFFER_")):
        raise RemoteProtocolError(reason)
    raise LocalProtocolError(reason)


def diagram(table: Mapping[tuple[_S, _I], _S]) -> str:
    """Draw a transition table in Mermaid's notation, one line per pair of states."""
    arrows: dict[tuple[_S, _S], list[str]] = {}
    for (before, input_), after in table.items():
        arrows.setdefault((before, after), []).append(str(input_.value))
    lines = [
        f"    {before.name} --> {after.name}: {', '.join(inputs)}"
        for (before, after), inputs in arrows.items()
    ]
    return "\n".join(["stateDiagram-v2", *lines])


_DRAWN: Final = [
    *(f"Engine.IO session, {role}:\n\n{diagram(table)}" for role, table in ENGINEIO_TRANSITIONS.items()),
    *(f"Namespace, {role}:\n\n{diagram(table)}" for role, table in NAMESPACE_TRANSITIONS.items()),
]
__doc__ = "\n\n".join([(__doc__ or "").rstrip(), *_DRAWN])  # no docstrings under python -OO
