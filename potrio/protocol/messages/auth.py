"""Logging in: the auth request, its acceptance, its refusal, and the application's own keep-alive."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from potrio.protocol.json_guard import check_depth
from potrio.protocol.messages.base import Flag, Integer, Message, Text, check_money, normalise_flag
from potrio.protocol.messages.wire import Event, bare, shown, structured
from potrio.secrets import Secret

__all__ = [
    "CLIENT_EVENTS",
    "SERVER_EVENTS",
    "AuthAccepted",
    "AuthRequest",
    "NotAuthorized",
    "PingServer",
    "Ps",
]


class AuthRequest(Message, frozen=True, kw_only=True):
    """Client: ``auth``. A user logs in with ``session``, a guest with ``token`` and ``balance``.

    For a venue to read. A client sends the text of its `Ssid` byte for byte instead of building one of these.
    """

    session: Secret | None = None
    session_token: Secret | None = None
    token: Secret | None = None
    is_demo: Flag | None = None
    uid: Integer | Text | None = None
    platform: Integer | None = None
    is_fast_history: bool | None = None
    is_optimized: bool | None = None
    current_url: Text | None = None
    balance: Decimal | None = None

    def __post_init__(self) -> None:
        normalise_flag(self, "is_demo")
        check_money(self.balance)
        if self.credential is None:
            raise ValueError("one of session, sessionToken and token is needed")

    @property
    def credential(self) -> Secret | None:
        """What identifies the user: the session under either of its names, or a guest's token."""
        return self.session or self.session_token or self.token

    @property
    def is_guest(self) -> bool:
        """Whether this is an anonymous "try demo" login."""
        return self.session is None and self.session_token is None

    @property
    def user_id(self) -> int | None:
        """The uid as a number, also where it came as a string; None where there is none or it is not a number."""
        if isinstance(self.uid, str):
            return int(self.uid) if self.uid.isascii() and self.uid.isdigit() and len(self.uid) < 19 else None
        return self.uid


class AuthAccepted(Message, frozen=True, kw_only=True):
    """Server: ``successauth``. Live servers send ``server_name``, demo servers ``id``; a venue sends both."""

    id: Text | None = None
    server_name: Text | None = None


class NotAuthorized(Message, frozen=True):
    """Server: ``NotAuthorized``: the session is not accepted. Always a text event, followed by ``41`` and a close."""


class Ps(Message, frozen=True):
    """Client: ``ps``, every 20 s; a connection that never sends it is closed after 180 s. There is no answer."""


class PingServer(Message, frozen=True):
    """Client: ``ping-server``: another spelling of ``ps``, seen in forks."""


# --- wire ------------------------------------------------------------------------------------------------------------


def _secret_in(target: type, value: Any) -> Secret:
    if target is not Secret or not isinstance(value, str):
        raise ValueError("a session is a string")
    return Secret(value)


def _secret_out(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


_DECODE_AUTH: Final = msgspec.json.Decoder(AuthRequest, dec_hook=_secret_in).decode
_ENCODE_AUTH: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=_secret_out).encode


def _decode_auth(payload: bytes) -> Message:
    check_depth(payload)
    return shown(_DECODE_AUTH(payload), payload)


CLIENT_EVENTS: Final = (
    Event(AuthRequest, ("auth",), _decode_auth, _ENCODE_AUTH),
    bare(Ps, "ps"),
    bare(PingServer, "ping-server"),
)

SERVER_EVENTS: Final = (
    structured(AuthAccepted, "successauth", optional=True),
    bare(NotAuthorized, "NotAuthorized", "notAuthorized", "auth_error"),
)
