"""Through a proxy: HTTP CONNECT and SOCKS5, up to the point where the stream behaves as if it led to the venue itself.

The proxy is given the venue's name and looks it up; TLS with the venue runs inside the tunnel, so that a proxy sees
neither the token nor anything else. User name and password are secrets as the SSID is. Proxies of the environment are
never used: only one that was named. There is no TLS to the proxy itself.
"""

from __future__ import annotations

import base64
import re
from types import ModuleType
from typing import Literal
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

import h11
import trio
from msgspec import Struct

from potrio.errors import ConfigError, ProxyFailed
from potrio.limits import HTTP_HEAD_MAX
from potrio.secrets import Secret, redact_error
from potrio.transport.target import Target, is_loopback

__all__ = ["Proxy", "parse_proxy", "start_tunnel"]

HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
CREDENTIAL_BYTES_MAX = 255
"""RFC 1929 section 2: one byte says how long a name or password is."""

READ_BYTES = 4096
SOCKS_VERSION, NO_LOGIN, LOGIN = 5, 0, 2
"""RFC 1928 section 3."""


class Proxy(Struct, frozen=True, kw_only=True):
    """A checked proxy. ``str`` shows kind, host and port."""

    kind: Literal["http", "socks5"]
    host: str
    port: int
    username: Secret | None = None
    password: Secret | None = None

    @property
    def authority(self) -> str:
        """Host and port, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.kind}://{self.authority}"

    __repr__ = __str__


def parse_proxy(url: str | Secret) -> Proxy:
    """Read a proxy's URL: ``http://[user:password@]host:port`` or ``socks5://...``; ``socks5h`` means the same.

    Raises:
        ConfigError: it cannot be used; the text repeats nothing of it. ``proxy`` is its path.
    """
    if not isinstance(url, str | Secret):
        raise ConfigError("proxy", f"must be a URL, not {type(url).__name__}")
    fault, proxy = _read(url if isinstance(url, Secret) else Secret(url))
    del url  # a traceback that shows local values must not show it
    if proxy is None:
        raise ConfigError("proxy", fault)
    if proxy.kind == "socks5":
        _socksio()
    return proxy


def _read(url: Secret) -> tuple[str, Proxy | None]:
    """Take the URL apart; faults are values here, so that no traceback holds what was read."""
    try:
        parts = urlsplit(url.reveal())
        port, host = parts.port, parts.hostname
    except ValueError:
        return "the URL is malformed: http://user:password@host:port is wanted", None
    if parts.scheme not in ("http", "socks5", "socks5h"):
        return "the scheme must be http or socks5", None
    if not host or not HOST.fullmatch(host):
        return "the host is missing, or is none", None
    if not port:
        return "the port is missing: proxies have no usual one", None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return "a path, query or fragment has no place in it", None
    try:
        username, password = _credentials(parts)
    except ValueError as error:
        return str(error), None
    kind: Literal["http", "socks5"] = "http" if parts.scheme == "http" else "socks5"
    return "", Proxy(kind=kind, host=host, port=port, username=username, password=password)


def _credentials(parts: SplitResult) -> tuple[Secret | None, Secret | None]:
    if parts.username is None:
        return None, None
    found = []
    for text in (parts.username, parts.password or ""):
        raw = unquote_to_bytes(text)
        if len(raw) > CREDENTIAL_BYTES_MAX:
            raise ValueError(f"user name and password have at most {CREDENTIAL_BYTES_MAX} bytes each")
        found.append(Secret(raw.decode("latin-1")))
    if not found[0]:
        raise ValueError("the user name is empty")
    return found[0], found[1]


async def start_tunnel(stream: trio.abc.Stream, proxy: Proxy, target: Target) -> None:
    """Ask a proxy, to which ``stream`` leads, for a tunnel to the target; when this returns, the stream is that tunnel.

    Waits for the proxy without a limit of its own. Cancelling leaves the stream open: the caller closes it.

    Raises:
        ProxyFailed: it refuses, closes the connection, or does not speak its protocol.
        ConfigError: a token could be read on the way: unverified, or ``ws://``, through a proxy on another machine.
    """
    if target.loopback_only and not is_loopback(proxy.host):
        way = "without verification" if target.tls else "ws://"
        raise ConfigError(
            "proxy", f"{way} is for this machine only, and the proxy is on another: use wss://, verified"
        )
    try:
        if proxy.kind == "http":
            fault = await _http_connect(stream, proxy, target)
        else:
            fault = await _socks5(stream, proxy, target)
    except trio.BrokenResourceError as error:
        fault = f"the connection was lost: {error.__cause__ or type(error).__name__}"
    except BaseException as error:
        redact_error(error, *(secret for secret in (proxy.username, proxy.password) if secret))
        raise
    if fault:
        raise ProxyFailed(str(target), f"{proxy}: {fault}")


# --- HTTP CONNECT (RFC 9110 section 9.3.6) ---------------------------------------------------------------------------


def _connect_head(proxy: Proxy, target: Target) -> h11.Request:
    host = f"[{target.host}]" if ":" in target.host else target.host
    authority = f"{host}:{target.port}".encode("ascii")
    headers = [(b"Host", authority)]
    if proxy.username is not None and proxy.password is not None:
        pair = f"{proxy.username.reveal()}:{proxy.password.reveal()}".encode("latin-1")
        headers.append((b"Proxy-Authorization", b"Basic " + base64.b64encode(pair)))
    return h11.Request(method=b"CONNECT", target=authority, headers=headers)


async def _http_connect(stream: trio.abc.Stream, proxy: Proxy, target: Target) -> str:
    """Returns what is wrong; an empty text: nothing."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HTTP_HEAD_MAX)
    await stream.send_all(http.send(_connect_head(proxy, target)) + http.send(h11.EndOfMessage()))
    received = 0
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError:
            return "it does not answer in HTTP"
        if isinstance(event, h11.Response):
            break
        if event is h11.NEED_DATA:
            data = await stream.receive_some(READ_BYTES)
            if not data:
                return "it closed the connection before it answered"
            received += len(data)
            if received > HTTP_HEAD_MAX:
                return f"its answer is longer than {HTTP_HEAD_MAX} bytes"
            http.receive_data(bytes(data))
    match event.status_code:
        case status if 200 <= status < 300:
            # We speak first, whatever is inside the tunnel: what is here already is not the venue's.
            return "it sent more than its answer" if http.trailing_data[0] else ""
        case 407 if proxy.username is None:
            return "it wants a user name and a password (407)"
        case 407:
            return "it does not accept the user name and password (407)"
        case status:
            return f"it refused with HTTP {status}"


