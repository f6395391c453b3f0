"""Session events: what a session tells its owner, as frozen values."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

from potrio.errors import PotrioError
from potrio.protocol.engineio import Handshake, Message

__all__ = [
    "AckReceived",
    "AuthRequested",
    "Authenticated",
    "Closed",
    "ConnectErrorReceived",
    "Connected",
    "Disconnected",
    "EventReceived",
    "EventRun",
    "MessageReceived",
    "Opened",
    "SessionEvent",
]


class _Elided(Struct, frozen=True):
    """Shows payloads by their size: they may hold a session token, and logs are read more than code."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, _elide(getattr(self, name))) for name in self.__struct_fields__]


class _Size(str):
    """Text that shows itself without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _elide(value: object) -> object:
    match value:
        case bytes():
            return _Size(f"<{len(value)} bytes>")
        case tuple() if value and isinstance(value[0], bytes):
            return _Size(f"<{len(value)} of {sum(map(len, value))} bytes>")
        case _:
            return value


class Opened(_Elided, frozen=True):
    """Engine.IO is open (client). `handshake` holds the server's figures."""

    handshake: Handshake


class Connected(_Elided, frozen=True):
    """The Socket.IO CONNECT of a namespace is done (both roles).

    `payload` is the JSON object that came with the CONNECT packet; None where there was none.
    """

    namespace: str
    sid: str
    payload: bytes | None = None


class ConnectErrorReceived(_Elided, frozen=True):
    """The server refused a namespace (client, where no authentication is required); `payload` is its JSON."""

    namespace: str
    payload: bytes | None = None


class AuthRequested(_Elided, frozen=True):
    """The client asks to be authenticated (server): answer with ``accept_auth()`` or ``reject_auth()``.

    `payload` is the JSON of the event ``auth``. It holds the session token and is shown by its size only.
    """

    payload: bytes


class Authenticated(_Elided, frozen=True):
    """The server accepted the authentication (client); `payload` is that of ``successauth``, b"" for none."""

    payload: bytes


class EventReceived(_Elided, frozen=True, gc=False):
    """A Socket.IO event.

    Attributes:
        name: the event's name.
        payload: the first argument: its JSON text, or, where it is a placeholder, the bytes of the
            attachment; b"" where there is no argument.
        namespace: where it was sent to.
        ack_id: set where the sender waits for an acknowledgement: answer with ``send_ack``.
        binary: True where `payload` is an attachment.
        args: the JSON text of every argument, placeholders left as they are.
        attachments: the binary attachments; number ``num`` of a placeholder is an index into them.
    """

    name: str
    payload: bytes = b""
    namespace: str = "/"
    ack_id: int | None = None
    binary: bool = False
    args: tuple[bytes, ...] = ()
    attachments: tuple[bytes, ...] = ()


class EventRun(_Elided, frozen=True, gc=False):
    """Several `EventReceived` in a row that differ in their attachment only, told as one: a read that brought many.

    Attributes:
        name: the name of each.
        payloads: their attachments, in order; two at least.
        joined: the same bytes with a comma between each two, for who decodes them in one call.
        args: of each, as in `EventReceived`.
    """

    name: str
    payloads: tuple[bytes, ...]
    joined: bytes
    args: tuple[bytes, ...]

    def events(self) -> list[EventReceived]:
        """What this stands for."""
        name, args = self.name, self.args
        return [EventReceived(name, payload, "/", None, True, args, (payload,)) for payload in self.payloads]


class AckReceived(_Elided, frozen=True, gc=False):
    """The acknowledgement of an event sent with `ack_id`; `args`, `attachments` as in `EventReceived`."""

    ack_id: int
    args: tuple[bytes, ...] = ()
    attachments: tuple[bytes, ...] = ()
    namespace: str = "/"


class Disconnected(_Elided, frozen=True):
    """The peer left a namespace; the session itself lives on."""

    namespace: str


class MessageReceived(_Elided, frozen=True, gc=False):
    """An Engine.IO message, in a session that has no Socket.IO on top of it."""

    data: Message

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        unit = "chars" if isinstance(self.data, str) else "bytes"
        return [("data", _Size(f"<{len(self.data)} {unit}>"))]


class Closed(_Elided, frozen=True):
    """The last event of a session, given exactly once.

    `error` is None for an end that was asked for: by us, or on a server by the client taking its leave.
    Otherwise it says whose fault it was: `RemoteProtocolError`, `HeartbeatMissed`, `ConnectionBroken`; on a
    client that was not ready yet always a `ConnectError` (mostly `HandshakeFailed`) or `AuthError`.
    """

    error: PotrioError | None = None


SessionEvent: TypeAlias = (
    Opened
    | Connected
    | ConnectErrorReceived
    | AuthRequested
    | Authenticated
    | EventReceived
    | EventRun
    | AckReceived
    | Disconnected
    | MessageReceived
    | Closed
)
