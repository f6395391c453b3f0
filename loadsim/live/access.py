"""Who may look at a run, and who may end it: address, token, Host and Origin, decided without any I/O.

A page on the Internet can make a browser send requests to this machine. It cannot know the token; and where there is
none (on loopback) it cannot make the browser send another Host than its own name, nor another Origin when it posts.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

import msgspec

from potrio.errors import ConfigError
from potrio.secrets import Secret
from potrio.transport.target import is_loopback

__all__ = ["Access", "parse_address"]

DEFAULT_HOST = "127.0.0.1"
LOCAL_NAMES = ("localhost",)


def parse_address(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT``, ``HOST``, ``:PORT`` or ``[::1]:PORT``; what is missing is loopback, or the system's choice.

    Raises:
        ConfigError: it is none of these.
    """
    host, port = split_port(text.strip())
    if port is None or not 0 <= port <= 65_535 or any(letter in host for letter in "/@ \\#?"):
        raise ConfigError("dashboard", f"is an address like 127.0.0.1:8089, not {text!r}")
    return host or DEFAULT_HOST, port


def split_port(text: str) -> tuple[str, int | None]:
    """Host and port of an address; port 0 where it has none, None where it is no number."""
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, "0"
    elif ":" in host and not host.startswith("["):
        host, port = text, "0"  # an IPv6 address without brackets has no port
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else None


class Access(msgspec.Struct, frozen=True):
    """The rules of one dashboard. Without a token it must be on loopback.

    Attributes:
        host: the address it listens on.
        token: part of every path; None on loopback.
    """

    host: str
    token: Secret | None = None

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ConfigError("dashboard", "an address that others can reach needs a token")

    @property
    def base(self) -> str:
        """What every path begins with."""
        return "/" if self.token is None else f"/{self.token.reveal()}/"

    def place(self, path: str) -> str | None:
        """What a path asks for, without the token; None: it has not got the right one."""
        if self.token is None:
            return path.removeprefix("/")
        given, slash, rest = path.removeprefix("/").partition("/")
        right = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.reveal().encode())
        return rest if right and slash else None

    def knows_host(self, header: str | None) -> bool:
        """Is this a Host that leads here by itself, and not a stranger's name that was made to lead here?"""
        if not header:
            return False
        host = split_port(header)[0].lower()
        if host in LOCAL_NAMES or host == self.host.lower():
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return self.token is not None or address.is_loopback

    def may_stop(self, origin: str | None, host: str | None) -> bool:
        """May who comes from this Origin end the run? Browsers always say where a POST comes from."""
        if origin is None:
            return self.token is not None
        found = urlsplit(origin)
        return (
            found.scheme in ("http", "https") and bool(host) and found.netloc.lower() == (host or "").lower()
        )