# --- SOCKS5 (RFC 1928, RFC 1929) -------------------------------------------------------------------------------------


def _socks5_requests(proxy: Proxy, target: Target) -> tuple[bytes, bytes, bytes]:
    """What we say: the ways to log in, the login (empty: none), and where to.

    Raises:
        ConfigError: the extra is not installed.
    """
    socks5 = _socksio()
    methods = [socks5.SOCKS5AuthMethod.NO_AUTH_REQUIRED]
    login = b""
    if proxy.username is not None and proxy.password is not None:
        methods.append(socks5.SOCKS5AuthMethod.USERNAME_PASSWORD)
        pair = (secret.reveal().encode("latin-1") for secret in (proxy.username, proxy.password))
        login = socks5.SOCKS5UsernamePasswordRequest(*pair).dumps()
    command = socks5.SOCKS5CommandRequest.from_address(
        socks5.SOCKS5Command.CONNECT, (target.host, target.port)
    )
    return socks5.SOCKS5AuthMethodsRequest(methods).dumps(), login, command.dumps()


async def _socks5(stream: trio.abc.Stream, proxy: Proxy, target: Target) -> str:
    """Returns what is wrong; an empty text: nothing."""
    methods, login, command = _socks5_requests(proxy, target)
    await stream.send_all(methods)
    answer = await _receive(stream, 2)
    if answer is None:
        return "it closed the connection before it answered"
    version, method = answer
    if version != SOCKS_VERSION:
        return "it does not answer in SOCKS5"
    if method == LOGIN and login:
        await stream.send_all(login)
        answer = await _receive(stream, 2)
        if answer is None:
            return "it closed the connection at the login"
        if answer[1] != 0:
            return "it does not accept the user name and password"
    elif method != NO_LOGIN:
        return "it offers no way to log in that we know" if login else "it wants a user name and a password"
    await stream.send_all(command)
    return await _socks5_reply(stream)


REPLIES = {
    1: "it failed",
    2: "its rules do not allow this connection",
    3: "it cannot reach the network",
    4: "it cannot reach the host",
    5: "the host refused its connection",
    6: "its packets lived too long",
    7: "it does not know the command",
    8: "it does not know the kind of address",
}
"""RFC 1928 section 6."""


async def _socks5_reply(stream: trio.abc.Stream) -> str:
    """Read the reply to the command, byte for byte: what follows it belongs to the tunnel."""
    head = await _receive(stream, 4)
    if head is None:
        return "it closed the connection before it had connected"
    version, reply, _, kind = head
    if version != SOCKS_VERSION:
        return "it does not answer in SOCKS5"
    if reply != 0:
        return REPLIES.get(reply, f"it failed with code {reply}")
    if kind == 3:
        length = await _receive(stream, 1)
        rest = None if length is None else length[0] + 2
    else:
        rest = {1: 6, 4: 18}.get(kind)
    if rest is None:
        return "it does not answer in SOCKS5"
    return "" if await _receive(stream, rest) is not None else "it closed the connection within its answer"


async def _receive(stream: trio.abc.Stream, count: int) -> bytes | None:
    """Exactly so many bytes; None: the peer closed before."""
    data = b""
    while len(data) < count:
        chunk = await stream.receive_some(count - len(data))
        if not chunk:
            return None
        data += bytes(chunk)
    return data


def _socksio() -> ModuleType:
    """The library behind the extra ``proxy``: imported where a SOCKS proxy is used, and only there.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from socksio import socks5
    except ImportError:
        raise ConfigError("proxy", "SOCKS5 needs an extra: pip install 'potrio[proxy]'") from None
    return socks5
