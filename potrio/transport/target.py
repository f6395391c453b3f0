"""Where to connect: a WebSocket URL, checked part by part so that a bad one is named by its fault.

A token leaves this machine only to a peer whose certificate and name were verified: ``ws://`` elsewhere is no target,
and with an `ssl.SSLContext` that does not verify, `trusted` lets loopback alone be one.
"""

from __future__ import annotations

import re
import ssl
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct, structs

from potrio.errors import ConfigError

__all__ = ["Target", "is_loopback", "parse_target", "trusted"]

HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?"
)
LABEL_CHARS_MAX = 63
"""RFC 1035 section 2.3.4. Underscores are not allowed there but are met in life."""

URL_CHARS = re.compile(r"[^\x00-\x20\x7f]+")
PATH_CHARS = re.compile(r"[!-~]+")


class Target(Struct, frozen=True, kw_only=True):
    """A checked URL. ``str`` shows scheme, host and port only: paths and queries stay out of texts and logs.

    Attributes:
        loopback_only: whatever its name resolves to has to be this machine: nobody verifies who answers.
    """

    tls: bool
    host: str
    port: int
    path: str
    loopback_only: bool

    @property
    def authority(self) -> str:
        """Host and port as the ``Host`` header wants them: brackets for IPv6, no port where it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self.tls else 'ws'}://{host}:{self.port}"


def parse_target(url: str) -> Target:
    """Check a URL and take it apart.

    Args:
        url: ``wss://host[:port][/path][?query]``, or ``ws://`` on this machine.

    Raises:
        ConfigError: the URL cannot be used; the text names scheme, host, port or path and repeats no query.
    """
    if not isinstance(url, str) or not url:
        raise ConfigError(
            "url", "a WebSocket URL is needed, such as wss://host/socket.io/?EIO=4&transport=websocket"
        )
    if not URL_CHARS.fullmatch(url):
        raise ConfigError("url", "there is a space or a control character in it")
    # urlsplit's own words quote the URL, user name and password included: they are not passed on.
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError("url", "the host is malformed") from None
    try:
        port = parts.port
    except ValueError:
        raise ConfigError("url", "the port must be a number from 1 to 65535") from None
    if parts.scheme not in ("ws", "wss"):
        raise ConfigError(
            "url", f"the scheme must be wss (or ws on this machine), not {parts.scheme or 'nothing'!r}"
        )
    tls = parts.scheme == "wss"
    if "@" in parts.netloc:
        raise ConfigError("url", "a user name or password has no place in it")
    if parts.fragment or url.endswith("#"):
        raise ConfigError("url", "a fragment (#) has no place in it")
    if port == 0:
        raise ConfigError("url", "the port must be a number from 1 to 65535")
    host = _checked_host(parts)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not PATH_CHARS.fullmatch(path):
        raise ConfigError("url", "the path must be ASCII: percent-encode it")
    if not (tls or is_loopback(host)):
        raise ConfigError(
            "url", f"ws:// would send the token readable to {host}: it is for this machine only, use wss://"
        )
    return Target(
        tls=tls,
        host=host,
        port=port if port is not None else (443 if tls else 80),
        path=path,
        loopback_only=not tls,
    )


def trusted(target: Target, context: ssl.SSLContext | None, *, allow_insecure: bool = False) -> Target:
    """A target as it may be reached with these certificates; None: the default context, which verifies.

    Args:
        target: where to.
        context: of the caller; it may trust whom it likes, as long as it verifies.
        allow_insecure: on this machine it need not (a server under test, with a certificate of its own making).

    Raises:
        ConfigError: it does not verify certificate and host name, and the token would go to who knows whom.
    """
    if not target.tls or context is None:
        return target
    if context.verify_mode is not ssl.CERT_NONE and context.check_hostname:
        return target
    if not is_loopback(target.host):
        raise ConfigError(
            "ssl_context",
            f"does not verify that it is {target.host} who answers: trust its certificate with ca_file instead",
        )
    if not allow_insecure:
        raise ConfigError(
            "ssl_context",
            "does not verify who answers: use ca_file, or, on this machine only, set allow_insecure=True",
        )
    return structs.replace(target, loopback_only=True)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by name or address; what a name resolves to is another matter."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def _checked_host(parts: SplitResult) -> str:
    """Return the host in lower case and in ASCII, without brackets."""
    host = parts.hostname
    if not host:
        raise ConfigError("url", "the host is missing")
    if "[" in parts.netloc:
        if "%" in host:
            raise ConfigError("url", "the host has a zone (%): link-local addresses are not supported")
        try:
            address = IPv6Address(host)
        except ValueError:
            address = None
        if address is None or not re.fullmatch(r"\[[^][]*\](:\d*)?", parts.netloc):
            raise ConfigError("url", "what is in the brackets of the host must be an IPv6 address")
        return str(address)
    try:
        ascii_host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        raise ConfigError("url", f"the host {host!r} is not a host name") from None
    labels = ascii_host.rstrip(".").split(".")
    if not HOST_NAME.fullmatch(ascii_host) or any(len(label) > LABEL_CHARS_MAX for label in labels):
        raise ConfigError("url", f"the host {host!r} is not a host name")
    return ascii_host
