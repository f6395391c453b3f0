"""From a URL to an open transport, in stages (dns, tcp, proxy, tls, http), each with its error.

`dial` is an async context manager for every kind of transport, because trio-websocket needs a task of its own, which
must have an owner. The connection is closed when the block is left, however it is left. There is no timeout in here:
the caller bounds all stages together and may name the one under way, of which ``on_stage`` tells::

    with trio.move_on_after(HANDSHAKE_TIMEOUT) as scope:
        async with dial(url, on_stage=stages.append) as transport:
            ...                       # Engine.IO, Socket.IO, authentication
            scope.deadline = math.inf  # connected: the block goes on without a deadline

Certificates and host names are always verified; an `ssl.SSLContext` that does not is refused, but for this machine when
the caller says so.
Redirects are not followed, proxies of the environment are not used, compression is not offered. Through a proxy that
was named, dns and tcp lead to the proxy: they are parts of the stage "proxy", and the venue's name is the proxy's to
look up.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import get_args

import trio

from potrio.errors import (
    ConfigError,
    ConnectionBroken,
    ConnectRefused,
    NameNotResolved,
    ProxyFailed,
    RemoteProtocolError,
    TlsFailed,
    UpgradeRejected,
)
from potrio.limits import CLIENT_MESSAGE_MAX, FRAGMENTS_MAX, TCP_ATTEMPT_TIMEOUT
from potrio.protocol.websocket import WebSocketCodec
from potrio.seam import REAL, Seam
from potrio.transport.base import Transport, TransportKind
from potrio.transport.failure_words import failure_words
from potrio.transport.framed import FramedTransport
from potrio.transport.http_head import HeadBuffer, receive_head
from potrio.transport.proxy import Proxy, start_tunnel
from potrio.transport.target import Target, is_loopback, parse_target, trusted
from potrio.transport.upgrade import ClientUpgrade, request_headers

__all__ = ["default_ssl_context", "dial", "open_stream"]


@asynccontextmanager
async def dial(
    url: str,
    *,
    seam: Seam = REAL,
    kind: TransportKind = "framed",
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    allow_insecure: bool = False,
    proxy: Proxy | None = None,
    on_stage: Callable[[str], None] | None = None,
    message_max: int = CLIENT_MESSAGE_MAX,
    fragments_max: int = FRAGMENTS_MAX,
) -> AsyncIterator[Transport]:
    """Connect to a WebSocket server.

    Args:
        url: ``wss://`` anywhere, ``ws://`` on this machine.
        seam: the door to the network.
        kind: who speaks WebSocket on the connection; DNS, TCP and TLS are the same code for all.
        headers: request headers besides those of the handshake; they replace the defaults of the same name.
        ssl_context: replaces `default_ssl_context`; it has to verify certificates and host names as that does.
        allow_insecure: on this machine it need not.
        proxy: connect through it.
        on_stage: called with ``"dns"``, ``"tcp"``, ``"proxy"``, ``"tls"``, ``"http"`` as each stage starts.
        message_max: bytes in one message of the server.
        fragments_max: frames in one message of the server; kind "trio-websocket" keeps the default.

    Yields:
        The open transport; it is closed when the block ends.

    Raises:
        ConfigError: url, headers, kind or context cannot be used; nothing was sent.
        NameNotResolved, ConnectRefused, ProxyFailed, TlsFailed, UpgradeRejected: that stage failed; the connection is
            closed.

    Waits for the network without a limit of its own. Cancelling closes what was open.
    """
    if kind not in get_args(TransportKind):
        raise ConfigError("transport", f"must be one of {', '.join(get_args(TransportKind))}, not {kind!r}")
    target = trusted(parse_target(url), ssl_context, allow_insecure=allow_insecure)
    extra = request_headers(headers)
    stream = await open_stream(target, seam=seam, ssl_context=ssl_context, proxy=proxy, on_stage=on_stage)
    opening: AbstractAsyncContextManager[Transport]
    if kind == "framed":
        opening = _open_framed(stream, target, extra, seam, message_max, fragments_max, on_stage)
    else:
        # Only here: to import it costs a tenth of `import potrio`, and most never need it.
        from potrio.transport.trio_ws import open_trio_websocket

        opening = open_trio_websocket(
            stream, target, extra, seam=seam, message_max=message_max, on_stage=on_stage
        )
    async with opening as transport:
        yield transport


def default_ssl_context(authorities: str | None = None) -> ssl.SSLContext:
    """Return a context that verifies certificate and host name, with TLS 1.2 or later.

    Loading the system's certificates takes some 30 ms: whoever connects often makes one and hands it to `dial`.

    Args:
        authorities: certificates in PEM to trust in the place of the system's.

    Raises:
        ssl.SSLError, ValueError: there is no certificate among them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def open_stream(
    target: Target,
    *,
    seam: Seam = REAL,
    ssl_context: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> trio.abc.Stream:
    """Go through dns, tcp (or proxy) and tls: all that comes before the first byte of HTTP.

    Raises:
        ConfigError: the name of this machine leads to another one.
        NameNotResolved, ConnectRefused, ProxyFailed, TlsFailed: that stage failed; nothing is left open.

    Waits for the network. Cancelling closes what was open.
    """
    if proxy is not None:
        _tell(on_stage, "proxy")
        stream = await _connect_proxy(target, proxy, seam)
    else:
        _tell(on_stage, "dns")
        addresses = await _resolve(target, seam)
        _tell(on_stage, "tcp")
        stream = await _connect(target, addresses, seam)
    if not target.tls:
        return stream
    try:
        _tell(on_stage, "tls")
        return await _start_tls(target, stream, ssl_context or default_ssl_context(), seam)
    except BaseException:
        await _close(stream)
        raise


# --- the stages ----------------------------------------------------------------------------------------------


async def _resolve(target: Target, seam: Seam) -> list[tuple[int, tuple[str | int, ...]]]:
    try:
        addresses = await seam.resolve(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise NameNotResolved(str(target), failure_words(error)) from error
    if not addresses:
        raise NameNotResolved(str(target), "the name has no address")
    if target.loopback_only:
        for _, address in addresses:
            if not is_loopback(str(address[0])):
                way = "without verification" if target.tls else "ws://"
                raise ConfigError(
                    "url", f"{way} is for this machine only, and {target.host} is not this machine"
                )
    return addresses


async def _connect(
    target: Target, addresses: list[tuple[int, tuple[str | int, ...]]], seam: Seam
) -> trio.abc.Stream:
    """Try each address in turn; the last one has all the time there is."""
    failures: list[OSError] = []
    for number, (family, address) in enumerate(addresses, 1):
        patience = TCP_ATTEMPT_TIMEOUT if number < len(addresses) else math.inf
        try:
            with trio.move_on_after(patience):
                return await seam.connect_tcp(family, address)
            failures.append(TimeoutError(f"no answer within {patience:g} s"))
        except OSError as error:
            failures.append(error)
    reason = "; ".join(dict.fromkeys(failure_words(failure) for failure in failures))
    cause = (
        failures[0] if len(failures) == 1 else ExceptionGroup("no address could be connected to", failures)
    )
    raise ConnectRefused(str(target), reason) from cause


async def _connect_proxy(target: Target, proxy: Proxy, seam: Seam) -> trio.abc.Stream:
    """Open a tunnel through the proxy."""
    try:
        addresses = await seam.resolve(proxy.host, proxy.port)
    except (OSError, UnicodeError) as error:
        raise ProxyFailed(str(target), f"{proxy}: {failure_words(error)}") from error
    try:
        stream = await _connect(target, addresses, seam)
    except ConnectRefused as error:
        raise ProxyFailed(str(target), f"{proxy}: {error.reason}") from error.__cause__
    try:
        await start_tunnel(stream, proxy, target)
    except BaseException:
        await _close(stream)
        raise
    return stream


async def _start_tls(
    target: Target, stream: trio.abc.Stream, context: ssl.SSLContext, seam: Seam
) -> trio.abc.Stream:
    """Do the TLS handshake. The caller closes the stream where it fails."""
    try:
        tls = seam.wrap_tls(stream, context, target.host)
        await tls.do_handshake()
    except trio.BrokenResourceError as error:
        raise TlsFailed(str(target), failure_words(error.__cause__ or error)) from error
    except (ssl.SSLError, ssl.CertificateError, ValueError) as error:
        raise TlsFailed(str(target), failure_words(error)) from error
    return tls


@asynccontextmanager
async def _open_framed(
    stream: trio.abc.Stream,
    target: Target,
    headers: list[tuple[str, str]],
    seam: Seam,
    message_max: int,
    fragments_max: int,
    on_stage: Callable[[str], None] | None,
) -> AsyncIterator[Transport]:
    try:
        _tell(on_stage, "http")
        received = await _upgrade(stream, target, headers)
    except BaseException:
        await _close(stream)
        raise
    codec = WebSocketCodec(
        "client", mask_bytes=seam.mask_bytes, message_max=message_max, fragments_max=fragments_max
    )
    transport = FramedTransport(stream, codec, seam, received=received)
    try:
        yield transport
    finally:
        await transport.aclose()


async def _upgrade(stream: trio.abc.Stream, target: Target, headers: list[tuple[str, str]]) -> bytes:
    """Ask for WebSocket; return the bytes that came behind the answer."""
    upgrade = ClientUpgrade(target, headers)
    head = HeadBuffer("response")
    try:
        await stream.send_all(upgrade.request)
        upgrade.receive_head(await receive_head(stream, head))
    except trio.BrokenResourceError as error:
        raise UpgradeRejected(
            str(target), f"the connection was lost: {failure_words(error.__cause__ or error)}"
        ) from error
    except (ConnectionBroken, RemoteProtocolError) as error:
        raise UpgradeRejected(str(target), str(error)) from error
    return head.rest


# --- pieces --------------------------------------------------------------------------------------------------


def _tell(on_stage: Callable[[str], None] | None, stage: str) -> None:
    if on_stage is not None:
        on_stage(stage)


async def _close(stream: trio.abc.Stream) -> None:
    """Close a stream now, also under cancellation."""
    with trio.CancelScope(shield=True):
        await trio.aclose_forcefully(stream)
