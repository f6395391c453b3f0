"""The client's half of the HTTP upgrade, sans-I/O: request headers, and the judgement of the server's answer.

wsproto writes the request and checks the 101; this file decides what it may say and gives each refusal its
type. There are no redirects (a 302 is a refusal), no proxies, and no compression is ever offered (RFC 7692
bombs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request
from wsproto.utilities import ProtocolError as WsprotoError

from potrio.errors import ConfigError, UpgradeRejected
from potrio.transport.target import Target

__all__ = ["DEFAULT_HEADERS", "ClientUpgrade", "check_response", "not_a_handshake", "request_headers"]

DEFAULT_HEADERS: Final[Mapping[str, str]] = {
    "Origin": "https://pocketoption.com",
    "User-Agent": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/132.0.0.0 Safari/537.36"
    ),
}
"""What the venue's own web page sends; the venue is known to look at them."""

HANDSHAKE_HEADERS: Final = frozenset(("connection", "content-length", "host", "transfer-encoding", "upgrade"))
"""Names that belong to the handshake, besides all that start with ``sec-websocket-``."""

HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
HEADER_VALUE: Final = re.compile(r"[!-~]([ \t!-~]{0,8190}[!-~])?")
"""RFC 9110 section 5.6.2 and 5.5, visible ASCII only: neither CR nor LF can split the request."""

STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])[ \r\n]")


def request_headers(overrides: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return the headers to send besides those of the handshake: the defaults, each replaced where it is
    overridden.

    Raises:
        ConfigError: a name or value is not fit for HTTP, or belongs to the handshake. A value is never
            repeated.
    """
    headers = {name.lower(): (name, value) for name, value in DEFAULT_HEADERS.items()}
    for name, value in (overrides or {}).items():
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
            raise ConfigError("headers", f"{name!r} is not a header name")
        key = name.lower()
        if key in HANDSHAKE_HEADERS or key.startswith("sec-websocket-"):
            raise ConfigError("headers", f"{name} belongs to the WebSocket handshake and cannot be set")
        if not isinstance(value, str) or not HEADER_VALUE.fullmatch(value):
            raise ConfigError("headers", f"the value of {name} must be visible ASCII in one line")
        headers[key] = (name, value)
    return list(headers.values())


def check_response(head: bytes, target: str) -> None:
    """Return where a response head says 101.

    Raises:
        UpgradeRejected: it says something else; the text has the status and the standard's phrase for it,
            never words of the server.
    """
    found = STATUS_LINE.match(head)
    if found is None:
        raise UpgradeRejected(target, "the server's answer is not HTTP/1.1")
    status = int(found[1])
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        return
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""  # 522 and its like: a gateway's own invention
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    raise UpgradeRejected(target, f"the server answered HTTP {status}{phrase}{hint}", status)


def not_a_handshake(target: str, fault: BaseException) -> UpgradeRejected:
    """Say what is wrong with a 101; wsproto's text may quote the server, so it is shown escaped."""
    words = repr(str(fault))[1:-1]
    reason = f"the server's 101 is not a WebSocket handshake ({words})"
    return UpgradeRejected(target, reason, HTTPStatus.SWITCHING_PROTOCOLS)


class ClientUpgrade:
    """One upgrade: send ``request``, then hand the response head to `receive_head`."""

    def __init__(self, target: Target, headers: list[tuple[str, str]]) -> None:
        self._target = str(target)
        self._wsproto = WSConnection(ConnectionType.CLIENT)
        self.request: bytes = self._wsproto.send(
            Request(
                host=target.authority,
                target=target.path,
                extra_headers=[(name.encode("ascii"), value.encode("ascii")) for name, value in headers],
            )
        )

    def receive_head(self, head: bytes) -> None:
        """Check the server's answer; returning means that the connection speaks WebSocket from here on.

        Raises:
            UpgradeRejected: it does not.
        """
        check_response(head, self._target)
        try:
            self._wsproto.receive_data(head)
            events = list(self._wsproto.events())
        except (WsprotoError, UnicodeError) as error:
            # wsproto decodes some header values without a guard of its own.
            raise not_a_handshake(self._target, error) from error
        if not (len(events) == 1 and isinstance(events[0], AcceptConnection)):
            raise UpgradeRejected(
                self._target, "the server's 101 is incomplete", HTTPStatus.SWITCHING_PROTOCOLS
            )
